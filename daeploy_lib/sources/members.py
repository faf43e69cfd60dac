"""
The members of a build context, each one vetted.

Nothing leaves the directory: a link that leads out of it, a device, a pipe or a
socket is refused by name. Links inside are kept as links and never followed.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import attrs

from daeploy_lib.errors import SourceError
from daeploy_lib.sources.ignoring import Ignoring

# A context of more files than this is a mistake: a home directory, a dataset.
MEMBERS_MAX = 100_000
# Read by the builder itself, and therefore never left out.
ALWAYS_IN = ("Dockerfile", ".dockerignore")
_PRIVATE_KEY = b"PRIVATE KEY-----"
_PEM_HEAD_BYTES = 4096


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
    """

    path: str
    kind: str
    is_executable: bool = False
    size: int = 0
    target: str = ""


def vetted_members(root: Path, ignoring: Ignoring) -> tuple[Member, ...]:
    """
    Return the members of a directory, sorted by path.

    Raises:
        SourceError: If one must not be in a context, or cannot be read.
    """
    members = []
    for member in _walk(root, "", ignoring):
        members.append(member)
        if len(members) > MEMBERS_MAX:
            raise refused(
                root,
                f"it holds more than {MEMBERS_MAX:,} files. Name the service's own "
                f"directory, or list what it does not need in .dockerignore",
            )
    return tuple(sorted(members, key=lambda member: member.path))


def refused(root: Path, why: str) -> SourceError:
    """Return the error for a directory that cannot be a source."""
    return SourceError(f"Cannot use {root} as a source: {why}.", stage="source")


def _walk(root: Path, below: str, ignoring: Ignoring) -> Iterator[Member]:
    try:
        with os.scandir(root / below) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise refused(
            root, f"{below or '.'} cannot be read: {error.strerror}"
        ) from None
    for entry in entries:
        path = f"{below}/{entry.name}" if below else entry.name
        _check_name(root, path)
        is_out = path not in ALWAYS_IN and ignoring.matches(path)
        is_directory = entry.is_dir(follow_symlinks=False)
        if is_out and not (is_directory and ignoring.brings_back):
            continue
        if is_directory:
            inside = _walk(root, path, ignoring)
            if not is_out:
                yield Member(path, "directory", is_executable=True)
            yield from inside
        elif not _is_private_key(root / path):
            yield _vetted(root, path)


def _check_name(root: Path, path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise refused(root, f"the name of {path!r} is not UTF-8") from None


def _vetted(root: Path, path: str) -> Member:
    try:
        found = (root / path).lstat()
        if stat.S_ISLNK(found.st_mode):
            return _vetted_link(root, path)
    except OSError as error:
        raise refused(root, f"{path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise refused(
            root, f"{path} is a device, a pipe or a socket; remove it or ignore it"
        )
    is_executable = bool(found.st_mode & stat.S_IXUSR)
    return Member(path, "file", is_executable=is_executable, size=found.st_size)


def _vetted_link(root: Path, path: str) -> Member:
    target = os.readlink(root / path)  # noqa: PTH115 - as it is written
    _check_name(root, target)
    # Where it really leads, through every other link on the way.
    end = Path(os.path.realpath(root / path))
    if os.path.isabs(target) or not end.is_relative_to(root.resolve()):  # noqa: PTH117
        raise refused(
            root,
            f"the link {path} leads out of it, to {target}. Copy the file, or list "
            f"the link in .dockerignore",
        )
    return Member(path, "link", target=target)


def _is_private_key(file: Path) -> bool:
    """Return whether a PEM file holds a key; certificates may come along."""
    if file.suffix != ".pem" or not file.is_file():
        return False
    try:
        with file.open("rb") as opened:
            return _PRIVATE_KEY in opened.read(_PEM_HEAD_BYTES)
    except OSError:
        return False
