"""
The address of a repository, apart from the secrets in it.

What is shown, recorded, and seen in the list of processes has no secret. No
error here repeats an address, since one that is mistyped may hold a password.
"""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import attrs

from daeploy_lib.errors import SourceError

_SCHEMES = ("https", "http", "ssh", "git", "file")
_ADVICE = (
    "Write https://…, ssh://…, git@host:path, http://…, git://…, file://… or the path "
    "of a repository."
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST = r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])"
_NETLOC = re.compile(rf"(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?")
_USER = re.compile(r"[A-Za-z0-9_][^\s/:@]*")
# git's own rule: a ":" before the first "/". Two are a program to be run.
_SCP = re.compile(rf"(?:(?P<user>[^/:@]+)@)?(?P<host>{_HOST}):(?P<path>[^:].*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@attrs.frozen
class Address:
    """
    Where a repository is.

    Attributes:
        scheme: One of those that are allowed; ``file`` for a path.
        clean: What git is given, and people are shown: without secrets.
        host: ``https://host:port``, to which alone the password is given.
        user: Who asks; "" if that is not said. For http it may be a secret.
        password: None if there is none.
        path: Of a local repository; None for others.
    """

    scheme: str
    clean: str
    host: str = ""
    user: str = attrs.field(default="", repr=False)
    password: str | None = attrs.field(default=None, repr=False)
    path: Path | None = None

    def absolute(self) -> "Address":
        """
        Return it as it is seen from everywhere.

        Raises:
            SourceError: If the working directory was removed.
        """
        if self.path is None:
            return self
        try:
            path = self.path.absolute()
        except FileNotFoundError:
            raise SourceError(
                f"Cannot fetch {self.path}: it is seen from a working directory that "
                f"was removed. Name the whole path.",
                stage="source",
            ) from None
        return attrs.evolve(self, path=path, clean=str(path))


def address_of(value: str | os.PathLike[str]) -> Address:
    """
    Return the parts of an address.

    Raises:
        TypeError, ValueError: If it is none, or one that is not allowed.

    Example:
        >>> address_of("https://me:secret@example.com/hello.git").clean
        'https://example.com/hello.git'
    """
    text: object = os.fspath(value)
    if not isinstance(text, str):
        raise TypeError(f"An address is text or a Path, not {type(text).__name__}.")
    if not text or _CONTROL.search(text):
        raise ValueError(
            f"The address of the repository is empty or holds a control character. "
            f"{_ADVICE}"
        )
    if not text.isascii() and any("\ud800" <= mark <= "\udfff" for mark in text):
        raise ValueError("The path of the repository is not UTF-8. Rename it.")
    if text.startswith("-"):
        raise ValueError(f"An address cannot begin with '-'. {_ADVICE}")
    if isinstance(value, os.PathLike):
        return _local(text)
    scheme = _SCHEME.match(text)
    if scheme is not None:
        return _of_scheme(scheme[1].lower(), text)
    colon, slash = text.find(":"), text.find("/")
    if colon == -1 or -1 < slash < colon:
        return _local(text)
    return _scp(text)


def _of_scheme(scheme: str, text: str) -> Address:
    if scheme not in _SCHEMES:
        raise ValueError(f"git is not used with {scheme!r} addresses. {_ADVICE}")
    if scheme == "file":
        rest = text[len("file://") :].removeprefix("localhost")
        if not rest.startswith("/"):
            raise ValueError("A file:// address has three slashes: file:///path.")
        return _local(unquote(rest))
    if any(mark in text for mark in "?# "):
        raise ValueError(
            "The address of a repository has no '?', '#' or space in it. Name a "
            "branch, tag or commit with ref=…, and a directory with subdirectory=…."
        )
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(f"The address is not understood. {_ADVICE}") from None
    userinfo, _, netloc = parts.netloc.rpartition("@")
    if not _NETLOC.fullmatch(netloc) or not parts.path.strip("/"):
        raise ValueError(f"The address names no host, or no repository. {_ADVICE}")
    if scheme in ("http", "https"):
        return _with_secrets(scheme, netloc, parts.path, userinfo)
    if userinfo and (scheme == "git" or not _USER.fullmatch(userinfo)):
        raise ValueError(
            f"An address of {scheme}:// takes no password, since git would not use it"
            + (
                ". Write ssh://git@host/path, and use a key."
                if scheme == "ssh"
                else "."
            )
        )
    at = f"{userinfo}@" if userinfo else ""
    return Address(scheme, f"{scheme}://{at}{netloc}{parts.path}")


def _with_secrets(scheme: str, netloc: str, path: str, userinfo: str) -> Address:
    user, has_password, password = userinfo.partition(":")
    user, password = unquote(user), unquote(password)
    if _CONTROL.search(user + password):
        raise ValueError("The user or password in the address has a control character.")
    host = f"{scheme}://{netloc}"
    return Address(scheme, host + path, host, user, password if has_password else None)


def _scp(text: str) -> Address:
    found = _SCP.fullmatch(text)
    if found is None:
        # "ext::…" runs a program.
        raise ValueError(f"The address of the repository is not understood. {_ADVICE}")
    user, path = found["user"] or "", found["path"]
    if not user and "@" in path.partition("/")[0]:
        # "user:password@host:path", which git would take for the host "user".
        raise ValueError(
            "An address of ssh takes no password. Write git@host:path, and use a key."
        )
    if path.startswith("-") or (user and not _USER.fullmatch(user)):
        raise ValueError(f"Nothing in an address may begin with '-'. {_ADVICE}")
    return Address("ssh", text)


def _local(text: str) -> Address:
    if not text or _CONTROL.search(text):
        raise ValueError("The path of the repository holds a control character.")
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"Invalid path {text!r}: {error}") from error
    return Address("file", str(path), path=path)
