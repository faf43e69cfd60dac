"""Running git: bounded in time and output, and ended with all that it started."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import attrs

from daeploy_lib import interruption

# Without a word from git, which tells of its progress. In seconds.
STALL_SECONDS = 60.0
# Of its output; a list of refs or of files. More is a hostile repository.
OUTPUT_BYTES_MAX = 64 * 1024**2
_ERRORS_BYTES_MAX = 64 * 1024
_CHUNK_BYTES = 64 * 1024
# How often it is looked whether git ended while others keep its pipes open, and
# how much it has written. In seconds.
_LOOK_SECONDS = 0.5


class GitMissingError(Exception):
    """There is no program git."""


class OutputError(Exception):
    """It wrote more than anybody would."""


class OutOfTimeError(Exception):
    """
    It took too long.

    Args:
        seconds: For how long it was waited.
        is_stall: Whether there was no progress, instead of too little.
    """

    def __init__(self, seconds: float, *, is_stall: bool) -> None:
        super().__init__(seconds, is_stall)
        self.seconds, self.is_stall = seconds, is_stall


@attrs.frozen
class Done:
    """
    What a git that ended has left.

    Attributes:
        code: 0 if it did what it was asked.
        output: What it printed.
        errors: The end of its messages.
    """

    code: int
    output: bytes
    errors: str


@attrs.frozen
class Program:
    """
    The program git for one source.

    Args:
        folder: Where it runs.
        timeout: Seconds for everything together.
        ends: The clock's time at which they are over.
    """

    folder: Path
    timeout: float
    ends: float

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        folder: Path | None = None,
        stdin: Path | None = None,
        look: Callable[[], None] = lambda: None,
    ) -> Done:
        """
        Run git to its end.

        Args:
            arguments: What follows ``git``; seen by everybody on the machine.
            environment: All variables.
            folder: Where it runs; the program's own if not given.
            stdin: What it reads; nothing if not given.
            look: Called every half second, and may raise to end it.

        Raises:
            GitMissingError: If it is not installed.
            OutOfTimeError: If it takes too long.
            OutputError: If it prints too much.
            Interrupted: If the work was asked to end.
        """
        interruption.check()
        with contextlib.ExitStack() as stack:
            reads: IO[bytes] | int = subprocess.DEVNULL
            if stdin is not None:
                reads = stack.enter_context(stdin.open("rb"))
            try:
                process = subprocess.Popen(  # noqa: S603 - words of our own
                    ["git", *arguments],  # noqa: S607 - the one that the user has
                    cwd=folder or self.folder,
                    env=environment,
                    stdin=reads,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    # No terminal to ask on; and one group, to be killed as one.
                    start_new_session=True,
                )
            except (FileNotFoundError, PermissionError) as error:
                raise GitMissingError from error
            stack.enter_context(_ended(process))
            with interruption.ended_by(lambda: _kill(process)):
                return self._followed(process, look)

    def _followed(
        self, process: "subprocess.Popen[bytes]", look: Callable[[], None]
    ) -> Done:
        output, errors = bytearray(), bytearray()
        heard = looked = time.monotonic()
        with selectors.DefaultSelector() as selector:
            for pipe, read in ((process.stdout, output), (process.stderr, errors)):
                if pipe is not None:
                    selector.register(pipe, selectors.EVENT_READ, read)
            while selector.get_map():
                ready = selector.select(self._patience(heard))
                for key, _ in ready:
                    chunk = os.read(key.fd, _CHUNK_BYTES)
                    if not chunk:
                        selector.unregister(key.fileobj)
                    key.data.extend(chunk)
                interruption.check()
                if ready:
                    heard = time.monotonic()
                elif process.poll() is not None:
                    # A connection that ssh keeps for later has the pipes still.
                    break
                del errors[:-_ERRORS_BYTES_MAX]
                if len(output) > OUTPUT_BYTES_MAX:
                    raise OutputError
                if time.monotonic() - looked >= _LOOK_SECONDS:
                    look()
                    looked = time.monotonic()
        code = self._code(process)
        return Done(code, bytes(output), errors.decode("utf-8", "replace"))

    def _code(self, process: "subprocess.Popen[bytes]") -> int:
        try:
            return process.wait(max(0.0, self.ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise OutOfTimeError(self.timeout, is_stall=False) from None

    def _patience(self, heard: float) -> float:
        """Return for how long to wait now, if at all."""
        now = time.monotonic()
        if now >= self.ends:
            raise OutOfTimeError(self.timeout, is_stall=False)
        if now >= heard + STALL_SECONDS:
            raise OutOfTimeError(STALL_SECONDS, is_stall=True)
        return min(_LOOK_SECONDS, self.ends - now)


@contextlib.contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        _kill(process)
        # They are not read to their ends, which may never come.
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill it and what it started, unless it has ended."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
