"""
A daemon that outlives its starter and is recognised later.

A pid alone is not an identity: after a SIGKILL or a reboot it may belong to
another program. A daemon is ours if its command line names a path of ours.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from container_engine.errors import EngineUnavailableError

POLL = 0.05


def running(pidfile: Path, mark: str) -> psutil.Process | None:
    """Return the live process in *pidfile* whose command line contains *mark*."""
    try:
        process = psutil.Process(int(pidfile.read_text()))
        # A zombie has ended: only its parent has not looked yet.
        ended = process.status() == psutil.STATUS_ZOMBIE
        ours = any(mark in argument for argument in process.cmdline())
    except (OSError, ValueError, psutil.Error):
        return None
    return process if ours and not ended else None


def start(command: Sequence[str], log: Path, pidfile: Path | None = None) -> int:
    """
    Start *command* in the background and return its pid.

    It gets a session of its own, so that Ctrl-C in the tests does not reach it,
    and a parent that ends at once, so that it never is a zombie of ours.
    """
    script = '"$@" >"$0" 2>&1 </dev/null & echo $!'
    done = subprocess.run(
        ["/bin/sh", "-c", script, str(log), *command],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=log.parent,  # Podman's conmon leaves files where it was started
    )
    if pidfile is not None:
        pidfile.write_text(done.stdout)
    return int(done.stdout)


def wait_until(
    ready: Callable[[], bool], pid: int, log: Path, *, timeout: float, what: str
) -> None:
    """
    Wait until a started daemon is ready.

    Raises:
        EngineUnavailableError: If it ends first or needs more than *timeout* seconds.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        ended = not _is_alive(pid)
        if ended or time.monotonic() > deadline:
            state = "ended at once" if ended else f"gave no answer in {timeout:g} s"
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise EngineUnavailableError(
                f"{what} {state}. The end of its log, {log}:\n{tail}\n"
                "Start a Docker engine yourself and name it in DOCKER_HOST, or run the "
                'tests that need no engine: nox -s tests -- -m "not docker"'
            )
        time.sleep(POLL)


def stop(process: psutil.Process, *, timeout: float) -> None:
    """End *process*: SIGTERM, then SIGKILL after *timeout* seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            return
        deadline = time.monotonic() + timeout
        while _is_alive(process.pid):
            if time.monotonic() > deadline:
                break
            time.sleep(POLL)
        else:
            return


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False
