"""
The members of a build context, each one vetted.

Nothing leaves the directory: a link that leads out of it, a device, a pipe or a
socket is refused by name. Links inside are kept as links and never followed.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Generator
from pathlib import Path

import attrs

from daeploy_lib.errors import SourceError
from daeploy_lib.sources.ignoring import Ignoring, Verdict
from daeploy_lib.sources.kept_out import (
    PEM_BYTES_MAX,
    PRIVATE_KEY,
    VENV_MARK,
    is_kept_out,
    is_named,
)
from daeploy_lib.sources.reading import (
    LinkError,
    end_of_link,
    open_directory,
    open_file,
)

# Members of a context, and their bytes in all. More is a mistake: a home
# directory, a file system, a dataset that should be mounted.
MEMBERS_MAX = 100_000
BYTES_MAX = 64 * 1024**3
# Of a path, PATH_MAX of Linux: nobody could unpack more.
PATH_BYTES_MAX = 4096
# Read by the builder itself, and therefore never left out.
FOR_BUILDER = ("Dockerfile", ".dockerignore")


@attrs.frozen
class Member:
    """
    One file, link or directory.

    Attributes:
        path: Relative to the directory, with ``/``.
        kind: ``file``, ``link`` or ``directory``.
        is_executable: Whether its owner may run it.
        size: Of a file, in bytes.
        target: Of a link, as it is written.
        is_for_builder: Whether only the builder may see it: a Dockerfile or a
            ``.dockerignore`` that is left out of the image.
    """

    path: str
    kind: str
    is_executable: bool = False
    size: int = 0
    target: str = ""
    is_for_builder: bool = False


def vetted_members(root: Path, ignoring: Ignoring) -> tuple[Member, ...]:
    """
    Return the members of a directory, sorted by path.

    Raises:
        SourceError: If one must not be in a context, or cannot be read; if
            there are more than ``MEMBERS_MAX``, or more than ``BYTES_MAX``.
    """
    members: list[Member] = []
    size = 0
    with contextlib.closing(_found(root, ignoring)) as found:
        for member in found:
            members.append(member)
            size += member.size
            if len(members) > MEMBERS_MAX or size > BYTES_MAX:
                raise _too_much(root)
    return tuple(sorted(members, key=lambda member: member.path))


def _too_much(root: Path) -> SourceError:
    return refused(
        root,
        f"it holds more than {MEMBERS_MAX:,} files or {BYTES_MAX // 1024**3} GiB. Name "
        f"the service's own directory, or list what it does not need in .dockerignore",
    )


def refused(root: Path, why: str) -> SourceError:
    """Return the error for a directory that cannot be a source."""
    return SourceError(f"Cannot use {root} as a source: {why}.", stage="source")


def unreadable(root: Path, path: str, error: OSError) -> SourceError:
    """Return the error for a member that cannot be read."""
    return refused(
        root,
        f"{shown(path)} cannot be read: {error.strerror}. Allow it, or list it in "
        f".dockerignore",
    )


@attrs.frozen
class _Entry:
    """One name in a directory, as it was found."""

    path: str
    name: str
    mode: int
    size: int
    target: str = ""
    is_readable: bool = True


def _found(root: Path, ignoring: Ignoring) -> Generator[Member, None, None]:
    """Yield the members; directories wait in a list, since they may be deep."""
    waiting: list[tuple[str, Verdict | None]] = [("", None)]
    while waiting:
        below, above = waiting.pop()
        with contextlib.closing(_entries(root, below)) as entries:
            for entry in entries:
                verdict = ignoring.verdict(entry.path, above)
                is_out = verdict.is_out and entry.path not in FOR_BUILDER
                is_directory = stat.S_ISDIR(entry.mode)
                if is_out and not (
                    is_directory and ignoring.may_bring_back_below(entry.path)
                ):
                    continue
                if _is_kept_out(root, entry) and not is_named(entry.path, ignoring):
                    continue
                if not is_out:
                    member = _vetted(root, entry)
                    yield attrs.evolve(member, is_for_builder=verdict.is_out)
                if is_directory:
                    waiting.append((entry.path, verdict))


def _entries(root: Path, below: str) -> Generator[_Entry, None, None]:
    try:
        directory = open_directory(root, below)
        try:
            with os.scandir(directory) as found:
                for each in found:
                    yield _entry(root, below, each.name, directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise unreadable(root, below or ".", error) from error


def _entry(root: Path, below: str, name: str, directory: int) -> _Entry:
    path = f"{below}/{name}" if below else name
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    target, is_readable = "", True
    if stat.S_ISLNK(found.st_mode):
        target = os.readlink(name, dir_fd=directory)
    elif stat.S_ISREG(found.st_mode):
        is_readable = os.access(name, os.R_OK, dir_fd=directory, effective_ids=True)
    if max(len(os.fsencode(path)), len(os.fsencode(target))) > PATH_BYTES_MAX:
        raise refused(root, f"the path {shown(path[:80])}… is too long")
    return _Entry(path, name, found.st_mode, found.st_size, target, is_readable)


def _is_kept_out(root: Path, entry: _Entry) -> bool:
    if is_kept_out(entry.name):
        return True
    if stat.S_ISDIR(entry.mode):
        return os.path.lexists(root / entry.path / VENV_MARK)
    if stat.S_ISREG(entry.mode) and entry.name.lower().endswith(".pem"):
        try:
            with open_file(root, entry.path) as file:
                return PRIVATE_KEY in file.read(PEM_BYTES_MAX)
        except OSError as error:
            raise unreadable(root, entry.path, error) from None
    return False


def _vetted(root: Path, entry: _Entry) -> Member:
    try:
        f"{entry.path}{entry.target}".encode()
    except UnicodeEncodeError:
        raise refused(
            root,
            f"the name of {shown(entry.path)} is not UTF-8; rename it, or list it "
            f"in .dockerignore",
        ) from None
    if stat.S_ISDIR(entry.mode):
        return Member(entry.path, "directory", is_executable=True)
    if stat.S_ISLNK(entry.mode):
        _check_link(root, entry)
        return Member(entry.path, "link", target=entry.target)
    if not stat.S_ISREG(entry.mode):
        raise refused(
            root,
            f"{shown(entry.path)} is a device, a pipe or a socket; remove it, or "
            f"list it in .dockerignore",
        )
    if not entry.is_readable:
        error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        raise unreadable(root, entry.path, error)
    # The set-user-ID and set-group-ID bits stay behind: only this one counts.
    is_executable = bool(entry.mode & stat.S_IXUSR)
    return Member(entry.path, "file", is_executable=is_executable, size=entry.size)


def _check_link(root: Path, entry: _Entry) -> None:
    try:
        end_of_link(root, entry.path, entry.target)
    except LinkError as error:
        raise refused(
            root,
            f"the link {shown(entry.path)} {error}, to {shown(entry.target)}. Copy the "
            f"file, or list the link in .dockerignore",
        ) from None


def shown(path: str) -> str:
    """Return a path as it may stand in a message, without control characters."""
    return path if path.isprintable() else repr(path)
