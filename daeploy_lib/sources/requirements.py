"""What a directory says about the packages that its service needs."""

import re
import tomllib
from typing import Any, Protocol

import attrs

from daeploy_lib.errors import SourceError

REQUIREMENTS = "requirements.txt"
_PROJECT = "pyproject.toml"
# A backslash joins a line with the next one; see pip's requirements format.
_JOINED = re.compile(r"\\\r?\n")
_COMMENT = re.compile(r"(^|\s+)#.*$")
# A name, perhaps with extras, versions, an address, markers or hashes.
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*(?P<rest>$|[<>=!~;@(].*|--hash.*)"
)
# Or a file of that name.
_ARCHIVE = re.compile(
    r"[^\s;\[]+\.(whl|zip|tar\.gz|tar\.bz2|tar\.xz|tgz|tbz|txz)\s*([;\[-].*)?"
)
_OPTION_WITHOUT_FILE = re.compile(
    r"(-i|--index-url|--extra-index-url|--no-index|--no-binary|--only-binary|--pre"
    r"|--prefer-binary|--require-hashes|--trusted-host|--use-feature)\b.*"
)


class Content(Protocol):
    """What is asked of a build context."""

    def read(self, path: str) -> bytes | None:
        """Return the content of a small file; None if it is not there."""
        ...


@attrs.frozen
class Packages:
    """
    What is installed.

    Attributes:
        requirements: A file of requirements that stands for itself; None if
            there is none.
        in_content: pip's arguments for what needs the content beside it; None
            if nothing does.
    """

    requirements: bytes | None = None
    in_content: str | None = None


def packages_of(content: Content) -> Packages:
    """
    Return what is installed for a directory.

    Its ``requirements.txt``; without one, what its ``pyproject.toml`` depends
    on, and the project itself if that says how it is built.

    Raises:
        SourceError: If the ``pyproject.toml`` cannot be read.
    """
    requirements = content.read(REQUIREMENTS)
    if requirements is None:
        return _of_project(content.read(_PROJECT))
    lines = list(filter(None, map(_logical, _text_lines(requirements))))
    if not lines:
        return Packages()
    if all(map(_stands_for_itself, lines)):
        return Packages(requirements)
    return Packages(in_content=f"-r {REQUIREMENTS}")


def _text_lines(requirements: bytes) -> list[str]:
    # pip decodes by byte order mark or locale. For telling what is named here
    # the ASCII in it is enough.
    text = requirements.decode("utf-8-sig", "replace")
    return _JOINED.sub(" ", text).splitlines()


def _logical(line: str) -> str:
    return _COMMENT.sub("", line).strip()


def _stands_for_itself(line: str) -> bool:
    """Return whether a line names no other file of the directory."""
    if _OPTION_WITHOUT_FILE.fullmatch(line):
        return True
    match = _REQUIREMENT.fullmatch(line)
    if match is None or _ARCHIVE.fullmatch(line):
        return False
    address = match["rest"].removeprefix("@").strip()
    is_address = match["rest"].startswith("@")
    return not is_address or ("://" in address and not address.startswith("file:"))


def _of_project(pyproject: bytes | None) -> Packages:
    if pyproject is None:
        return Packages()
    try:
        document = tomllib.loads(pyproject.decode())
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        raise _unreadable(str(error)) from error
    project = document.get("project")
    if project is None:
        # Settings of tools only.
        return Packages()
    requirements = _dependencies(project)
    # Without a [build-system] it is an application and no package, and building
    # one from a flat directory would fail.
    is_package = "build-system" in document or "dependencies" in _dynamic(project)
    return Packages(
        "".join(f"{line}\n" for line in requirements).encode() or None,
        "." if is_package else None,
    )


def _dependencies(project: Any) -> list[str]:
    lines = project.get("dependencies", []) if isinstance(project, dict) else None
    if not isinstance(lines, list) or not all(isinstance(x, str) for x in lines):
        raise _unreadable("project.dependencies is no list of texts")
    return [" ".join(line.split()) for line in lines]


def _dynamic(project: dict[str, Any]) -> list[Any]:
    found = project.get("dynamic", [])
    return found if isinstance(found, list) else []


def _unreadable(why: str) -> SourceError:
    return SourceError(f"Its {_PROJECT} cannot be read: {why}.", stage="source")
