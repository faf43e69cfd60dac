"""What is deployed, from the words of a command line."""

import importlib
from typing import Any

import attrs

from daeploy_lib.sources import Source


@attrs.frozen
class SourceKind:
    """
    What SOURCE is.

    Attributes:
        is_git: The address of a repository.
        is_image: The name of an image.
        ref: A branch, tag or commit of the repository.
        subdirectory: Of the repository.
    """

    is_git: bool = False
    is_image: bool = False
    ref: str | None = None
    subdirectory: str | None = None


def source_of(word: str, kind: SourceKind) -> Source:
    """
    Return what SOURCE names; nothing is fetched.

    Raises:
        ValueError: If the options contradict one another, or the kind is not
            known to this version.
    """
    if kind.is_git and kind.is_image:
        raise ValueError("SOURCE is either --git or --image, not both.")
    is_of_git = kind.ref is not None or kind.subdirectory is not None
    if is_of_git and not kind.is_git:
        raise ValueError("--ref and --subdirectory go with --git.")
    if kind.is_git:
        given = {"ref": kind.ref, "subdirectory": kind.subdirectory}
        chosen = {name: value for name, value in given.items() if value is not None}
        return _made("Git", word, **chosen)
    if "://" in word and not kind.is_image:
        # It is not repeated: there may be a password in it.
        raise ValueError(
            "SOURCE is an address. Add --git if that is a repository; else download "
            "it, and name the file or the directory."
        )
    return _made("Image", word) if kind.is_image else word


def _made(name: str, word: str, **options: str) -> Source:
    kind: Any = getattr(importlib.import_module("daeploy_lib.sources"), name, None)
    if kind is None:
        raise ValueError(f"This version of daeploy-lib has no source --{name.lower()}.")
    source: Source = kind(word, **options)
    return source
