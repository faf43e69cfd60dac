"""Whatever a version is deployed from, opened as a vetted build context."""

import os
from collections.abc import Callable
from typing import Any

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import SourceError
from daeploy_lib.sources.archive import ENDINGS, Archive, open_archive
from daeploy_lib.sources.context import Context
from daeploy_lib.sources.directory import Directory, context_of
from daeploy_lib.sources.git import Git, open_git
from daeploy_lib.sources.image import Image
from daeploy_lib.sources.python_object import Estimator, PythonObject

# What has content to read here. An image has none: the runtime fetches it.
Content = (
    str
    | os.PathLike[str]
    | Directory
    | Archive
    | Git
    | PythonObject
    | Callable[..., Any]
    | Estimator
)
Source = Content | Image


# What is fetched or unpacked when it is opened.
_SLOW = (Archive, Git)
Tell = Callable[[str], object]


def takes_time(source: Content) -> bool:
    """Return whether opening it fetches or unpacks, before anything is known."""
    return isinstance(_named(source), _SLOW)


def open_source(
    source: Content,
    spec: Spec,
    tell: Tell = lambda line: None,  # noqa: ARG005 - nobody is told
) -> Context:
    """
    Return the vetted context of a source; the caller closes it.

    Args:
        source: A directory or an archive, or the path of one; a commit of a git
            repository; or a function, an ASGI application or a fitted estimator,
            which is given a service.
        spec: What will be run from it.
        tell: Called with a line for people before each step that takes time.

    Raises:
        TypeError, ValueError: If it is no source at all.
        SourceError: If it does not exist, is not what it says, is empty, holds what
            must not be in a context, or does not say what to run.
    """
    try:
        match found := _named(source):
            case Directory():
                return context_of(found.path, spec)
            case Archive():
                return open_archive(found, spec, tell)
            case Git():
                return open_git(found, spec, tell)
            case PythonObject():
                return found.open(spec)
    except SourceError as error:
        error.name, error.version = spec.name, spec.version
        raise


def _named(source: Content) -> Directory | Archive | Git | PythonObject:
    """Return what is meant by a path, or by an object of Python."""
    match source:
        case Directory() | Archive() | Git() | PythonObject():
            return source
        case str() | os.PathLike():
            directory = Directory(source)
            path = directory.path
            # A directory may be named like that as well.
            is_archive = path.name.lower().endswith(ENDINGS) and not path.is_dir()
            return Archive(path) if is_archive else directory
        case _:
            return PythonObject(source)
