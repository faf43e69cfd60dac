"""A commit of a git repository as the source of a version."""

import os
import posixpath
import re
from pathlib import Path

import attrs

from daeploy_lib.sources.git.address import Address, address_of

# What `git check-ref-format` refuses, and what would be an expression of git's.
_NO_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.lock$|[/.]$|^[-/]|^@$")


def _text(value: str | os.PathLike[str]) -> str:
    address_of(value)
    # "~" and a relative path stay as they were written.
    text = os.fspath(value)
    is_like_an_address = isinstance(value, os.PathLike) and ":" in text
    return f"./{text}" if is_like_an_address and text[0] not in "/~" else text


def _shown(url: str) -> str:
    return repr(address_of(url).clean)


def _ref(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"ref is text, not {type(value).__name__}.")
    if not value or _NO_REF.search(value) or not value.isprintable():
        raise ValueError(
            f"ref must be a branch, a tag or a commit, not {value[:200]!r}."
        )
    return value


def _subdirectory(value: str | os.PathLike[str]) -> str:
    text: object = os.fspath(value)
    if not isinstance(text, str):
        raise TypeError(f"subdirectory is text, not {type(text).__name__}.")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    wrong = {"..", ".git"} & {part.lower() for part in parts}
    if text.startswith(("/", "-")) or wrong or not text.isprintable():
        raise ValueError(
            f"subdirectory must be a path inside the repository, such as "
            f"'services/hello', not {text[:200]!r}."
        )
    return posixpath.join(*parts) if parts else ""


@attrs.frozen
class Git:
    """
    A commit of a git repository, or a directory in it.

    The ref is resolved to a commit when it is deployed; the commit is recorded in
    ``Service.source_origin`` and shown. Deploying a branch again that moved is
    another commit. What is in the commit is taken as a ``Directory`` is, with the
    same digest as a checkout: see there for what stays out. The program ``git`` 2.32
    or newer must be installed. It never waits for a password: one in the address,
    or from a credential helper, is used, and is shown nowhere. Submodules are left
    out; a file that is kept in Git LFS is refused. Neither hooks nor filters run.

    Args:
        url: ``https://…``, ``http://…``, ``ssh://…``, ``git@host:path``, ``git://…``,
            ``file://…``, or the path of a repository on this machine.
        ref: A branch, a tag, or a commit of 7 to 40 digits.
        subdirectory: Where in the repository the service is.
        timeout: Seconds in which git must be done with everything. Without any
            progress it is given up after 60.

    Raises:
        TypeError, ValueError: If the address is none or not allowed, the ref cannot
            be the name of one, the subdirectory leaves the repository, or the
            timeout is not above 0.

    Example:
        >>> Git("https://me:secret@example.com/hello.git", ref="v1.0")
        Git(url='https://example.com/hello.git', ref='v1.0', subdirectory='')
    """

    url: str = attrs.field(converter=_text, repr=_shown)
    ref: str = attrs.field(default="HEAD", converter=_ref)
    subdirectory: str = attrs.field(default="", converter=_subdirectory)
    timeout: float = attrs.field(default=600.0, kw_only=True, repr=False)

    def __attrs_post_init__(self) -> None:
        if isinstance(self.timeout, bool) or not isinstance(self.timeout, int | float):
            raise TypeError(f"timeout is seconds, not {self.timeout!r}.")
        if not 0 < self.timeout < float("inf"):
            raise ValueError(f"timeout must be seconds above 0, not {self.timeout!r}.")

    @property
    def address(self) -> Address:
        """Where the repository is, apart from the secrets in it."""
        return address_of(self.url)

    @property
    def is_local(self) -> bool:
        """Whether the repository is on this machine."""
        return isinstance(self.address.path, Path)
