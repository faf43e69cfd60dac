"""
The client's side of an exchange: body events, then the disconnect.

At most one ``receive()`` is under way, in a future of its own, so that main's
answer can be relayed while the client is still sending, or has left.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]

_log = logging.getLogger(__name__)

DISCONNECT: Event = {"type": "http.disconnect"}


def _nobody_listens(event: Event) -> None:
    """Stand in for the exchange once that is over."""


class Inbound:
    """
    Asks the server for one event at a time.

    Args:
        receive: The server's.
        on_event: Called with each event, from a callback of the loop.
        first: An event that has been received already.
    """

    __slots__ = ("_first", "_future", "_on_event", "_receive")

    def __init__(
        self,
        receive: Receive,
        on_event: Callable[[Event], None],
        first: Event | None = None,
    ) -> None:
        self._receive = receive
        self._on_event = on_event
        self._first = first
        self._future: asyncio.Future[Event] | None = None

    def pull(self) -> None:
        """Ask for the next event, unless one is being waited for."""
        if self._future is None:
            # Not create_task: some servers return futures, not coroutines.
            self._future = asyncio.ensure_future(self._next())
            self._future.add_done_callback(self._arrived)

    def stop(self) -> None:
        """Stop asking; nothing is called afterwards."""
        future, self._future = self._future, None
        if future is not None:
            future.remove_done_callback(self._arrived)
            future.cancel()

    def close(self) -> None:
        """Ask no more, and let go of who was told: see ``MainCall.release``."""
        self.stop()
        self._on_event = _nobody_listens

    def _next(self) -> Awaitable[Event]:
        first, self._first = self._first, None
        if first is None:
            return self._receive()
        future = asyncio.get_running_loop().create_future()
        future.set_result(first)
        return future

    def _arrived(self, future: "asyncio.Future[Event]") -> None:
        self._future = None
        if future.cancelled():
            event = DISCONNECT
        elif (error := future.exception()) is not None:
            # Servers differ in how they say that the client has left.
            _log.debug("receive() failed", exc_info=error)
            event = DISCONNECT
        else:
            event = future.result()
        self._on_event(event)
