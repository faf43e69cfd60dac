"""
Entries of an archive, written into an empty directory, and into nothing else.

Every name is vetted before it is used; nothing is ever written over, nor through a
link, because links are made when everything else is there. Where they lead is vetted
with the directory, as that of any other source.
"""

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from daeploy_lib import interruption
from daeploy_lib.sources.archive.entry import BrokenArchiveError, Entry
from daeploy_lib.sources.members import (
    BYTES_MAX,
    MEMBERS_MAX,
    PATH_BYTES_MAX,
    shown,
)

# Of one name in a directory, on nearly every file system.
_NAME_BYTES_MAX = 255
# Times the archive's own size, that it may unpack to, and bytes that are free. Text
# packs to a tenth; what packs better than this is made to.
_RATIO_MAX, _FREE_BYTES = 200, 256 * 1024**2
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW


class Unpacking:
    """
    Writes the members of one archive.

    Args:
        folder: Empty, and nobody else's.
        size: Bytes of the archive.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._left = min(BYTES_MAX, _RATIO_MAX * size + _FREE_BYTES)
        self._size = size
        self._kinds: dict[PurePosixPath, str] = {PurePosixPath("."): "directory"}
        self._links: dict[PurePosixPath, str] = {}

    def take(self, entries: Iterable[Entry]) -> None:
        """
        Write all members.

        Raises:
            BrokenArchiveError: If one must not be written.
            OSError: If one cannot be written.
        """
        for count, entry in enumerate(entries):
            interruption.check()
            if count >= MEMBERS_MAX:
                raise BrokenArchiveError(f"it holds more than {MEMBERS_MAX:,} files")
            self._take(entry, _vetted(entry.path))
        for path, target in self._links.items():
            os.symlink(target, self._folder / path)  # noqa: PTH211 - as it is written

    def _take(self, entry: Entry, path: PurePosixPath) -> None:
        if entry.kind == "directory":
            self._make(path)
            return
        self._make(path.parent)
        if path in self._kinds:
            raise BrokenArchiveError(f"it holds {shown(str(path))} more than once")
        self._kinds[path] = entry.kind
        if entry.kind == "file":
            self._write(path, entry)
        elif entry.kind == "same":
            self._copy(path, _vetted(entry.target))
        else:
            self._links[path] = _target(path, entry.target)

    def _make(self, path: PurePosixPath) -> None:
        """Make a directory, and those above it."""
        kind = self._kinds.get(path)
        if kind is None:
            self._make(path.parent)
            self._kinds[path] = "directory"
            with _alike(path):
                (self._folder / path).mkdir(mode=0o700)
        elif kind != "directory":
            raise BrokenArchiveError(
                f"{shown(str(path))} in it is a {kind} and a directory as well"
            )

    def _write(self, path: PurePosixPath, entry: Entry) -> None:
        mode = 0o700 if entry.is_executable else 0o600
        with _alike(path):
            descriptor = os.open(self._folder / path, _NEW, mode)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            for chunk in entry.content:
                interruption.check()
                self._count(len(chunk))
                file.write(chunk)

    def _copy(self, path: PurePosixPath, first: PurePosixPath) -> None:
        """Copy a file that the archive has under another name before this one."""
        if self._kinds.get(first) != "file":
            raise BrokenArchiveError(
                f"{shown(str(path))} in it is a second name of {shown(str(first))}, "
                f"which is no file before it"
            )
        self._count((self._folder / first).stat().st_size)
        shutil.copy(self._folder / first, self._folder / path, follow_symlinks=False)
        self._kinds[path] = "file"

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise BrokenArchiveError(
                f"it has {self._size:,} bytes, and unpacks to more than a service has"
            )


class _alike:  # noqa: N801 - reads as a statement
    """Explains why what is not there cannot be made."""

    def __init__(self, path: PurePosixPath) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Begin to make it."""

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, FileExistsError):
            raise BrokenArchiveError(
                f"{shown(str(self._path))} in it has a name that differs from another "
                f"only as this file system does not tell apart"
            ) from None
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise _too_long(str(self._path)) from None


def _vetted(path: str) -> PurePosixPath:
    """Return a name as a path that stays below the directory."""
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        raise BrokenArchiveError(f"the name {path!r} in it is not UTF-8") from None
    if "\0" in path:
        raise BrokenArchiveError(f"the name {path!r} in it holds a NUL")
    if path.startswith("/"):
        raise BrokenArchiveError(f"{shown(path)} in it is an absolute path")
    found = PurePosixPath(path)
    if ".." in found.parts:
        raise BrokenArchiveError(f"{shown(path)} in it leads out of it")
    if length > PATH_BYTES_MAX or any(
        len(name.encode()) > _NAME_BYTES_MAX for name in found.parts
    ):
        raise _too_long(path)
    return found


def _target(path: PurePosixPath, target: str) -> str:
    try:
        is_sane = 0 < len(target.encode()) <= PATH_BYTES_MAX and "\0" not in target
    except UnicodeEncodeError:
        is_sane = False
    if not is_sane:
        raise BrokenArchiveError(f"the link {shown(str(path))} in it leads nowhere")
    return target


def _too_long(path: str) -> BrokenArchiveError:
    return BrokenArchiveError(f"the path {shown(path[:80])}… in it is too long")
