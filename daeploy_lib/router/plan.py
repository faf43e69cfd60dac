"""
What to do with a request: decided in one synchronous step, before any I/O.

Everything that can be refused without asking a version is refused here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import attrs

from daeploy_lib.router.framing import (
    Header,
    RequestFraming,
    check_method,
    check_query,
    check_request,
)
from daeploy_lib.router.headers import Peer, block, for_version, without
from daeploy_lib.router.marks import Marks, copy_headers, passed_on
from daeploy_lib.router.mounts import joined, locate
from daeploy_lib.router.outcome import Judge, Outcome, Tally
from daeploy_lib.router.policy import Limits, MirrorPolicy, Timeouts
from daeploy_lib.router.refusal import Refusal
from daeploy_lib.router.routing import Destination, RouteTable, Target
from daeploy_lib.router.trust import TrustedPeers


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

    def policy_for(self, name: str) -> MirrorPolicy:
        """Return the policy of one service."""
        return self.policies.get(name, self.policy)


@attrs.define
class Plan:
    """
    One request, checked and understood.

    Attributes:
        destination: The service, and which of its versions get the request.
        main: Whose answer the client gets.
        shadows: Who gets a copy.
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
    _headers: list[Header]
    _settings: Settings
    _mark: bytes | None = None

    def main_head(self) -> bytes:
        """Return request line and headers for main."""
        headers = self._headers
        if self._mark is not None:
            headers = headers + passed_on(self._mark)
        return self._head(self.main, headers)

    def copy_heads(self, targets: Iterable[Target]) -> list[bytes]:
        """Return request lines and headers for shadows, marked as one exchange."""
        mark = self._settings.marks.new()
        policy = self._settings.policy_for(self.destination.name)
        headers = without(self._headers, policy.withhold)
        return [
            self._head(target, headers + copy_headers(mark, target.version))
            for target in targets
        ]

    def _head(self, target: Target, headers: Sequence[Header]) -> bytes:
        path = joined(target.endpoint.base, self._rest)
        if self._query:
            path += b"?" + self._query
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (self.method, path, block(headers))


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
    # Copied once: uvicorn appends trailers to this list later on.
    received = [(name.lower(), value) for name, value in scope["headers"]]
    version: str = scope["http_version"]
    limits = settings.limits
    method = check_method(scope["method"])
    query: bytes = scope.get("query_string", b"")
    raw_path: bytes | None = scope.get("raw_path")
    check_query(query, len(raw_path or scope["path"]), limits.max_header_bytes)
    framing = check_request(
        received, http_version=version, limit=limits.max_header_bytes
    )
    if is_empty:
        framing = attrs.evolve(framing, is_chunked=False)
    location = locate(scope)
    destination = table.find(location.segment)
    if destination is None:
        raise Refusal(404, f"No service or version at /{location.segment[:105]}.")
    if destination.main is None:
        raise Refusal(503, f"Service {destination.name!r} has no main version.")
    for target in (destination.main, *destination.shadows):
        joined(target.endpoint.base, location.rest)
    marks = settings.marks
    if marks.is_loop(received):
        raise Refusal(508, "The request has passed this router before.")
    headers = for_version(
        received,
        peer=_peer(scope, settings.trusted),
        host=framing.host,
        prefix=f"{quote(location.mount)}/{destination.segment}".encode("ascii"),
        via=marks.via,
        is_chunked=framing.is_chunked,
        http_version=version,
    )
    mark = marks.find(received)
    spared = _spared(destination, scope["method"], settings, is_marked=mark is not None)
    return Plan(
        destination=destination,
        main=destination.main,
        shadows=() if spared is not None else destination.shadows,
        spared=spared,
        method=method,
        framing=framing,
        rest=location.rest,
        query=query,
        headers=headers,
        settings=settings,
        mark=mark,
    )


def _spared(
    destination: Destination, method: str, settings: Settings, *, is_marked: bool
) -> Outcome | None:
    """Return why no shadow gets a copy; None if they do."""
    if not destination.shadows:
        return None
    policy = settings.policy_for(destination.name)
    if is_marked or not policy.copies(method):
        return Outcome.excluded
    place = settings.tally.place_in_sample(destination.name)
    return None if policy.samples(place) else Outcome.not_sampled


def _peer(scope: Mapping[str, Any], trusted: TrustedPeers) -> Peer:
    client = scope.get("client")
    server = scope.get("server")
    address = str(client[0]) if client else ""
    # granian gives the port as a string; a Unix socket has none.
    port = int(server[1]) if server and server[1] else None
    return Peer(address, scope.get("scheme", "http"), port, trusted.trusts(address))
