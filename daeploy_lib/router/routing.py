"""Where routes come from, and the versions that they lead to."""

import ipaddress
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import attrs

from daeploy_lib.domain.names import check_name, version_segment
from daeploy_lib.domain.route import Route
from daeploy_lib.router.outcome import (
    Observation,
    Outcome,
    Pairing,
    VersionTally,
    missed,
)

_PORTS = {"http": 80, "https": 443}


class RouteSource(Protocol):
    """Where the router learns which versions exist and which one is main."""

    @property
    def last(self) -> Mapping[str, Route]:
        """The mapping that was current at the latest successful ``poll``."""
        ...

    def poll(self) -> Mapping[str, Route] | None:
        """
        Return the current routes by name, cheaply and without blocking.

        The identical object while nothing changed; None while a change is
        known to be committed that cannot be read for a moment.
        """
        ...

    def enter(self, name: str, version: str) -> Any:
        """Note that a request to this version is in flight; return its slot."""
        ...

    def leave(self, slot: Any) -> None:
        """Note that the request of this slot has ended."""
        ...


class StaticSource:
    """
    Routes from a mapping that the application keeps.

    The mapping is looked at for every request, so changing an entry takes
    effect with the next one.

    Raises:
        ValueError: If a name is invalid, or two services share a segment.
        TypeError: If a value is no ``Route``.
    """

    def __init__(
        self, routes: Mapping[str, Route], *, may_be_tls: bool = False
    ) -> None:
        segments: dict[str, str] = {}
        for name, route in routes.items():
            check_name(name)
            if not isinstance(route, Route):
                raise TypeError(f"The route of {name!r} must be a Route: {route!r}.")
            own = [name, *(version_segment(name, v) for v in route.addresses)]
            for segment in own:
                if segment in segments:
                    raise ValueError(
                        f"The route /{segment} of {name!r} is taken by "
                        f"{segments[segment]!r}. Choose another name or version."
                    )
                segments[segment] = name
            for address in route.addresses.values():
                parse_endpoint(address, may_be_tls=may_be_tls)
        self.last = routes

    def poll(self) -> Mapping[str, Route]:
        """Return the mapping itself."""
        return self.last

    def enter(self, name: str, version: str) -> None:
        """Static routes are not counted: nobody waits for them to end."""

    def leave(self, slot: None) -> None:
        """Static routes are not counted: nobody waits for them to end."""


@attrs.frozen(cache_hash=True)
class Endpoint:
    """
    Where one version listens.

    Attributes:
        host: Name or address, without brackets.
        port: TCP port.
        base: Path that goes before every request's own; no final slash.
        is_literal: Whether the host is an address, so that nothing is resolved.
        scheme: ``http``, or ``https`` where a transport can speak that.
    """

    host: str
    port: int
    base: bytes = b""
    is_literal: bool = True
    scheme: str = "http"


def parse_endpoint(address: str, *, may_be_tls: bool = False) -> Endpoint:
    """
    Return the endpoint of a base address.

    Args:
        address: ``http://HOST:PORT``, perhaps with a path.
        may_be_tls: Whether https will do; our own connections are plain.

    Raises:
        ValueError: If it cannot be reached.

    Example:
        >>> parse_endpoint("http://127.0.0.1:9001/api/").base
        b'/api'
    """
    parts = urlsplit(address)
    port = _PORTS.get(parts.scheme)
    is_tls = parts.scheme == "https"
    if port is None or not parts.hostname or (is_tls and not may_be_tls):
        raise ValueError(
            f"Cannot route to {address!r}: the router speaks plain http to versions, "
            f"and https only through ShadowRouter(transport=...)."
        )
    try:
        ipaddress.ip_address(parts.hostname)
    except ValueError:
        is_literal = False
    else:
        is_literal = True
    base = parts.path.rstrip("/").encode("ascii")
    return Endpoint(parts.hostname, parts.port or port, base, is_literal, parts.scheme)


@attrs.frozen(eq=False)
class Target:
    """
    One version, as the router calls it.

    Attributes:
        name: Of the service.
        version: Of it.
        endpoint: Where it listens.
        counts: What became of its copies; the same ones whatever else changes.
        pairing: Takes the evidence of it as a shadow of the main that is; None if
            none is kept.
    """

    name: str
    version: str
    endpoint: Endpoint
    counts: VersionTally = attrs.field(factory=VersionTally, repr=False)
    pairing: Pairing | None = attrs.field(default=None, repr=False)

    def count(self, outcome: Outcome, main: Observation | None = None) -> None:
        """
        Count how a copy ended that was not compared.

        Args:
            outcome: How.
            main: What main answered, if that is known.
        """
        self.counts.count(outcome)
        if self.pairing is not None:
            self.pairing.add(missed(outcome, main))


@attrs.frozen(eq=False)
class Destination:
    """
    What a segment stands for.

    Attributes:
        name: The service.
        segment: The segment, as clients write it.
        main: Whose answer the client gets; None if no version is main.
        shadows: Who gets copies; none if the segment names one version.
        has_base: Whether any of them has a path before every request's own.
        again: Main as the one that is asked a second time, to see how it differs
            from itself; None if it is not.
    """

    name: str
    segment: str
    main: Target | None
    shadows: tuple[Target, ...]
    has_base: bool
    again: Target | None = None
