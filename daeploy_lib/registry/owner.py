"""Who holds a reservation, and whether that process still lives."""

import json
import os
import platform

import attrs
import psutil

# Start times are read in ticks of a hundredth of a second; a pid that was
# reused within one tick of its first owner's start is not a case that exists.
_START_TOLERANCE_S = 0.02


@attrs.frozen
class Owner:
    """
    One process, told apart from a later one with the same pid.

    Attributes:
        host: Name of the host that it runs on.
        pid: Its process id there.
        started_at: When it started, in seconds since the epoch.
    """

    host: str
    pid: int
    started_at: float

    @classmethod
    def current(cls) -> "Owner":
        """Return this process."""
        pid = os.getpid()
        return cls(platform.node(), pid, psutil.Process(pid).create_time())

    @classmethod
    def from_json(cls, text: str) -> "Owner":
        """Return the owner that ``to_json`` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Return this owner as text, for the registry."""
        return json.dumps(attrs.asdict(self))

    def is_alive(self) -> bool:
        """
        Return whether this very process still runs.

        A process on another host cannot be looked at and counts as alive.
        """
        if self.host != platform.node():
            return True
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.started_at) < _START_TOLERANCE_S
            return is_same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"
