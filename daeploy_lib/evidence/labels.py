"""How a shadow's labels differ from main's, in one field."""

from typing import Self

from daeploy_lib.evidence import stored
from daeploy_lib.evidence.counts import Counts

# Enough for a confusion matrix that can be looked at.
_MAX_PAIRS = 256
_MAX_LABEL = 64
_BETWEEN = "\x1f"


def label(value: str | bool) -> str:
    """Return how a label is written: at most 64 characters."""
    if value is True or value is False:
        return "true" if value else "false"
    return value[:_MAX_LABEL].replace(_BETWEEN, " ")


class LabelTotals:
    """
    How often which label of the shadow met which of main.

    Attributes:
        count: Pairs of labels.
        agreed: Pairs of equal ones.
        other: Pairs that are not in ``confusion``, for there were too many.

    Example:
        >>> labels = LabelTotals()
        >>> labels.add("cat", "cat")
        >>> labels.add("cat", "dog")
        >>> labels.agreement
        0.5
        >>> labels.confusion
        {('cat', 'cat'): 1, ('cat', 'dog'): 1}
    """

    __slots__ = ("_pairs", "agreed", "count")

    def __init__(self) -> None:
        self.count = 0
        self.agreed = 0
        self._pairs = Counts(_MAX_PAIRS)

    def add(self, main: str | bool, shadow: str | bool) -> None:
        """Count a pair."""
        self.count += 1
        self.agreed += main == shadow
        self._pairs.add(label(main) + _BETWEEN + label(shadow))

    @property
    def agreement(self) -> float | None:
        """The share of equal labels; None without any."""
        return self.agreed / self.count if self.count else None

    @property
    def other(self) -> int:
        """How many pairs are not in ``confusion``."""
        return self._pairs.other

    @property
    def confusion(self) -> dict[tuple[str, str], int]:
        """Counts by main's and the shadow's label, the most frequent first."""
        found = {}
        for key, n in self._pairs.most():
            main, _, shadow = key.partition(_BETWEEN)
            found[main, shadow] = n
        return found

    def of_shadow(self) -> Counts:
        """Return how often the shadow gave each label."""
        counts = Counts(_MAX_PAIRS)
        counts.other = self.other
        for (_, shadow), n in self.confusion.items():
            counts.add(shadow, n)
        return counts

    def merged(self, other: Self) -> Self:
        """Return the statistics of both."""
        merged = type(self)()
        merged.count = self.count + other.count
        merged.agreed = self.agreed + other.agreed
        merged._pairs = self._pairs.merged(other._pairs)
        return merged

    def copied(self) -> Self:
        """Return the same statistics, to go on from."""
        return self.merged(type(self)())

    def swapped(self) -> Self:
        """Return the statistics with main and shadow in each other's place."""
        swapped = type(self)()
        swapped.count, swapped.agreed = self.count, self.agreed
        swapped._pairs.other = self.other
        for (main, shadow), n in self.confusion.items():
            swapped._pairs.add(shadow + _BETWEEN + main, n)
        return swapped

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON can hold."""
        rows = [[main, shadow, n] for (main, shadow), n in self.confusion.items()]
        return {"agreed": self.agreed, "other": self.other, "confusion": rows}

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """
        Return what ``to_dict`` wrote.

        Raises:
            ValueError: If it is damaged.
        """
        totals = cls()
        totals._pairs.other = stored.count(stored.member(data, "other"), "other")
        for row in stored.rows(stored.member(data, "confusion"), 3, "confusion"):
            main, shadow = (label(stored.text(one, "label")) for one in row[:2])
            totals._pairs.add(main + _BETWEEN + shadow, stored.count(row[2], "count"))
        totals.count = totals._pairs.total
        totals.agreed = stored.count(stored.member(data, "agreed"), "agreed")
        if totals.agreed > totals.count:
            raise ValueError("Damaged evidence: more labels agreed than there are.")
        return totals

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LabelTotals):
            return NotImplemented
        return (self.agreed, self._pairs) == (other.agreed, other._pairs)

    __hash__ = None  # type: ignore[assignment]
