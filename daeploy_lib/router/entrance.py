"""
Where a request enters: what is decided, and noted as in flight, by current routes.

Whoever takes a version away unroutes it first and then waits for the requests in
flight to it. A request is therefore noted first, and the routes are looked at once
more: if they are others by then, it is decided again.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from daeploy_lib.domain.route import Route
from daeploy_lib.router.plan import Plan, Settings, make_plan
from daeploy_lib.router.routing import RouteSource
from daeploy_lib.router.table import RouteTable

# While a change of the registry is being written it cannot be read: so often,
# and so long, the router asks again before it goes on with what it knows.
_ASK_AGAIN_SECONDS = 0.001
_ASK_AT_MOST_SECONDS = 0.25


class Entered(NamedTuple):
    """
    A request that may go on.

    Attributes:
        plan: What was decided.
        main_slot: Of main in the source; to be left at the end.
        slots: Of the shadows, in their order; to be left one by one.
    """

    plan: Plan
    main_slot: object
    slots: list[object]


class Entrance:
    """
    Decides about requests of one router.

    Args:
        settings: Of the router.
        source: Where the routes come from, and what counts requests in flight.
        may_be_tls: Whether addresses may be https.
    """

    def __init__(
        self, settings: Settings, source: RouteSource, *, may_be_tls: bool
    ) -> None:
        self._settings = settings
        self._source = source
        self._may_be_tls = may_be_tls
        self._table = self._new_table(source.last)

    def enter_at_once(
        self, scope: Mapping[str, Any], *, is_empty: bool = True
    ) -> Entered | None:
        """
        Decide without waiting; None if the routes are just changing.

        Args:
            scope: Of the request.
            is_empty: See ``make_plan``.

        Raises:
            Refusal: See ``make_plan``.
        """
        routes = self._source.poll()
        if routes is None:
            return None
        return self._enter(scope, routes, is_sure=True, is_empty=is_empty)

    async def enter(
        self, scope: Mapping[str, Any], *, is_empty: bool = True
    ) -> Entered:
        """
        Decide, as soon as the routes are known.

        Raises:
            Refusal: See ``make_plan``.
        """
        entered = self.enter_at_once(scope, is_empty=is_empty)
        while entered is None:
            routes, is_sure = await self._changed_routes()
            entered = self._enter(scope, routes, is_sure=is_sure, is_empty=is_empty)
        return entered

    def _enter(
        self,
        scope: Mapping[str, Any],
        routes: Mapping[str, Route],
        *,
        is_sure: bool,
        is_empty: bool,
    ) -> Entered | None:
        """Return None if the routes are others once the request has been noted."""
        if routes is not self._table.routes:
            self._table = self._new_table(routes, self._table)
        plan = make_plan(scope, self._table, self._settings, is_empty=is_empty)
        source, name = self._source, plan.destination.name
        main_slot = source.enter(name, plan.main.version)
        slots = [source.enter(name, shadow.version) for shadow in plan.shadows]
        if is_sure and source.poll() is not routes:
            for slot in (main_slot, *slots):
                source.leave(slot)
            return None
        if plan.spared is None:
            for shadow in plan.shadows:
                shadow.counts.requests += 1
        else:
            for shadow in plan.destination.shadows:
                shadow.counts.requests += 1
                shadow.count(plan.spared)
        return Entered(plan, main_slot, slots)

    async def _changed_routes(self) -> tuple[Mapping[str, Route], bool]:
        """Wait until a change can be read; return whether these are its routes."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _ASK_AT_MOST_SECONDS
        while True:
            routes = self._source.poll()
            if routes is not None:
                return routes, True
            if loop.time() >= end:
                return self._source.last, False
            await asyncio.sleep(_ASK_AGAIN_SECONDS)

    def _new_table(
        self, routes: Mapping[str, Route], previous: RouteTable | None = None
    ) -> RouteTable:
        return RouteTable(
            routes,
            previous,
            may_be_tls=self._may_be_tls,
            counts_of=self._settings.tally.version,
            pairing_of=self._settings.pairing_of,
            again_of=self._settings.again_of,
        )
