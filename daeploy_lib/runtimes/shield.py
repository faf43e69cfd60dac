"""Calls that Ctrl-C does not cut in half."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")

# Seconds in which a thread begins, if it was started before the interruption came.
_BEGINNING_S = 1.0


class _Call(threading.Thread, Generic[_T]):
    def __init__(self, call: Callable[[], _T]) -> None:
        super().__init__(name="daeploy-call", daemon=True)
        self._call = call
        # Not join(): Python 3.11 takes a thread for ended whose join was interrupted,
        # bpo-45274.
        self.has_begun, self.has_ended = threading.Event(), threading.Event()
        self.result: list[_T] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        self.has_begun.set()
        try:
            self.result.append(self._call())
        except BaseException as error:  # noqa: BLE001 - raised by the caller
            self.error = error
        finally:
            self.has_ended.set()


def uninterrupted(call: Callable[[], _T]) -> _T:
    """
    Return what *call* returns, and let an interruption wait until it has.

    An engine goes on with what it was asked for when the caller has gone: only
    after its answer is it known what there is to remove. The call runs in a
    thread, which no signal reaches. A second interruption is not held back.

    Raises:
        KeyboardInterrupt: After the call has ended, if it came meanwhile.
    """
    thread = _Call(call)
    try:
        thread.start()
        thread.has_ended.wait()
    except BaseException:
        if thread.has_begun.wait(_BEGINNING_S):
            thread.has_ended.wait()
        raise
    if thread.error is not None:
        raise thread.error
    return thread.result[0]
