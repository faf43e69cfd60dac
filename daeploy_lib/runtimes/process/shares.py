"""
Processor time: under contention main wins.

Linux groups the processes of a session and gives each group a niceness, which the
owner may raise and lower again, as that of a process may not be (sched(7), "The
autogroup feature"). Where there is no such thing all versions have equal shares.
"""

import contextlib
from pathlib import Path

from daeploy_lib.runtimes.process import folders
from daeploy_lib.runtimes.process.supervisor import share


def set_share(folder: Path, *, is_main: bool) -> None:
    """Give an instance main's or a shadow's share, now and when it starts again."""
    mark = folder / folders.MAIN_SHARE
    if is_main:
        mark.touch(mode=0o600)
    else:
        mark.unlink(missing_ok=True)
    pid = (folders.read(folder / folders.STATE) or {}).get("pid")
    if isinstance(pid, int):
        with contextlib.suppress(OSError):
            share(pid, is_main=is_main)
