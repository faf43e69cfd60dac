"""
Which files of a directory stay out of a build context.

``.dockerignore`` patterns as Docker reads them: the last one that matches wins,
``!`` brings back, ``**`` crosses directories, and a match of a directory is a
match of everything in it.

Source:
    https://docs.docker.com/build/concepts/context/#dockerignore-files;
    moby/patternmatcher, ``patternmatcher.go``.
"""

import posixpath
import re
from collections.abc import Iterable

# Always out, unless a .dockerignore brings one back with "!": version control,
# secrets by their usual names, and what Python makes anew.
DEFAULT_PATTERNS = (
    "**/.git",
    "**/.hg",
    "**/.svn",
    "**/.env",
    "**/.env.[^e]*",  # but .env.example is meant to be shared
    "**/.netrc",
    "**/.pypirc",
    "**/.aws",
    "**/.ssh",
    "**/id_rsa",
    "**/id_dsa",
    "**/id_ecdsa",
    "**/id_ed25519",
    "**/*.key",
    "**/*.p12",
    "**/*.pfx",
    "**/.venv",
    "**/__pycache__",
    "**/*.pyc",
    "**/.pytest_cache",
    "**/.mypy_cache",
    "**/.ruff_cache",
    "**/.ipynb_checkpoints",
)


class Ignoring:
    """
    A list of patterns, ready to be asked.

    Args:
        patterns: In the order of the file; comments and empty lines are
            allowed.

    Raises:
        ValueError: If a pattern cannot be read.

    Example:
        >>> ignoring = Ignoring(["*.csv", "!keep.csv"])
        >>> ignoring.matches("big.csv"), ignoring.matches("keep.csv")
        (True, False)
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._rules: list[tuple[bool, re.Pattern[str]]] = []
        for line in patterns:
            self._add(line)
        self.brings_back = any(is_negated for is_negated, _ in self._rules)
        """Whether something inside an ignored directory may be wanted."""

    def _add(self, line: str) -> None:
        if line.startswith("#"):
            return
        pattern = line.strip()
        is_negated = pattern.startswith("!")
        if is_negated:
            pattern = pattern[1:].strip()
        if not pattern:
            return
        pattern = posixpath.normpath(pattern).lstrip("/")
        if pattern in ("", "."):
            return
        self._rules.append((is_negated, _expression(pattern)))

    def matches(self, path: str) -> bool:
        """Return whether a path, relative and with ``/``, stays out."""
        parts = path.split("/")
        prefixes = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        is_out = False
        for is_negated, expression in self._rules:
            if is_out is is_negated and any(map(expression.fullmatch, prefixes)):
                is_out = not is_negated
        return is_out


def _expression(pattern: str) -> re.Pattern[str]:
    """Translate one cleaned pattern of Go's ``filepath.Match`` with ``**``."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if pattern.startswith("**", at - 1):
            at += 1
            if pattern[at : at + 1] == "/":
                at += 1
                out.append("(?:.*/)?")
            else:
                out.append(".*")
        elif char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            group, at = _character_class(pattern, at)
            out.append(group)
        elif char == "\\" and at < len(pattern):
            out.append(re.escape(pattern[at]))
            at += 1
        else:
            out.append(re.escape(char))
    return re.compile("".join(out), re.DOTALL)


def _character_class(pattern: str, at: int) -> tuple[str, int]:
    end = pattern.find("]", at + 1)
    if end < 0:
        raise ValueError(f"Invalid pattern {pattern!r}: a '[' is not closed.")
    inside = pattern[at:end]
    is_negated = inside.startswith("^")
    inside = inside[is_negated:].replace("[", "\\[").replace("&&", "&\\&")
    try:
        group = f"(?!/)[{'^' if is_negated else ''}{inside}]"
        re.compile(group)
    except re.error as error:
        raise ValueError(f"Invalid pattern {pattern!r}: {error}.") from error
    return group, end + 1
