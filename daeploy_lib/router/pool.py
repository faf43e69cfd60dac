"""The connections to one version, for one event loop."""

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from daeploy_lib.router.connection import Connection
from daeploy_lib.router.deadlines import DeadlineQueue
from daeploy_lib.router.dial import Address, Dial
from daeploy_lib.router.failure import Failure
from daeploy_lib.router.routing import Endpoint

if TYPE_CHECKING:
    from daeploy_lib.router.upstream import Call
    from daeploy_lib.router.websocket.channel import Channel

# Below uvicorn's keep-alive of 5 s, the shortest of the common servers, so
# that it is we who close first (envoy#2324).
MAX_IDLE_SECONDS = 4.0

MAX_IDLE = 128
"""Idle connections to one version; nginx's ``keepalive`` is mostly far lower."""

_NAME_SECONDS = 10.0
"""How long a resolved host name is good: a restart may give another address."""


class Pool:
    """
    Connections to one endpoint: idle ones to take, new ones to dial.

    Args:
        endpoint: Where the version listens.
        loop: The loop that all of them belong to.
        connect: Queue of connect deadlines.
        limit: Bytes that the headers of an answer may have.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        loop: asyncio.AbstractEventLoop,
        connect: DeadlineQueue,
        limit: int,
    ) -> None:
        self._endpoint = endpoint
        self._loop = loop
        self._connect = connect
        self._limit = limit
        self._idle: list[Connection] = []
        self._all: set[Connection | Channel] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._addresses: list[Address] = []
        self._resolved_at = 0.0
        self._unresolved: list[Dial] = []
        if endpoint.is_literal:
            family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
            self._addresses = [(family, (endpoint.host, endpoint.port))]

    def __len__(self) -> int:
        return len(self._all)

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be lost with this pool."""
        return not self._all and not self._unresolved

    def take(self) -> Connection | None:
        """
        Return an idle connection that may carry a call, the newest first.

        One that is too old, or whose socket holds bytes or an end, is closed:
        an answer to nobody must not become the answer to somebody.
        """
        idle, now = self._idle, self._loop.time()
        while idle:
            connection = idle.pop()
            if connection.idle_until > now and not connection.has_input():
                connection.is_reused = True
                return connection
            connection.close()
        return None

    def dial(self, call: "Call") -> Dial:
        """Begin to open a connection for the call, which hears of it."""
        return self.open(lambda: Connection(self, call, self._limit), call.failed)

    def open(
        self,
        factory: Callable[[], "Connection | Channel"],
        failed: Callable[[Failure], None],
    ) -> Dial:
        """
        Begin to open a connection of any kind.

        Args:
            factory: Makes it; it tells the pool by ``forget`` when it has ended.
            failed: Told why no connection came up.
        """

        def make() -> "Connection | Channel":
            connection = factory()
            self._all.add(connection)
            return connection

        dial = Dial(
            self._loop,
            make,
            lambda failure: self._failed(failed, failure),
            self._connect,
        )
        dial.start()
        is_fresh = self._loop.time() - self._resolved_at < _NAME_SECONDS
        if self._endpoint.is_literal or (self._addresses and is_fresh):
            dial.try_addresses(self._addresses)
        else:
            self._resolve(dial)
        return dial

    def take_back(self, connection: Connection, seconds: int | None = None) -> None:
        """
        Keep a connection for the next call.

        Args:
            connection: With nothing left on it.
            seconds: How long the version keeps it, if it says so.
        """
        idle = MAX_IDLE_SECONDS
        if seconds is not None:
            idle = min(idle, seconds - 1)
        connection.idle_until = self._loop.time() + idle
        self._idle.append(connection)
        if len(self._idle) > MAX_IDLE:
            self._idle.pop(0).close()
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(MAX_IDLE_SECONDS, self._sweep)

    def forget(self, connection: "Connection | Channel") -> None:
        """Drop a connection that has ended."""
        self._all.discard(connection)
        if isinstance(connection, Connection) and connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """End every connection, idle or not."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        self._idle.clear()
        for connection in tuple(self._all):
            connection.abort()

    def _failed(self, failed: Callable[[Failure], None], failure: Failure) -> None:
        if not self._endpoint.is_literal:
            self._addresses = []  # it may have moved
        failed(failure)

    def _sweep(self) -> None:
        self._sweeper = None
        now = self._loop.time()
        for connection in [idle for idle in self._idle if idle.idle_until <= now]:
            self._idle.remove(connection)
            connection.close()
        if self._idle:
            due = min(connection.idle_until for connection in self._idle)
            self._sweeper = self._loop.call_at(due, self._sweep)

    def _resolve(self, dial: Dial) -> None:
        # One look-up at a time, however many calls wait for it: a resolver
        # that hangs must not use up the threads of the loop's executor.
        self._unresolved.append(dial)
        if len(self._unresolved) == 1:
            found = self._loop.run_in_executor(
                None,
                lambda: socket.getaddrinfo(
                    self._endpoint.host, self._endpoint.port, type=socket.SOCK_STREAM
                ),
            )
            found.add_done_callback(self._resolved)

    def _resolved(self, found: "asyncio.Future[Any]") -> None:
        waiting, self._unresolved = self._unresolved, []
        try:
            entries = found.result()
        except (OSError, asyncio.CancelledError):
            entries = []
        self._addresses = [(entry[0], entry[4]) for entry in entries]
        self._resolved_at = self._loop.time()
        for dial in waiting:
            if self._addresses:
                dial.try_addresses(self._addresses)
            else:
                dial.fail(Failure.refused)
