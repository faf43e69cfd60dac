"""A directory as the source of a version."""

import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import SourceError
from daeploy_lib.sources.context import READ_BYTES_MAX, Context
from daeploy_lib.sources.ignoring import Ignoring
from daeploy_lib.sources.members import refused, vetted_members
from daeploy_lib.sources.reading import LinkError, end_of_link, open_file

# "https://…", also as a Path, which makes one slash of two; "git@host:…".
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/|[^/@\s]+@[^/:\s]+:")


def path_of(value: str | os.PathLike[str]) -> Path:
    """Return what was given as a path."""
    text: object = os.fspath(value)
    if not isinstance(text, str):
        raise TypeError(f"A path is text or a Path, not {type(text).__name__}.")
    # "" would be the working directory, which nobody means.
    if not text or "\0" in text:
        raise ValueError(f"Invalid path {text!r}. Name a directory.")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"Invalid path {text!r}: {error}") from error


@attrs.frozen
class Directory:
    """
    A directory: with a ``Dockerfile``, or with a ``service.py``.

    Of its files these stay out of the image: what its ``.dockerignore`` lists,
    with Docker's rules; version control, virtual environments and caches of
    Python; and ``.env`` files, private keys and the like by their usual names.
    Only a line that names one of the latter, such as ``!tls.key``, brings it
    back. A link out of the directory, a device, a pipe or a socket is refused.
    At most 100,000 files and 64 GiB.

    Args:
        path: Where it is; ``~`` is the home directory.

    Raises:
        TypeError, ValueError: If it is no path, or an empty one.

    Example:
        >>> Directory("hello").path.name
        'hello'
    """

    path: Path = attrs.field(converter=path_of)


def context_of(
    path: Path,
    spec: Spec,
    *,
    origin: str = "",
    temporary: TemporaryDirectory[str] | None = None,
) -> Context:
    """
    Return the vetted context of a directory.

    Args:
        path: Where it is.
        spec: What will be run from it.
        origin: Where it came from, for people; its path if not given.
        temporary: What is removed when the context is closed; None: nothing.

    Raises:
        SourceError: If it does not exist, is no directory, is empty, holds what
            must not be in a context, or does not say what to run.
    """
    _check_directory(path)
    root = path.absolute()
    members = vetted_members(root, _ignoring(root))
    context = Context(
        root, members, spec.name, spec.version, origin=origin, temporary=temporary
    )
    if context.is_empty:
        raise refused(path, "it is empty, or everything in it is left out")
    if not (context.has_dockerfile or context.has("service.py") or spec.command):
        is_ignored = (root / "service.py").is_file()
        raise refused(
            path,
            "its service.py is left out by its .dockerignore"
            if is_ignored
            else "it has neither a Dockerfile nor a service.py. Add one, or say what "
            "to run with command=[…]",
        )
    return context


def _check_directory(path: Path) -> None:
    check_address(path)
    try:
        is_directory = path.is_dir()
        exists = is_directory or path.exists()
    except OSError as error:
        raise refused(path, f"it cannot be read: {error.strerror}") from error
    if not exists:
        raise missing(path)
    if not is_directory:
        raise refused(path, "it is not a directory")


def check_address(path: Path) -> None:
    """Refuse an address that was given as a path."""
    if _URL.match(str(path)) and not os.path.lexists(path):
        # The address is not repeated: a password may be in it.
        raise SourceError(
            "The source is an address, and not a path. Give that of a Git repository "
            "as Git(…); fetch anything else, and name the file.",
            stage="source",
        )


def missing(path: Path) -> SourceError:
    """Return the error for a path with nothing at its end."""
    seen_from = "" if path.is_absolute() else f" (seen from {_working_directory()})"
    return refused(path, f"it does not exist{seen_from}")


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return "a directory that was removed"


def _ignoring(root: Path) -> Ignoring:
    path = ".dockerignore"
    try:
        if (root / path).is_symlink():
            path = end_of_link(root, path, os.readlink(root / path))  # noqa: PTH115
        with open_file(root, path) as file:
            text = file.read(READ_BYTES_MAX).decode("utf-8-sig")
        # As Docker does: "\r\n" ends a line, a lone "\r" or "\v" does not.
        return Ignoring(line.removesuffix("\r") for line in text.split("\n"))
    except FileNotFoundError:
        return Ignoring()
    except LinkError as error:
        raise refused(root, f"the link .dockerignore {error}") from None
    except OSError as error:
        raise refused(
            root, f".dockerignore cannot be read: {error.strerror}"
        ) from error
    except ValueError as error:
        raise refused(root, f".dockerignore cannot be read: {error}") from error
