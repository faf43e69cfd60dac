"""
What stands by one service: a small program of its own, without the rest of the library.

It starts the service, writes down its output, starts it again when it fails, and ends
it with everything that it has started. ``ProcessRuntime`` runs it as
``python -P supervisor.py DIRECTORY``, tells it on standard input what to do, and does
not wait for it. What it knows of the service is in ``state.json``. It keeps a socket
open that it was given, without a word: see ``ports.py``.
"""

import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

# Bytes of one log file, and how many there are.
LOG_BYTES, LOG_FILES = 2 * 1024**2, 3
# A line that is longer is cut there into several.
_LINE_BYTES = 16 * 1024
RESTARTS = 3
# Seconds before each of them, and how long it has to run for the count to begin anew.
_PAUSES_S = (0.5, 2.0, 5.0)
_WELL_S = 60.0
_TICK_S = 0.2
# Between two looks at how much it uses.
_WEIGH_S = 1.0
# Linux's prctl(2).
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER, _SET_NO_NEW_PRIVS = 1, 36, 38
_SIGNALLED = 128


class Log:
    """Lines with their time and stream, in files that are bounded together."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "log"
        self._file = self._path.open("ab", buffering=0)
        self._rest = {"stdout": b"", "stderr": b""}

    def take(self, stream: str, content: bytes) -> None:
        """Write the lines that are complete."""
        *lines, rest = (self._rest[stream] + content).split(b"\n")
        while len(rest) > _LINE_BYTES:
            lines.append(rest[:_LINE_BYTES])
            rest = rest[_LINE_BYTES:]
        self._rest[stream] = rest
        for line in lines:
            self._write(stream, line)

    def end(self) -> None:
        """Write what has no end of line."""
        for stream, rest in self._rest.items():
            if rest:
                self._write(stream, rest)
            self._rest[stream] = b""

    def _write(self, stream: str, line: bytes) -> None:
        mark = f"{time.time_ns()} {stream} ".encode()
        # A disk without room is no reason for the service to end.
        with contextlib.suppress(OSError):
            self._file.write(mark + line.removesuffix(b"\r") + b"\n")
            if self._file.tell() > LOG_BYTES:
                self._rotate()

    def _rotate(self) -> None:
        for number in range(LOG_FILES - 1, 0, -1):
            older = self._path if number == 1 else Path(f"{self._path}.{number - 1}")
            if older.exists():
                older.replace(f"{self._path}.{number}")
        self._file.close()
        self._file = self._path.open("ab", buffering=0)


class Supervisor:
    """
    Stands by one service.

    Args:
        folder: Of the instance.
        order: What to run: ``words``, ``directory``, ``environment``; and what it
            may use: ``memory``, ``pids``, ``processors``.
    """

    def __init__(self, folder: Path, order: dict[str, Any]) -> None:
        self._folder = folder
        self._order = order
        self._log = Log(folder)
        self._is_asked_to_end = False
        self._must_end_now = False
        self._restarts = 0
        self._service: subprocess.Popen[bytes] | None = None
        self._is_too_large = False

    def run(self) -> None:
        """Stand by until the service has ended for good."""
        signal.signal(signal.SIGTERM, self._asked)
        signal.signal(signal.SIGUSR1, self._asked)
        code = 0
        while not self._is_asked_to_end:
            began = time.monotonic()
            code = self._once()
            if time.monotonic() - began > _WELL_S:
                self._restarts = 0
            may_go_on = (self._folder / "settled").exists() and code != 0
            if not may_go_on or self._restarts >= RESTARTS:
                break
            self._note("restarting", code)
            until = time.monotonic() + _PAUSES_S[self._restarts]
            while time.monotonic() < until and not self._is_asked_to_end:
                time.sleep(_TICK_S)
            self._restarts += 1
        self._note("exited", code)

    def _once(self) -> int:
        """Run the service until it ends; return its exit code."""
        order = self._order
        self._is_too_large = False
        try:
            service = subprocess.Popen(  # noqa: S603 - it is what was deployed
                order["words"],
                cwd=order["directory"],
                env=order["environment"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                # There are no threads here.
                preexec_fn=partial(_restrain, order["processors"]),  # noqa: PLW1509
            )
        except OSError as error:
            words = f"{order['words'][0]}: {error.strerror}\n"
            self._log.take("stderr", words.encode())
            return 127
        self._service = service
        with contextlib.suppress(OSError):
            share(service.pid, is_main=(self._folder / "main-share").exists())
        self._note("running", None, started_at=time.time())
        self._read_until_end(service)
        self._sweep()
        self._log.end()
        self._service = None
        code = service.wait()
        return _SIGNALLED - code if code < 0 else code

    def _read_until_end(self, service: "subprocess.Popen[bytes]") -> None:
        weighed_at = 0.0
        with selectors.DefaultSelector() as selector:
            for name, pipe in (("stdout", service.stdout), ("stderr", service.stderr)):
                if pipe is not None:
                    os.set_blocking(pipe.fileno(), False)
                    selector.register(pipe, selectors.EVENT_READ, name)
            while service.poll() is None:
                self._read(selector, _TICK_S)
                if self._is_asked_to_end:
                    self._end(service)
                if time.monotonic() - weighed_at > _WEIGH_S:
                    weighed_at = time.monotonic()
                    self._weigh(service)
            # What it wrote last; others may hold the pipes open for ever.
            self._read(selector, 0.0)

    def _read(self, selector: selectors.BaseSelector, seconds: float) -> None:
        if not selector.get_map():
            time.sleep(seconds)
            return
        for key, _ in selector.select(seconds):
            pipe: Any = key.fileobj
            while True:
                try:
                    content = os.read(pipe.fileno(), 65536)
                except BlockingIOError:
                    break
                if not content:
                    selector.unregister(pipe)
                    break
                self._log.take(key.data, content)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGUSR1:
            self._must_end_now = True
        self._is_asked_to_end = True

    def _end(self, service: "subprocess.Popen[bytes]") -> None:
        """Ask it to end, once; or end it, with all that it has started."""
        if self._must_end_now:
            self._sweep()
        elif not self._order.get("was_asked"):
            self._order["was_asked"] = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(service.pid, signal.SIGTERM)

    def _sweep(self) -> None:
        """End whatever the service has started, also what has left its session."""
        for _ in range(100):
            # Those whose parent has ended have become ours: see _SET_CHILD_SUBREAPER.
            left = [
                child
                for child in psutil.Process().children(recursive=True)
                if child.status() != psutil.STATUS_ZOMBIE
            ]
            if not left:
                break
            for child in left:
                with contextlib.suppress(psutil.Error):
                    child.kill()
            time.sleep(0.01)
        self._reap()

    def _reap(self) -> None:
        service = self._service
        if service is not None:
            service.wait()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def _weigh(self, service: "subprocess.Popen[bytes]") -> None:
        """End the service if it uses more than it may."""
        used = pids = 0
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(service.pid)
            for one in (root, *root.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    used += one.memory_info().rss
                    pids += one.num_threads()
        self._is_too_large = used > self._order["memory"]
        if self._is_too_large:
            self._log.take("stderr", b"Ended: it used more memory than it may.\n")
        elif pids > self._order["pids"]:
            words = f"Ended: it had {pids} processes and threads, more than it may.\n"
            self._log.take("stderr", words.encode())
        else:
            return
        self._sweep()

    def _note(self, status: str, code: int | None, **more: float) -> None:
        path = self._folder / "state.json"
        kept = json.loads(path.read_text()) if path.exists() else {}
        service = self._service
        kept |= {
            "status": status,
            "exit_code": code,
            "oom_killed": self._is_too_large,
            "restarts": self._restarts,
            "pid": None if service is None else service.pid,
            **more,
        }
        making = path.with_name("state.json.new")
        making.write_text(json.dumps(kept))
        making.replace(path)


def share(pid: int, *, is_main: bool) -> None:
    """Give the session of a process main's or a shadow's share of the processors."""
    Path(f"/proc/{pid}/autogroup").write_text("0" if is_main else "10", "ascii")


def _restrain(processors: list[int]) -> None:
    """Let the service gain no rights, and not outlive who stands by it."""
    if processors:
        # One of them may have been taken away meanwhile.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, processors)
    _prctl(_SET_NO_NEW_PRIVS, 1)
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    """Tell Linux; elsewhere there is no such thing."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def main(folder: Path) -> None:
    """Leave whoever started this behind, and stand by what they name."""
    child = os.fork()
    if child:
        os.write(1, f"{child}\n".encode())
        os._exit(0)
    os.setsid()
    # Nobody reads on; an error would go to a pipe that is closed.
    silence = os.open(os.devnull, os.O_RDWR)
    os.dup2(silence, 1)
    order = sys.stdin.readline()
    if not order.endswith("\n"):
        return  # who started this has ended before it was complete
    os.dup2(silence, 0)
    _prctl(_SET_CHILD_SUBREAPER, 1)
    Supervisor(folder, json.loads(order)).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
