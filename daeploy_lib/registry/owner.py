"""Who holds a reservation, and whether that process still lives."""

import json
import os
import platform
from pathlib import Path

import attrs
import orjson
import psutil

_PROC = Path("/proc")
# Fields of /proc/PID/stat, counted from the one behind the program's name.
_STATE, _START_TICKS = 0, 19


@attrs.frozen
class Owner:
    """
    One process, told apart from a later one with the same pid.

    Attributes:
        host: Name of the host that it runs on.
        pid: Its process id there.
        born: When it started, in a form that no later process shares.
    """

    host: str
    pid: int
    born: str

    @classmethod
    def current(cls) -> "Owner":
        """Return this process."""
        pid = os.getpid()
        return cls(platform.node(), pid, _born(pid) or "")

    @classmethod
    def from_json(cls, text: str) -> "Owner":
        """Return the owner that ``to_json`` wrote."""
        return cls(**orjson.loads(text))

    def to_json(self) -> str:
        """Return this owner as text, for the registry."""
        return json.dumps(attrs.asdict(self))

    def is_alive(self) -> bool:
        """
        Return whether this very process still runs; a zombie does not.

        A process on another host cannot be looked at and counts as alive.
        """
        return self.host != platform.node() or _born(self.pid) == self.born

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def owner_of(pid: int) -> Owner | None:
    """Return a running process of this host; None if there is none with this pid."""
    born = _born(pid)
    return None if born is None else Owner(platform.node(), pid, born)


def _born(pid: int) -> str | None:
    """
    Return what tells a running process from others with its pid; None if none.

    Linux counts a start in ticks since the boot. Seconds since the epoch, as
    psutil gives them, shift by one whenever the clock is corrected, and a
    living process would be taken for another.
    """
    if (_PROC / "self" / "stat").exists():
        return _born_on_linux(pid)
    try:
        process = psutil.Process(pid)
        is_zombie = process.status() == psutil.STATUS_ZOMBIE
        return None if is_zombie else str(process.create_time())
    except psutil.NoSuchProcess:
        return None


def _born_on_linux(pid: int) -> str | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return None
    # The program's name is in brackets and may itself hold any of them.
    fields = stat.rpartition(")")[2].split()
    if fields[_STATE] in "ZX":
        return None
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        # Some sandboxes hide it; then a reboot can only be told by the ticks.
        boot = ""
    return f"{boot}/{fields[_START_TICKS]}"
