"""Asking work in a thread to end early: it looks at a token between its steps."""

import contextlib
import contextvars
import threading
import time
from collections.abc import Callable, Iterator


class Interrupted(BaseException):
    """The work was asked to end; what it began is undone as after Ctrl-C."""


class Interruption:
    """
    Asks the work that runs under it to end; may be set from any thread.

    Example:
        >>> asked = Interruption()
        >>> asked.set()
        >>> with under(asked):
        ...     check()
        Traceback (most recent call last):
        daeploy_lib.interruption.Interrupted
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], object]] = []

    @property
    def is_set(self) -> bool:
        """Whether the work is to end."""
        return self._asked.is_set()

    def set(self) -> None:
        """Ask the work to end, and wake it where it waits."""
        with self._lock:
            self._asked.set()
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than until it is set."""
        self._asked.wait(seconds)

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], object]) -> Iterator[None]:
        """Have *wake* called when it is set; at once if it is already."""
        with self._lock:
            self._wakers.append(wake)
            is_late = self._asked.is_set()
        try:
            if is_late:
                wake()
            yield
        finally:
            with self._lock:
                self._wakers.remove(wake)


_current: contextvars.ContextVar[Interruption | None] = contextvars.ContextVar(
    "daeploy_interruption", default=None
)


@contextlib.contextmanager
def under(interruption: Interruption | None) -> Iterator[None]:
    """Let the work of the block be ended by a token; None: by nothing."""
    token = _current.set(interruption)
    try:
        yield
    finally:
        _current.reset(token)


def is_interrupted() -> bool:
    """Return whether the work is to end."""
    current = _current.get()
    return current is not None and current.is_set


def check() -> None:
    """
    Do nothing, unless the work is to end.

    Raises:
        Interrupted: If it is.
    """
    if is_interrupted():
        raise Interrupted


def wait(seconds: float) -> None:
    """
    Sleep, but wake as soon as the work is to end.

    Raises:
        Interrupted: If it is.
    """
    current = _current.get()
    if current is None:
        time.sleep(seconds)
        return
    current.wait(seconds)
    check()


@contextlib.contextmanager
def ended_by(wake: Callable[[], object]) -> Iterator[None]:
    """
    Have *wake* called, in another thread, when the work of the block is to end.

    It makes the block fail, or look as if it were complete: closes what it reads
    from, or kills what it waits for. Neither is then taken for what it seems.

    Raises:
        Interrupted: If the work was asked to end.
    """
    current = _current.get()
    if current is None:
        yield
        return
    with current.waking(wake):
        try:
            yield
        except Exception:
            check()
            raise
        check()


def not_waited_for(work: Callable[[], object]) -> None:
    """
    Do some work; if what runs here is to end, leave the work alone and go.

    It then goes on in a thread of its own, and nobody learns how it ends. For what
    somebody else does, whom nobody has to wait for.

    Raises:
        Interrupted: If the work was left alone.
        Exception: Whatever *work* raises until then.
    """
    if _current.get() is None:
        work()
        return
    done = threading.Event()
    errors: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised below, if anybody waits
            errors.append(error)
        finally:
            done.set()

    with ended_by(done.set):
        threading.Thread(target=run, name="daeploy-left", daemon=True).start()
        done.wait()
    if errors:
        raise errors[0]
