"""
From a route segment to the versions behind it.

``/name`` picks a service, ``/name_version`` one version of it. A version has
no underscore, so the last one of a segment delimits; looking up costs the same
whatever the number of services, and nothing is built beforehand.
"""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import attrs

from daeploy_lib.domain.names import check_name, version_segment
from daeploy_lib.domain.route import Route
from daeploy_lib.router.outcome import (
    Observation,
    Outcome,
    Pairing,
    Tally,
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
    """

    name: str
    segment: str
    main: Target | None
    shadows: tuple[Target, ...]
    has_base: bool


class RouteTable:
    """
    Destinations by segment, over one mapping of routes.

    Args:
        routes: By name. If it changes in place, so do the destinations.
        previous: The table before, whose unchanged entries are taken over.
        may_be_tls: Whether addresses may be https.
        counts_of: The counts of a version of a service.
        pairing_of: A new pairing of a service, its main and a shadow; None if no
            evidence of it is kept.
    """

    def __init__(
        self,
        routes: Mapping[str, Route],
        previous: "RouteTable | None" = None,
        *,
        may_be_tls: bool = False,
        counts_of: Callable[[str, str], VersionTally] | None = None,
        pairing_of: Callable[[str, str, str], Pairing | None] | None = None,
    ) -> None:
        self.routes = routes
        self._may_be_tls = may_be_tls
        self._counts_of = counts_of or Tally().version
        self._pairing_of = pairing_of
        self._old = previous.known if previous is not None else {}
        self.known: dict[str, tuple[Route, dict[str, Destination]]] = {}

    def find(self, segment: str) -> Destination | None:
        """Return what the segment stands for; None if nothing."""
        route = self.routes.get(segment)
        if route is not None:
            return self._destinations(segment, route)[segment]
        name, _, version = segment.rpartition("_")
        route = self.routes.get(name)
        if route is None or version not in route.addresses:
            return None
        return self._destinations(name, route)[segment]

    def _destinations(self, name: str, route: Route) -> dict[str, Destination]:
        known = self.known.get(name)
        if known is not None and known[0] is route:
            return known[1]
        old = self._old.pop(name, None)
        if old is not None and old[0] == route:
            made = old[1]
        else:
            targets = {
                version: Target(
                    name,
                    version,
                    parse_endpoint(address, may_be_tls=self._may_be_tls),
                    self._counts_of(name, version),
                    self._pairing(name, route, version, known or old),
                )
                for version, address in route.addresses.items()
            }
            made = _make(name, route, targets)
        if len(self.known) > 2 * len(self.routes) + 16:
            self.known.clear()  # names that are gone; a live mapping may shrink
        self.known[name] = (route, made)
        return made

    def _pairing(
        self,
        name: str,
        route: Route,
        version: str,
        before: tuple[Route, dict[str, Destination]] | None,
    ) -> Pairing | None:
        """Return the pairing as before, or a new one if main or shadow is new."""
        main = route.main
        if self._pairing_of is None or main is None or version == main:
            return None
        if before is not None and before[0].main == main:
            addresses = before[0].addresses
            if all(addresses.get(v) == route.addresses[v] for v in (main, version)):
                old = before[1][version_segment(name, version)].main
                return None if old is None else old.pairing
        return self._pairing_of(name, main, version)


def _make(
    name: str, route: Route, targets: Mapping[str, Target]
) -> dict[str, Destination]:
    destinations = {
        version_segment(name, version): Destination(
            name,
            version_segment(name, version),
            target,
            (),
            bool(target.endpoint.base),
        )
        for version, target in targets.items()
    }
    main = None if route.main is None else targets[route.main]
    shadows = tuple(targets[version] for version in route.shadows) if main else ()
    has_base = any(target.endpoint.base for target in targets.values())
    destinations[name] = Destination(name, name, main, shadows, has_base)
    return destinations
