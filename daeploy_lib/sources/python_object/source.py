"""A Python object as the source of a version."""

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from daeploy_lib.domain.spec import Spec
from daeploy_lib.sources.context import Context
from daeploy_lib.sources.directory import context_of
from daeploy_lib.sources.python_object.kinds import kind_of, name_of
from daeploy_lib.sources.python_object.writing import written

# Somebody else was faster.
_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR})


def _lines(requirements: Iterable[str] | None) -> tuple[str, ...] | None:
    if requirements is None:
        return None
    if isinstance(requirements, str):
        raise TypeError("requirements is a list of texts, and not one text.")
    lines = tuple(requirements)
    for line in lines:
        if not isinstance(line, str):
            raise TypeError(f"requirements is a list of texts, not of {line!r}.")
        if not line.strip() or not line.isprintable():
            raise ValueError(f"Invalid requirement {line!r}. Write it on one line.")
    return lines


@attrs.frozen
class PythonObject:
    """
    A function, an ASGI application or a fitted estimator, as a service.

    ``deploy`` takes such an object as it is; this is for saying what it needs,
    and for reading what is written around it.

    * A **function** answers ``POST /`` with its arguments as a JSON object.
    * An **ASGI application** is imported from the module that makes it, whose
      files are shipped, and runs under uvicorn. One that was made in a notebook
      is pickled.
    * An **estimator**, which is anything with a ``predict`` method, answers
      ``POST /predict`` with ``{"inputs": [row, row]}``.

    Packages are pinned to the versions that are installed here. Modules that are
    in no package index, such as those beside a notebook, are shipped as files.
    What was pickled needs the same minor version of Python there as here.

    Args:
        value: The object.
        requirements: Lines for pip, instead of those that are found; what
            serves it is added. None: found.

    Raises:
        TypeError, ValueError: If it is no such object, or a line is wrong.
        SourceError: If the object cannot be served: it is not fitted, yields
            its results, or speaks WSGI.

    Example:
        >>> import tempfile
        >>> def double(x: float) -> float:
        ...     return 2 * x
        >>> folder = PythonObject(double).write(tempfile.mkdtemp())
        >>> sorted(path.name for path in folder.iterdir())
        ['README.md', 'object.pkl', 'requirements.txt', 'service.py']
    """

    value: Any = attrs.field(repr=name_of)
    requirements: tuple[str, ...] | None = attrs.field(
        default=None, kw_only=True, converter=_lines
    )
    kind: str = attrs.field(init=False)

    @kind.default
    def _kind(self) -> str:
        return kind_of(self.value)

    @property
    def name(self) -> str:
        """Its name, for people."""
        return name_of(self.value)

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """
        Write the service to read it, or to deploy it as a directory.

        Args:
            folder: A new directory, or an empty one.

        Returns:
            The directory; it appears as a whole or not at all.

        Raises:
            FileExistsError: If it exists and is not empty.
            SourceError: If the object, or something that it refers to, cannot
                be taken to another process, or is too large.
            ImportError: If cloudpickle is missing.
        """
        target = Path(folder).expanduser()
        taken = FileExistsError(
            f"{target} exists and is not an empty directory; nothing was written. "
            f"Choose another one."
        )
        if os.path.lexists(target) and not _is_empty_directory(target):
            raise taken
        target.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=".daeploy-", dir=target.parent))
        try:
            written(self.value, self.kind, self.requirements, making)
            making.chmod(0o755)
            making.rename(target)
        except BaseException as error:
            shutil.rmtree(making, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in _TAKEN:
                raise taken from None
            raise
        return target

    def open(self, spec: Spec) -> Context:
        """
        Return the vetted context of the service; the caller closes it.

        Raises:
            SourceError: See ``write``.
            ImportError: If cloudpickle is missing.
        """
        temporary = tempfile.TemporaryDirectory(prefix="daeploy-")
        folder = Path(temporary.name)
        try:
            written(self.value, self.kind, self.requirements, folder)
            module = str(getattr(self.value, "__module__", "") or "")
            where = f" of {module}" if self.kind == "function" and module else ""
            version = ".".join(map(str, sys.version_info[:3]))
            origin = f"{self.kind} {self.name}{where}, Python {version}"
            return context_of(folder, spec, origin=origin, temporary=temporary)
        except BaseException:
            temporary.cleanup()
            raise


def _is_empty_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())
