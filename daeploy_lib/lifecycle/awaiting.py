"""
Work that blocks, awaited: each call in a thread of its own, none on the loop.

A thread for each and no pool: verbs are few, and a pool that is full of logs that are
followed would hold up the kill that ends them.
"""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import Generic, TypeVar

from daeploy_lib.interruption import Interruption, ended_by, under

_T = TypeVar("_T")

# Lines that a reader may be behind.
_AHEAD = 256
# Seconds for the end of an iteration that nobody waits for any more. What takes
# longer is left alone: a runtime need not know that it can be asked to end.
_END_S = 2.0


async def looked_up(work: Callable[[], _T]) -> _T:
    """
    Return what *work* returns, which changes nothing: a cancellation leaves it alone.

    Its thread ends by itself.
    """
    call = _Call(work)
    call.start()
    try:
        await asyncio.wait([call.done])
    except asyncio.CancelledError:
        call.interruption.set()
        raise
    return call.done.result()


async def carried_out(
    work: Callable[[], _T], undo: Callable[[_T], object] | None = None
) -> _T:
    """
    Return what *work* returns; a cancellation ends it, and waits until it has ended.

    Args:
        work: Runs under an ``Interruption``, looks at it now and then, and undoes
            what it began when it is set.
        undo: Called, in a thread as well, with what *work* returned when that came
            too late, so that nobody will know of it; None: that does not matter.

    Raises:
        asyncio.CancelledError: After all that, however often it came.
    """
    call = _Call(work)
    call.start()
    try:
        await asyncio.wait([call.done])
    except asyncio.CancelledError:
        call.interruption.set()
        await _ended(call)
        if undo is not None and call.done.exception() is None:
            result = call.done.result()
            undoing = _Call(lambda: undo(result))
            undoing.start()
            await _ended(undoing)
        raise
    return call.done.result()


async def iterated(source: Callable[[], Iterator[_T]]) -> AsyncGenerator[_T, None]:
    """
    Yield what an iterator yields in a thread; that is never far ahead of the reader.

    Leaving it, by a cancellation too, ends the iterator, if need be while it waits.
    """
    items: asyncio.Queue[_T | None] = asyncio.Queue()
    loop, room = asyncio.get_running_loop(), threading.Semaphore(_AHEAD)

    def read() -> None:
        found = source()
        with contextlib.ExitStack() as stack:
            if isinstance(found, Generator):
                stack.enter_context(contextlib.closing(found))
            for item in found:
                with ended_by(room.release):
                    room.acquire()
                loop.call_soon_threadsafe(items.put_nowait, item)

    call = _Call(read)
    call.done.add_done_callback(lambda _: items.put_nowait(None))
    call.start()
    try:
        while (item := await items.get()) is not None:
            room.release()
            yield item
        call.done.result()
    finally:
        call.interruption.set()
        await asyncio.wait([call.done], timeout=_END_S)


class _Call(Generic[_T]):
    """
    One call in a thread, with the caller's context.

    Attributes:
        done: What it returned or raised, on the loop.
        interruption: Asks it to end.
    """

    def __init__(self, work: Callable[[], _T]) -> None:
        self._loop = asyncio.get_running_loop()
        self._work = work
        # A notebook knows by it in which cell something is shown.
        self._context = contextvars.copy_context()
        self.done: asyncio.Future[_T] = self._loop.create_future()
        # What came too late for anybody to ask is not complained about.
        self.done.add_done_callback(lambda done: done.exception())
        self.interruption = Interruption()

    def start(self) -> None:
        """Begin it."""
        # A daemon: a program that ends is not held up by logs that it follows.
        thread = threading.Thread(target=self._run, name="daeploy-awaited", daemon=True)
        thread.start()

    def _run(self) -> None:
        result: list[_T] = []
        error: BaseException | None = None
        try:
            result.append(self._context.run(self._under_interruption))
        except BaseException as caught:  # noqa: BLE001 - raised by the caller
            error = caught
        # The loop may be closed: nobody waits for it.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._settle, result, error)

    def _under_interruption(self) -> _T:
        with under(self.interruption):
            return self._work()

    def _settle(self, result: list[_T], error: BaseException | None) -> None:
        if error is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(result[0])


async def _ended(call: _Call[_T]) -> None:
    """Wait for the end of a call, whoever cancels meanwhile."""
    while not call.done.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([call.done])
