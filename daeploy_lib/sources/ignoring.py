"""
What a ``.dockerignore`` leaves out of a build context.

As Docker reads it: the last line that matches wins, ``!`` brings back, and a
line that matches a directory matches everything in it. A path counts by these
rules alone, so ``!**/keep.txt`` also reaches into a directory that is left out,
where ``docker build`` without BuildKit would not look.
"""

import posixpath
import re
from collections.abc import Iterable

import attrs

from daeploy_lib.sources.patterns import expression

_SPECIAL = re.compile(r"[*?\[\\]")


@attrs.frozen
class _Rule:
    """One line: the pattern, and whether it brings back."""

    pattern: str
    brings_back: bool
    expression: re.Pattern[str]

    def may_match_below(self, directory: str) -> bool:
        """Return False if nothing inside a directory can match."""
        for wanted, part in zip(
            self.pattern.split("/"), directory.split("/"), strict=False
        ):
            if _SPECIAL.search(wanted):
                return True
            if wanted != part:
                return False
        return True


@attrs.frozen
class Verdict:
    """
    What the rules say of one path.

    Attributes:
        is_out: Whether it stays out.
        matched: Which of the rules match it or a directory above it.
    """

    is_out: bool
    matched: tuple[bool, ...]


class Ignoring:
    """
    The lines of a ``.dockerignore``, ready to be asked.

    Args:
        lines: In the order of the file; comments and empty lines are allowed.

    Raises:
        ValueError: If Docker would refuse a line; the message names it.

    Example:
        >>> ignoring = Ignoring(["*.csv", "!keep.csv"])
        >>> ignoring.is_out("big.csv"), ignoring.is_out("keep.csv")
        (True, False)
    """

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._rules = tuple(filter(None, map(_rule, lines)))

    def verdict(self, path: str, above: Verdict | None = None) -> Verdict:
        """
        Return what the rules say of a path.

        Args:
            path: Relative, with ``/``.
            above: What they say of the directory it is in; None at the top.
        """
        inherited = above.matched if above else (False,) * len(self._rules)
        matched = tuple(
            was_matched or bool(rule.expression.fullmatch(path))
            for rule, was_matched in zip(self._rules, inherited, strict=True)
        )
        is_out = False
        for rule, is_matched in zip(self._rules, matched, strict=True):
            if is_matched:
                is_out = not rule.brings_back
        return Verdict(is_out, matched)

    def is_out(self, path: str) -> bool:
        """Return whether a path stays out."""
        verdict = None
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            verdict = self.verdict("/".join(parts[:end]), verdict)
        return verdict is not None and verdict.is_out

    def may_bring_back_below(self, directory: str) -> bool:
        """Return False if nothing in a directory that is out can come back."""
        return any(
            rule.brings_back and rule.may_match_below(directory) for rule in self._rules
        )

    def patterns_bringing_back(self, path: str) -> list[str]:
        """Return the patterns behind a ``!`` that match exactly this path."""
        return [
            rule.pattern
            for rule in self._rules
            if rule.brings_back and rule.expression.fullmatch(path)
        ]


def _rule(line: str) -> _Rule | None:
    if line.startswith("#"):
        return None
    pattern = line.strip()
    brings_back = pattern.startswith("!")
    pattern = pattern.removeprefix("!").strip() if brings_back else pattern
    if pattern:
        # After a leading "/" Docker takes spaces away once more.
        pattern = posixpath.normpath(pattern).lstrip("/").strip()
    if brings_back and not pattern:
        raise ValueError(f"invalid line {line.strip()!r}: nothing follows the '!'")
    # "." would be everything; Docker ignores it "for historical reasons".
    if pattern in ("", "."):
        return None
    return _Rule(pattern, brings_back, expression(pattern))
