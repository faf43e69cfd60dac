"""
What to do with a request: decided in one synchronous step, before any I/O.

Everything that can be refused without asking a version is refused here.
"""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any
from urllib.parse import quote

import attrs

from daeploy_lib.router.capture import Captures
from daeploy_lib.router.framing import (
    Header,
    RequestFraming,
    check_method,
    check_query,
    check_request,
)
from daeploy_lib.router.headers import Peer, block, for_version, forwarding, without
from daeploy_lib.router.marks import Marks, copy_lines, passed_on
from daeploy_lib.router.max_forwards import counted_down
from daeploy_lib.router.mounts import Location, joined, locate
from daeploy_lib.router.outcome import (
    Asked,
    Judge,
    Outcome,
    Pairing,
    Tally,
    VersionTally,
)
from daeploy_lib.router.plain import plain_head
from daeploy_lib.router.policy import SAFE_METHODS, Limits, MirrorPolicy, Timeouts
from daeploy_lib.router.refusal import Refusal
from daeploy_lib.router.routing import Destination, Target
from daeploy_lib.router.table import RouteTable
from daeploy_lib.router.trust import TrustedPeers

# The forwarding fields of as many clients, places and hosts are remembered.
_REMEMBERED = 1024


def _compares_nothing(name: str) -> bool:
    del name
    return False


@attrs.frozen
class Settings:
    """What a router was constructed with."""

    policies: Mapping[str, MirrorPolicy]
    policy: MirrorPolicy
    limits: Limits
    timeouts: Timeouts
    trusted: TrustedPeers
    marks: Marks
    judge: Judge
    tally: Tally
    compares: Callable[[str], bool] = _compares_nothing
    pairing_of: Callable[[str, str, str], Pairing | None] | None = None
    remembered: MutableMapping[object, bytes] = attrs.field(factory=dict, repr=False)
    _captures: Captures = attrs.field(init=False, repr=False)

    @_captures.default
    def _make_captures(self) -> Captures:
        return Captures(self.limits, self.tally)

    def captures_for(self, name: str) -> Captures | None:
        """Return what keeps the answers of a service; None if none are compared."""
        return self._captures if self.compares(name) else None

    def policy_for(self, name: str) -> MirrorPolicy:
        """Return the policy of one service."""
        return self.policies.get(name, self.policy)

    def again_of(self, name: str, main: str) -> VersionTally | None:
        """Return the counts of main's second answers; None if it gives none."""
        if not self.policy_for(name).noise_rate or not self.compares(name):
            return None
        return self.tally.again(name, main)


@attrs.define
class Plan:
    """
    One request, checked and understood.

    Attributes:
        destination: The service, and which of its versions get the request.
        main: Whose answer the client gets.
        shadows: Who gets a copy; last of them may be main, asked a second time.
        spared: The outcome of the shadows that get none; None if all get one.
        method: Bytes of the method.
        framing: How the body is delimited.
    """

    destination: Destination
    main: Target
    shadows: Sequence[Target]
    spared: Outcome | None
    method: bytes
    framing: RequestFraming
    _rest: bytes
    _query: bytes
    _block: bytes
    _copy_block: bytes
    _mark: bytes | None
    _marks: Marks

    def main_head(self) -> bytes:
        """Return request line and headers for main."""
        more = b"" if self._mark is None else passed_on(self._mark)
        return self._lines(self.main, self._block, more)

    def asked(self, body: bytes, body_bytes: int) -> Asked:
        """
        Return what every version was asked.

        Args:
            body: First bytes of the body.
            body_bytes: Its length.
        """
        return Asked(
            self.destination.name,
            self.method,
            self._rest,
            self._query,
            self._copy_block,
            body,
            body_bytes,
        )

    def new_mark(self) -> bytes:
        """Return the mark of all copies of this request: they are one exchange."""
        return self._marks.new()

    def copy_head(self, target: Target, mark: bytes) -> bytes:
        """Return request line and headers for a shadow."""
        more = copy_lines(mark, target.version)
        return self._lines(target, self._copy_block, more)

    def _lines(self, target: Target, shared: bytes, more: bytes) -> bytes:
        path = self._rest
        if target.endpoint.base:
            path = joined(target.endpoint.base, path)
        if self._query:
            path += b"?" + self._query
        return b"%b %b HTTP/1.1\r\n%b%b\r\n" % (self.method, path, shared, more)


def make_plan(
    scope: Mapping[str, Any],
    table: RouteTable,
    settings: Settings,
    *,
    is_empty: bool = False,
) -> Plan:
    """
    Decide about one http scope.

    Args:
        scope: The server's; not changed.
        table: Where segments lead to.
        settings: Of the router.
        is_empty: Whether the body is known to be empty although nothing in the
            headers says so, as in HTTP/2.

    Raises:
        Refusal: For everything that no version shall see: 400, 405, 414, 431
            and 501 for what is malformed, 404 for an unknown segment, 503 for a
            service without main, 508 for a request that has been here before.
    """
    method = check_method(scope["method"])
    query: bytes = scope.get("query_string", b"")
    limit = settings.limits.max_header_bytes
    check_query(query, len(scope.get("raw_path") or scope["path"]), limit)
    version: str = scope["http_version"]
    plain = plain_head(scope["headers"], limit) if version.startswith("1") else None
    shared = b""
    if plain is not None:
        shared, framing = plain
    else:
        framing = check_request(_received(scope), http_version=version, limit=limit)
    if is_empty:
        framing = framing._replace(is_chunked=False)
    location = locate(scope)
    destination, main = _found(table, location)
    policy = settings.policy_for(destination.name)
    place = (location.mount, destination.segment)
    if plain is None or policy.withhold:
        head = _ruled_head(scope, framing, place, settings, policy)
    else:
        shared += _forwarding(scope, framing.host, place, settings)
        head = shared, shared, None
    spared = None
    if destination.shadows and (head[2] is not None or not policy.copies_all):
        spared = _spared(destination, scope, location.rest, settings, policy, head[2])
    shadows = destination.shadows if spared is None else ()
    if destination.again is not None and shadows:
        shadows += _again(destination.again, scope, settings, policy)
    return Plan(
        destination,
        main,
        shadows,
        spared,
        method,
        framing,
        location.rest,
        query,
        *head,
        settings.marks,
    )


def _received(scope: Mapping[str, Any]) -> list[Header]:
    # Copied: uvicorn appends trailers to this list later on.
    return [(name.lower(), value) for name, value in scope["headers"]]


def _found(table: RouteTable, location: Location) -> tuple[Destination, Target]:
    """Return where the request goes, and main there."""
    destination = table.find(location.segment)
    if destination is None:
        raise Refusal(404, f"No service or version at /{location.segment[:105]}.")
    main = destination.main
    if main is None:
        raise Refusal(503, f"Service {destination.name!r} has no main version.")
    if destination.has_base:
        for target in (main, *destination.shadows):
            joined(target.endpoint.base, location.rest)
    return destination, main


def _ruled_head(
    scope: Mapping[str, Any],
    framing: RequestFraming,
    place: tuple[str, str],
    settings: Settings,
    policy: MirrorPolicy,
) -> tuple[bytes, bytes, bytes | None]:
    """
    Return the header lines by all the rules.

    Those that main gets, those that shadows get, and the mark of the copy that
    the request is; None if it is none.
    """
    received = _received(scope)
    if settings.marks.is_loop(received):
        raise Refusal(508, "The request has passed this router before.")
    if scope["method"] == "OPTIONS":
        received = counted_down(received)
    headers = for_version(
        received,
        peer=_peer(scope, settings.trusted),
        host=framing.host,
        prefix=_prefix(place),
        via=settings.marks.via,
        is_chunked=framing.is_chunked,
        http_version=scope["http_version"],
    )
    lines = block(headers)
    kept = block(without(headers, policy.withhold)) if policy.withhold else lines
    return lines, kept, settings.marks.find(received)


def _forwarding(
    scope: Mapping[str, Any], host: bytes, place: tuple[str, str], settings: Settings
) -> bytes:
    """Return the lines that are added to a plain head, mostly from memory."""
    client, server = scope.get("client"), scope.get("server")
    key = (
        client and client[0],
        server and server[1],
        scope.get("scheme"),
        host,
        place,
    )
    remembered = settings.remembered
    lines = remembered.get(key)
    if lines is None:
        if len(remembered) >= _REMEMBERED:
            remembered.clear()
        peer = _peer(scope, settings.trusted)
        headers = forwarding({}, peer, host, _prefix(place))
        lines = remembered[key] = block([*headers, (b"via", settings.marks.via)])
    return lines


def _prefix(place: tuple[str, str]) -> bytes:
    """Return mount and segment as the client sees them; a segment has its own form."""
    mount, segment = place
    return f"{quote(mount)}/{segment}".encode("ascii")


def _spared(  # noqa: PLR0917 - all of one request
    destination: Destination,
    scope: Mapping[str, Any],
    rest: bytes,
    settings: Settings,
    policy: MirrorPolicy,
    mark: bytes | None,
) -> Outcome | None:
    """Return why no shadow gets a copy; None if they do."""
    if mark is not None or not policy.copies(scope["method"]):
        return Outcome.excluded
    if policy.asks_more:
        if not policy.allows(rest, scope["headers"]):
            return Outcome.excluded
        sticks = policy.sticks(scope["headers"])
        if sticks is not None:
            return None if sticks else Outcome.not_sampled
    place = settings.tally.place_in_sample(destination.name)
    return None if policy.samples(place) else Outcome.not_sampled


def _again(
    main: Target, scope: Mapping[str, Any], settings: Settings, policy: MirrorPolicy
) -> tuple[Target, ...]:
    """
    Return main, if this request is one of those that it gets twice.

    Only safe methods: a client that asks twice for what is unsafe may do harm
    (RFC 9110, section 9.2.1), and a WebSocket's messages have no method at all.
    """
    if scope["method"] not in SAFE_METHODS or scope["type"] == "websocket":
        return ()
    place = settings.tally.place_in_noise(main.name)
    return (main,) if policy.asks_again(place) else ()


def _peer(scope: Mapping[str, Any], trusted: TrustedPeers) -> Peer:
    client = scope.get("client")
    server = scope.get("server")
    address = str(client[0]) if client else ""
    # granian gives the port as a string; a Unix socket has none.
    port = int(server[1]) if server and server[1] else None
    return Peer(address, scope.get("scheme", "http"), port, trusted.trusts(address))
