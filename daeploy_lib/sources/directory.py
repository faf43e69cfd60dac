"""A directory as the source of a version."""

import os
from pathlib import Path

import attrs

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import SourceError
from daeploy_lib.sources.context import Context
from daeploy_lib.sources.ignoring import DEFAULT_PATTERNS, Ignoring
from daeploy_lib.sources.members import refused, vetted_members


def _path(value: str | os.PathLike[str]) -> Path:
    return Path(value).expanduser()


@attrs.frozen
class Directory:
    """
    A directory: with a ``Dockerfile``, or with a ``service.py``.

    Args:
        path: Where it is; ``~`` is the home directory.

    Example:
        >>> Directory("hello").path.name
        'hello'
    """

    path: Path = attrs.field(converter=_path)


def open_source(source: str | os.PathLike[str] | Directory, spec: Spec) -> Context:
    """
    Return the vetted context of a source.

    Args:
        source: A directory, or the path of one.
        spec: What will be run from it.

    Raises:
        TypeError: If it is no source at all.
        SourceError: If it does not exist, is no directory, is empty, holds what
            must not be in a context, or does not say what to run.
    """
    if not isinstance(source, str | os.PathLike | Directory):
        raise TypeError(
            f"A source is a path or Directory(...), not {type(source).__name__}."
        )
    directory = source if isinstance(source, Directory) else Directory(source)
    try:
        return _opened(directory.path, spec)
    except SourceError as error:
        error.name, error.version = spec.name, spec.version
        raise


def _opened(path: Path, spec: Spec) -> Context:
    if not path.exists():
        raise refused(path, f"it does not exist (seen from {Path.cwd()})")
    if not path.is_dir():
        raise refused(path, "it is not a directory")
    root = path.absolute()
    members = vetted_members(root, _ignoring(root))
    context = Context(root, members)
    if not members:
        raise refused(path, "it is empty, or everything in it is ignored")
    has_service = any(m.path == "service.py" for m in members)
    if not (context.has_dockerfile or has_service or spec.command):
        raise refused(
            path,
            "it has neither a Dockerfile nor a service.py. Add one, or say what to "
            "run with command=[…]",
        )
    return context


def _ignoring(root: Path) -> Ignoring:
    file = root / ".dockerignore"
    try:
        own = file.read_text("utf-8-sig").splitlines() if file.is_file() else []
        return Ignoring([*DEFAULT_PATTERNS, *own])
    except (OSError, ValueError) as error:
        raise refused(root, f".dockerignore cannot be read: {error}") from error
