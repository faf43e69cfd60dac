"""A result: a table, what it says about the marks, as Markdown."""

import statistics
from collections.abc import Mapping, Sequence

import attrs
import tabulate


@attrs.frozen
class Section:
    """
    What one case found.

    Attributes:
        title: What was done.
        rows: Column to text, a row each.
        notes: Sentences below the table.
    """

    title: str
    rows: Sequence[Mapping[str, str]]
    notes: Sequence[str]

    def markdown(self) -> str:
        """Return it as a part of a page."""
        parts = [f"### {self.title}"]
        if self.rows:
            names = list(self.rows[0])
            lines = [[row[name] for name in names] for row in self.rows]
            parts.append(tabulate.tabulate(lines, names, "pipe", disable_numparse=True))
        if self.notes:
            parts.append("\n".join(f"- {note}" for note in self.notes))
        return "\n\n".join(parts) + "\n"


@attrs.frozen
class Spread:
    """
    The median of several values, with the middle half and the ends.

    Attributes:
        values: In any order, at least one.
    """

    values: Sequence[float]

    @property
    def median(self) -> float:
        """The one in the middle."""
        return statistics.median(self.values)

    def text(self, digits: int = 2, scale: float = 1.0) -> str:
        """Return the median and, in brackets, the smallest and the largest."""
        low, high = min(self.values) * scale, max(self.values) * scale
        middle = self.median * scale
        if len(self.values) == 1:
            return f"{middle:.{digits}f}"
        return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Return the ratios round by round: what slows a round slows both."""
    return Spread([a / b for a, b in zip(ours, theirs, strict=True)])


def judged(ratio: Spread, mark: float, *, at_least: bool = False) -> str:
    """Return the ratio beside its mark."""
    is_reached = ratio.median >= mark if at_least else ratio.median <= mark
    word = "at least" if at_least else "at most"
    verdict = "reached" if is_reached else "NOT reached"
    return f"{ratio.text()}; mark: {word} {mark:.2f}, {verdict}"
