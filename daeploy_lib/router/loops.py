"""
What belongs to one event loop: connections, deadlines, exchanges under way.

A router outlives loops: tests and notebooks run one after another. Nothing of
one loop may be touched from the next, so each gets its own, and takes it along
when it ends.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Protocol

import httpx

from daeploy_lib.router.deadlines import DeadlineQueue
from daeploy_lib.router.policy import Limits, Timeouts
from daeploy_lib.router.pool import Pool
from daeploy_lib.router.routing import Target
from daeploy_lib.router.transport import TransportPool

# Most answers are complete before it is worth asking whether the client is
# still there; nobody gone is missed for a second.
WATCH_AFTER_SECONDS = 0.1

_POOLS_BEFORE_LOOKING = 64

AnyPool = Pool | TransportPool


class UnderWay(Protocol):
    """An exchange, a copy, or a WebSocket of either kind."""

    def give_up(self) -> None:
        """End at once, because the router is closing."""
        ...


class LoopState:
    """
    One loop's share of a router.

    Attributes:
        first_byte, idle, shadow, watch: Queues of deadlines.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        timeouts: Timeouts,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.loop = loop
        self._transport = transport
        self._timeouts = timeouts
        self._limits = limits
        self._connect = DeadlineQueue(loop, timeouts.connect)
        self.first_byte = DeadlineQueue(loop, timeouts.first_byte)
        self.idle = DeadlineQueue(loop, timeouts.idle)
        self.shadow = DeadlineQueue(loop, timeouts.shadow)
        self.watch = DeadlineQueue(loop, WATCH_AFTER_SECONDS)
        self._under_way: set[UnderWay] = set()
        self._quiet: asyncio.Event | None = None
        self._pools: dict[tuple[str, str, object], AnyPool] = {}
        # A target is an object for as long as the routes do not change.
        self._by_target: dict[Target, AnyPool] = {}
        self._guard = self._closed_with_loop()

    def guard(self) -> None:
        """
        Have the connections closed when the loop is shut down in order.

        ``asyncio.run`` closes the asynchronous generators that are still open
        before it closes the loop; ours waits for just that.
        """
        with contextlib.suppress(StopIteration):  # it has reached its yield
            self._guard.__anext__().send(None)

    def pool(self, target: Target) -> AnyPool:
        """Return the connections to one version."""
        pool = self._by_target.get(target)
        if pool is None:
            if len(self._by_target) >= _POOLS_BEFORE_LOOKING:
                self._by_target.clear()
            pool = self._by_target[target] = self._known_pool(target)
        return pool

    def _known_pool(self, target: Target) -> AnyPool:
        """Return the pool of a target that is new, perhaps of a known version."""
        key = (target.name, target.version, target.endpoint)
        pool = self._pools.get(key)
        if pool is None:
            if len(self._pools) >= _POOLS_BEFORE_LOOKING:
                self._pools = {k: p for k, p in self._pools.items() if not p.is_empty}
                self._by_target.clear()
            pool = self._pools[key] = self._new_pool(target)
        return pool

    def _new_pool(self, target: Target) -> AnyPool:
        if self._transport is not None:
            seconds = self._timeouts.connect
            return TransportPool(target.endpoint, self._transport, seconds)
        return Pool(
            target.endpoint, self.loop, self._connect, self._limits.max_header_bytes
        )

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return sum(len(pool) for pool in self._pools.values())

    def began(self, one: UnderWay) -> None:
        """Note an exchange, or a copy, as under way; a copy may outlive it."""
        self._under_way.add(one)

    def ended(self, one: UnderWay) -> None:
        """Note that it is over."""
        self._under_way.discard(one)
        if self._quiet is not None and not self._under_way:
            self._quiet.set()

    async def drain(self, seconds: float) -> None:
        """Wait until nothing is under way, at most this long; then end the rest."""
        if self._under_way:
            self._quiet = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._quiet.wait(), seconds)
        self.abandon()
        # Exchanges that were told to end answer in the loop's next turn.
        await asyncio.sleep(0)
        self.close()
        await self._guard.aclose()

    def abandon(self) -> None:
        """End everything that is under way, also if the loop is no more."""
        for one in tuple(self._under_way):
            with contextlib.suppress(RuntimeError):  # "Event loop is closed"
                one.give_up()

    def close(self) -> None:
        """End every connection and timer."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        self._by_target.clear()
        for queue in (
            self._connect,
            self.first_byte,
            self.idle,
            self.shadow,
            self.watch,
        ):
            queue.close()

    async def _closed_with_loop(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self.abandon()
            self.close()
            await asyncio.sleep(0)  # transports close in the loop's next turn
