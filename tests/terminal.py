"""A program in a terminal of its own: a person's side of a pseudo-terminal."""

import fcntl
import os
import pty
import selectors
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

# A person would have given up; a machine under load has not.
PATIENCE_S = 60.0
# Makes its terminal the controlling one, so that Ctrl-C reaches the program.
_LAUNCH = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
_SIZE = ("COLUMNS", "LINES")


class Terminal:
    """
    A program that runs in a pseudo-terminal; it ends with the ``with`` block.

    Args:
        words: The program's absolute path, and its arguments.
        environment: All of its variables.
        cwd: Where it starts.
        columns: How wide the terminal is.
    """

    def __init__(
        self,
        words: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        cwd: Path,
        columns: int = 100,
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _LAUNCH, *map(str, words)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # The size is the terminal's, not what another one has left there.
            env={k: v for k, v in environment.items() if k not in _SIZE},
            cwd=cwd,
        )
        os.close(theirs)
        self._raw = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._ours)

    @property
    def text(self) -> str:
        """All that was shown so far, with plain ends of lines."""
        return self._raw.decode().replace("\r\n", "\n")

    def type(self, text: str) -> None:
        """Press keys; the character 3 is Ctrl-C."""
        os.write(self._ours, text.encode())

    def expect(self, text: str, times: int = 1) -> None:
        """Wait until a text has been shown, or shown so often."""
        deadline = time.monotonic() + PATIENCE_S
        while self.text.count(text) < times:
            assert self._read(deadline), f"never shown: {text!r} in\n{self.text}"

    def expect_question(self, text: str, times: int = 1) -> None:
        """
        Wait until a question has been shown, and the program waits for its answer.

        Ctrl-C that comes between both is noticed by Python at the next key only.
        """
        self.expect(text, times)
        deadline = time.monotonic() + PATIENCE_S
        status = Path(f"/proc/{self._process.pid}/stat")
        while status.read_text().rpartition(") ")[2][0] != "S":
            assert time.monotonic() < deadline, f"does not wait\n{self.text}"
            time.sleep(0.01)

    def end(self) -> int:
        """Wait until the program has ended; return its exit code."""
        deadline = time.monotonic() + PATIENCE_S
        while self._read(deadline):
            continue
        return self._process.wait(PATIENCE_S)

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        self._process.send_signal(number)

    def _read(self, deadline: float) -> bool:
        """Read what comes next; False once nothing will."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._ours, selectors.EVENT_READ)
            left = deadline - time.monotonic()
            assert selector.select(max(0.0, left)), f"nothing more after\n{self.text}"
        try:
            read = os.read(self._ours, 65536)
        except OSError:
            # Linux's way of saying that the other side is closed.
            return False
        self._raw += read
        return bool(read)
