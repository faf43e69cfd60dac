"""Whatever a version is deployed from, opened as a vetted build context."""

import os
from collections.abc import Callable
from typing import Any

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import SourceError
from daeploy_lib.sources.context import Context
from daeploy_lib.sources.directory import Directory, context_of
from daeploy_lib.sources.image import Image
from daeploy_lib.sources.python_object import Estimator, PythonObject

# What has content to read here. An image has none: the runtime fetches it.
Content = (
    str | os.PathLike[str] | Directory | PythonObject | Callable[..., Any] | Estimator
)
Source = Content | Image


# What is fetched or unpacked when it is opened.
_SLOW: tuple[type, ...] = ()
Tell = Callable[[str], object]


def takes_time(source: Content) -> bool:
    """Return whether opening it fetches or unpacks, before anything is known."""
    return isinstance(source, _SLOW)


def open_source(
    source: Content,
    spec: Spec,
    tell: Tell = lambda line: None,  # noqa: ARG001, ARG005 - nobody is told yet
) -> Context:
    """
    Return the vetted context of a source; the caller closes it.

    Args:
        source: A directory, or the path of one; or a function, an ASGI
            application or a fitted estimator, which is given a service.
        spec: What will be run from it.
        tell: Called with a line for people before each step that takes time.

    Raises:
        TypeError, ValueError: If it is no source at all.
        SourceError: If it does not exist, is no directory, is empty, holds what
            must not be in a context, or does not say what to run.
    """
    try:
        if not isinstance(source, str | os.PathLike | Directory):
            if not isinstance(source, PythonObject):
                source = PythonObject(source)
            return source.open(spec)
        directory = source if isinstance(source, Directory) else Directory(source)
        return context_of(directory.path, spec)
    except SourceError as error:
        error.name, error.version = spec.name, spec.version
        raise
