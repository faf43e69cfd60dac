"""
Where the runtime keeps what it knows: plain files, for this user only.

::

    packages/KEY/       a virtual environment, shared by all that need the same
    builds/ID/          build.json and the content of one version, in app/
    instances/ID/       instance.json, state.json, logs, and a directory for temporary
                        files
    scratch/            what is being made or removed
    lock                held while ports are chosen and things are made

A file is replaced as a whole, so that nobody reads half of one; a directory comes with
what is written of it and goes as a whole, so that a crash leaves none that is nobody's.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from daeploy_lib import interruption

JSON: TypeAlias = Mapping[str, Any]

# Seconds between two attempts to get a lock.
_POLL_S = 0.02

BUILD, INSTANCE, STATE = "build.json", "instance.json", "state.json"
SETTLED, MAIN_SHARE = "settled", "main-share"


class Folders:
    """
    The runtime's directory.

    Args:
        root: Where it is; made when it is first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def packages(self) -> Path:
        """Virtual environments, by what they hold."""
        return self.root / "packages"

    @property
    def builds(self) -> Path:
        """What was built, by id."""
        return self.root / "builds"

    @property
    def instances(self) -> Path:
        """What was started, by id."""
        return self.root / "instances"

    def new(self, kind: Path, identifier: str, file: str, about: JSON) -> Path:
        """
        Make a directory of a kind, with one file in it; whoever calls holds the lock.

        Args:
            kind: Such as ``builds``.
            identifier: A new one, of ``new_id``.
            file: Name of the file.
            about: What is in it.
        """
        for abandoned in each(self._scratch):
            shutil.rmtree(abandoned, ignore_errors=True)
        making = self._scratch / identifier
        make(self._scratch)
        make(making)
        try:
            write(making / file, about)
            make(kind)
            return making.rename(kind / identifier)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise

    def remove(self, folder: Path) -> None:
        """Remove a directory; gone is no error."""
        going = self._scratch / f"{folder.name}.{secrets.token_hex(4)}"
        try:
            make(self._scratch)
            folder.rename(going)
        except OSError:
            going = folder  # it is gone, or the disk is full
        shutil.rmtree(going, ignore_errors=True)

    @property
    def _scratch(self) -> Path:
        return self.root / "scratch"

    @contextlib.contextmanager
    def locked(self, name: str = "lock") -> Iterator[None]:
        """Keep out everybody else on this machine who wants the same."""
        make(self.root)
        with open(self.root / name, "a", encoding="ascii") as file:  # noqa: PTH123
            while not _is_ours(file):
                interruption.wait(_POLL_S)
            yield


def _is_ours(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def new_id() -> str:
    """Return an id that nothing had before."""
    return f"process-{secrets.token_hex(8)}"


def make(folder: Path) -> None:
    """Make a directory that only this user may look into."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def each(kind: Path) -> Iterator[Path]:
    """Yield the directories of a kind; none if there was never one."""
    with contextlib.suppress(OSError):
        yield from sorted(path for path in kind.iterdir() if path.is_dir())


def write(path: Path, value: JSON) -> None:
    """Replace a file of JSON as a whole."""
    making = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(making, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(value, file)
    making.replace(path)


def read(path: Path) -> dict[str, Any] | None:
    """Return a file of JSON; None if it is not there or not whole."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
