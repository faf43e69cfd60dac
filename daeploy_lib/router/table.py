"""
From a route segment to the versions behind it.

``/name`` picks a service, ``/name_version`` one version of it. A version has
no underscore, so the last one of a segment delimits; looking up costs the same
whatever the number of services, and nothing is built beforehand.
"""

from collections.abc import Callable, Mapping

from daeploy_lib.domain.names import version_segment
from daeploy_lib.domain.route import Route
from daeploy_lib.router.outcome import Pairing, Tally, VersionTally
from daeploy_lib.router.routing import Destination, Target, parse_endpoint

_Known = tuple[Route, dict[str, Destination]]


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
        again_of: The counts of the second answers of a service and its main; None
            if that is not asked twice.
    """

    def __init__(
        self,
        routes: Mapping[str, Route],
        previous: "RouteTable | None" = None,
        *,
        may_be_tls: bool = False,
        counts_of: Callable[[str, str], VersionTally] | None = None,
        pairing_of: Callable[[str, str, str], Pairing | None] | None = None,
        again_of: Callable[[str, str], VersionTally | None] | None = None,
    ) -> None:
        self.routes = routes
        self._may_be_tls = may_be_tls
        self._counts_of = counts_of or Tally().version
        self._pairing_of = pairing_of
        self._again_of = again_of
        self._old = previous.known if previous is not None else {}
        self.known: dict[str, _Known] = {}

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
        if old is not None and old[0] == route and old[0].eras == route.eras:
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
            again = self._again(targets.get(route.main or ""), route, known or old)
            made = _make(name, route, targets, again)
        if len(self.known) > 2 * len(self.routes) + 16:
            self.known.clear()  # names that are gone; a live mapping may shrink
        self.known[name] = (route, made)
        return made

    def _pairing(
        self,
        name: str,
        route: Route,
        version: str,
        before: _Known | None,
    ) -> Pairing | None:
        """Return the pairing as before, or a new one if main or shadow is new."""
        main = route.main
        if self._pairing_of is None or main is None or version == main:
            return None
        if before is not None and _goes_on(before[0], route, version):
            old = before[1][version_segment(name, version)].main
            return None if old is None else old.pairing
        return self._pairing_of(name, main, version)

    def _again(
        self, main: Target | None, route: Route, before: _Known | None
    ) -> Target | None:
        """Return main as the one that is asked twice, if it is."""
        if main is None or self._again_of is None:
            return None
        name, version = main.name, main.version
        counts = self._again_of(name, version)
        if counts is None:
            return None
        old = None
        if before is not None and _goes_on(before[0], route, version):
            old = before[1][name].again
        if old is not None:
            pairing = old.pairing
        else:
            new = self._pairing_of
            pairing = None if new is None else new(name, version, version)
        return Target(name, version, main.endpoint, counts, pairing)


def _goes_on(before: Route, route: Route, version: str) -> bool:
    """Return whether main and a version are those that they were."""
    main = route.main
    if main is None or before.main != main:
        return False
    return all(
        before.addresses.get(v) == route.addresses[v]
        and before.eras.get(v) == route.eras.get(v)
        for v in (main, version)
    )


def _make(
    name: str,
    route: Route,
    targets: Mapping[str, Target],
    again: Target | None,
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
    destinations[name] = Destination(name, name, main, shadows, has_base, again)
    return destinations
