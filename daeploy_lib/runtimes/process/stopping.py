"""The end of an instance: asked, then ended, with everything that it has started."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from daeploy_lib import interruption
from daeploy_lib.runtimes.process.folders import Folders
from daeploy_lib.runtimes.process.records import Record, record_in
from daeploy_lib.runtimes.process.starting import MARK

_POLL_S = 0.02
# Seconds in which whoever stands by it ends everything, once told to do so now.
_END_S = 5.0


def stop(places: Folders, folder: Path, *, grace: float) -> None:
    """
    End an instance and remove what is written of it; gone is no error.

    Args:
        places: Where the runtime keeps what it knows.
        folder: Its directory.
        grace: Seconds that it has between SIGTERM and SIGKILL.
    """
    record = record_in(folder)
    if record is not None:
        _end(record, grace)
        _sweep(record.id)
    places.remove(folder)


def _end(record: Record, grace: float) -> None:
    owner = record.owner
    if owner is None:
        return
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGUSR1, _END_S)):
        if seconds <= 0:
            continue
        # Looked at right before: a later process with its number is not touched.
        if not owner.is_alive():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(owner.pid, number)
        deadline = time.monotonic() + seconds
        while owner.is_alive() and time.monotonic() < deadline:
            interruption.wait(_POLL_S)
    if owner.is_alive():
        with contextlib.suppress(ProcessLookupError):
            os.kill(owner.pid, signal.SIGKILL)


def _sweep(instance: str) -> None:
    """End what has outlived whoever stood by it: SIGKILL leaves no last words."""
    for process in _marked(instance):
        with contextlib.suppress(psutil.Error):
            process.kill()
    deadline = time.monotonic() + _END_S
    while any(_marked(instance)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def _marked(instance: str) -> Iterator[psutil.Process]:
    """Yield the processes that have an instance's mark in their environment."""
    for process in psutil.process_iter():
        try:
            is_ours = process.environ().get(MARK) == instance
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (psutil.Error, OSError):
            continue  # another user's, or gone
