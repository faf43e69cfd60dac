r"""
One pattern of a ``.dockerignore``, as a regular expression.

Go's ``filepath.Match`` with ``**`` added, in the way that Docker translates it,
so that a directory gives the same context here and with ``docker build``. Three of
that translation's accidents are left out: ``\d`` is the letter, ``[*]`` is the
star, and ``^`` outside of brackets is itself.

Source:
    https://docs.docker.com/build/concepts/context/#dockerignore-files;
    https://pkg.go.dev/path/filepath#Match;
    github.com/moby/patternmatcher, ``compile``.
"""

import re

_SPECIAL = re.compile(r"[*?\[\]\\]")


def expression(pattern: str) -> re.Pattern[str]:
    """
    Return what matches the same paths as a cleaned pattern, in full.

    Raises:
        ValueError: If Docker would refuse the pattern.

    Example:
        >>> bool(expression("**/*.py").fullmatch("a/b/c.py"))
        True
    """
    return re.compile("".join(_pieces(pattern)), re.DOTALL)


def _pieces(pattern: str) -> list[str]:
    out: list[str] = []
    at = 0
    if pattern.startswith("**") and not _SPECIAL.search(pattern, 2):
        # Nothing else is special: Docker compares the end of the path, so that
        # "**.py" is every Python file.
        out.append("(?:.*/)?" if pattern.startswith("**/") else ".*")
        at = 3 if pattern.startswith("**/") else 2
    while at < len(pattern):
        piece, at = _piece(pattern, at)
        out.append(piece)
    return out


def _piece(pattern: str, at: int) -> tuple[str, int]:
    """Return the expression for what stands at a place, and where that ends."""
    if pattern.startswith("**", at):
        end = at + 3 if pattern.startswith("/", at + 2) else at + 2
        return (".*" if end == len(pattern) else "(?:.*/)?"), end
    char = pattern[at]
    if char == "*":
        return "[^/]*", at + 1
    if char == "?":
        return "[^/]", at + 1
    if char == "[":
        return _character_class(pattern, at + 1)
    if char == "\\":
        if at + 1 == len(pattern):
            raise _invalid(pattern, "it ends with a backslash")
        return re.escape(pattern[at + 1]), at + 2
    return re.escape(char), at + 1


def _character_class(pattern: str, at: int) -> tuple[str, int]:
    """Return the class that begins at a place, and where it ends."""
    is_negated = pattern.startswith("^", at)
    at += is_negated
    ranges: list[str] = []
    while not (ranges and pattern.startswith("]", at)):
        low, at = _class_character(pattern, at)
        high = low
        if pattern.startswith("-", at):
            high, at = _class_character(pattern, at + 1)
        if high < low:
            raise _invalid(pattern, f"the range {low}-{high} is empty")
        ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    # As in Docker, a negated class also matches "/".
    return f"[{'^' if is_negated else ''}{''.join(ranges)}]", at + 1


def _class_character(pattern: str, at: int) -> tuple[str, int]:
    is_escaped = pattern.startswith("\\", at)
    at += is_escaped
    if at >= len(pattern):
        raise _invalid(pattern, "a '[' is not closed")
    if not is_escaped and pattern[at] in "-]":
        raise _invalid(pattern, f"{pattern[at]!r} in '[…]' needs a backslash")
    return pattern[at], at + 1


def _invalid(pattern: str, why: str) -> ValueError:
    return ValueError(f"invalid pattern {pattern!r}: {why}")
