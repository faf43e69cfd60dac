"""
Files of a directory, opened without ever leaving it.

What was vetted as a file may be a link to another place a moment later, and so
may each directory above it. Every step is therefore opened on its own and
refuses to be a link.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

# As many as Linux follows, path_resolution(7).
_LINKS_MAX = 40
_DIRECTORY = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
# A pipe that has taken a file's place does not make us wait.
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class LinkError(Exception):
    """A link leads where it must not; the text says how."""


def open_directory(root: Path, path: str) -> int:
    """
    Return a descriptor of a directory below *root*; the caller closes it.

    Args:
        root: The directory itself, which may be a link.
        path: Relative, with ``/``; "" is *root*.

    Raises:
        OSError: If a part of the path is no directory, or is a link.
    """
    opened = os.open(root, _DIRECTORY)
    for part in filter(None, path.split("/")):
        try:
            below = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=opened)
        finally:
            os.close(opened)
        opened = below
    return opened


def open_file(root: Path, path: str) -> BinaryIO:
    """
    Open a regular file below *root*.

    Raises:
        OSError: If it is not there or something else, or if a directory above it
            is a link.
    """
    folder, _, name = path.rpartition("/")
    directory = open_directory(root, folder)
    try:
        file = os.open(name, _FILE, dir_fd=directory)
    finally:
        os.close(directory)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "it is no regular file")
    return open(file, "rb")  # noqa: PTH123 - a descriptor


def end_of_link(root: Path, path: str, target: str) -> str:
    """
    Return the path that a link leads to, through every other link on the way.

    Nothing outside is looked at, and nothing need be there.

    Args:
        root: The directory that must not be left.
        path: Of the link, relative to *root*.
        target: Of the link, as it is written.

    Raises:
        LinkError: If a step of the way is outside *root*, or the way has no end.
            An absolute target is outside: in the image it means another place.
    """
    at = path.split("/")[:-1]
    todo = _parts(target)
    links = 1
    while todo:
        part = todo.pop()
        if part == "..":
            if not at:
                raise _leaves()
            at.pop()
            continue
        at.append(part)
        try:
            target = os.readlink(root.joinpath(*at))  # noqa: PTH115 - as it is written
        except OSError:  # no link, or not there
            continue
        links += 1
        if links > _LINKS_MAX:
            raise LinkError("leads in a circle")
        at.pop()
        todo += _parts(target)
    return "/".join(at)


def _parts(target: str) -> list[str]:
    """Return the steps of a link, the first one last."""
    if target.startswith("/"):
        raise _leaves()
    return [part for part in reversed(target.split("/")) if part not in ("", ".")]


def _leaves() -> LinkError:
    return LinkError("leads out of it")
