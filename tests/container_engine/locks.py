"""
File locks that the kernel releases when their holder dies, however it dies.

flock(2) and not a pid in a file: after a SIGKILL nothing is left to clean up.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Lock:
    """One open lock file; closing it releases the lock."""

    def __init__(self, path: Path) -> None:
        # Not inherited by programs we start (PEP 446), so a daemon cannot keep it.
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def share(self) -> None:
        """Hold the lock together with others; wait while someone has it alone."""
        fcntl.flock(self._fd, fcntl.LOCK_SH)

    def take(self) -> None:
        """Hold the lock alone; wait until everyone else has released it."""
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def try_take(self) -> bool:
        """Hold the lock alone if nobody else holds it, and say whether."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Release the lock."""
        os.close(self._fd)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock at *path* alone for the length of a block."""
    lock = Lock(path)
    try:
        lock.take()
        yield
    finally:
        lock.close()
