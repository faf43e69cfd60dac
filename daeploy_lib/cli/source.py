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
        pull: When the image is pulled: ``missing``, ``always`` or ``never``.
    """

    is_git: bool = False
    is_image: bool = False
    ref: str | None = None
    subdirectory: str | None = None
    pull: str | None = None


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
    if kind.pull is not None and not kind.is_image:
        raise ValueError("--pull goes with --image.")
    if kind.is_git:
        return _made("Git", word, ref=kind.ref, subdirectory=kind.subdirectory)
    if kind.is_image:
        return _made("Image", word, pull=kind.pull)
    if "://" in word:
        # It is not repeated: there may be a password in it.
        raise ValueError(
            "SOURCE is an address. Add --git if that is a repository; else download "
            "it, and name the file or the directory."
        )
    return word


def _made(name: str, word: str, **options: str | None) -> Source:
    kind: Any = getattr(importlib.import_module("daeploy_lib.sources"), name, None)
    if kind is None:
        raise ValueError(f"This version of daeploy-lib has no source --{name.lower()}.")
    given = {option: value for option, value in options.items() if value is not None}
    source: Source = kind(word, **given)
    return source
