"""Programs under test: started, measured from outside, ended by their ids."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

PATIENCE = 15.0  # seconds for a program to open its port
GRACE = 5.0  # seconds for a program to end when asked to

CORES = sorted(os.sched_getaffinity(0))
# What is measured has a core of its own; who loads it and who answers share the
# others, so that neither takes its caches away.
MEASURED = CORES[-1:]
OTHERS = CORES[:-1] or CORES


class Program:
    """One running program with all its children."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._root = psutil.Process(process.pid)
        self._process = process
        self.log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._root.pid

    def _tree(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Return user and system time of all its processes so far."""
        return sum(sum(p.cpu_times()[:2]) for p in self._tree())

    def rss_bytes(self) -> int:
        """Return the resident memory of all its processes."""
        return sum(p.memory_info().rss for p in self._tree())

    def forget_peak(self) -> None:
        """Begin a new peak of the resident memory (proc(5), clear_refs)."""
        for process in self._tree():
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")

    def peak_bytes(self) -> int:
        """Return the sum of the peaks of its processes' resident memory."""
        total = 0
        for process in self._tree():
            status = Path(f"/proc/{process.pid}/status").read_text()
            line = next(li for li in status.splitlines() if li.startswith("VmHWM"))
            total += int(line.split()[1]) * 1024
        return total

    def check(self) -> None:
        """Raise if it has ended by itself."""
        if self._process.poll() is not None:
            raise RuntimeError(f"It ended by itself: {self.log.read_text()[-2000:]}")

    def end(self) -> None:
        """Ask it to end, then end what is left of it."""
        try:
            tree = self._tree()
        except psutil.NoSuchProcess:
            self._process.wait()
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
    cores: Sequence[int] = OTHERS,
) -> Iterator[Program]:
    """
    Yield a program once its port is open; end it, whatever happens.

    It has a session of its own: Ctrl-C reaches the benchmark alone, which ends
    what it has started.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        program = Program(_spawn(command, log, environment, cores), log)
        try:
            if port is not None:
                _until_open(port, program)
            yield program
        finally:
            program.end()


def _spawn(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None,
    cores: Sequence[int],
) -> "subprocess.Popen[bytes]":
    before = os.sched_getaffinity(0)
    # Inherited, so that also the program's first threads and children stay there.
    os.sched_setaffinity(0, cores)
    try:
        with log.open("wb") as output:
            return subprocess.Popen(
                command,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    finally:
        os.sched_setaffinity(0, before)


def _until_open(port: int, program: Program) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        program.check()
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"Port {port} did not open: {program.log.read_text()[-2000:]}")


def found(name: str) -> str | None:
    """Find a program, also where a user's PATH does not look: Debian's nginx."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
