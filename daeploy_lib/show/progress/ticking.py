"""Doing something again and again while something else is under way."""

import contextvars
import threading
from collections.abc import Callable


class Ticker:
    """
    Calls a function every so many seconds, in a thread of its own, until stopped.

    Args:
        interval: Seconds from one call to the next.
        tick: What is called; it must not raise.
    """

    def __init__(self, interval: float, tick: Callable[[], None]) -> None:
        self._interval = interval
        self._tick = tick
        self._is_over = threading.Event()
        # In the context of whoever began: a notebook finds the cell by it.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="daeploy-progress", daemon=True
        )

    def start(self) -> None:
        """Begin; the first call is one interval from now."""
        self._thread.start()

    def stop(self) -> None:
        """End; when this returns, no call is under way."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(self._interval):
            self._tick()
