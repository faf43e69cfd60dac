"""
Many deadlines of one length with one timer.

Every wait of a kind has the same length, so the waits end in the order in which
they began: a dict keeps that order, and only the first one needs a timer.
"""

import asyncio
from collections.abc import Callable, Hashable


class DeadlineQueue:
    """
    Waits of equal length.

    Args:
        loop: Whose clock counts.
        seconds: How long each wait may take.
    """

    __slots__ = ("_loop", "_now", "_seconds", "_timer", "_waits")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._now = loop.time
        self._seconds = seconds
        self._waits: dict[Hashable, tuple[float, Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waits)

    def start(self, key: Hashable, late: Callable[[], None]) -> None:
        """Call *late* after the time, unless the key is stopped or started anew."""
        waits = self._waits
        if key in waits:
            del waits[key]  # to the end of the order
        waits[key] = (self._now() + self._seconds, late)
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._ring)

    def stop(self, key: Hashable) -> None:
        """Forget the wait, if there is one."""
        self._waits.pop(key, None)

    def close(self) -> None:
        """Forget every wait and the timer."""
        self._waits.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        # A stopped wait leaves the timer running: it finds nothing due and looks
        # when the first of the rest will be.
        self._timer = None
        now = self._loop.time()
        due: list[Callable[[], None]] = []
        while self._waits:
            key, (at, late) = next(iter(self._waits.items()))
            if at > now:
                self._timer = self._loop.call_at(at, self._ring)
                break
            del self._waits[key]
            due.append(late)
        for late in due:
            late()
