"""Statistics of the fields of JSON answers that hold numbers or labels."""

from collections.abc import Mapping
from typing import Protocol, Self, TypeVar

from daeploy_lib.evidence import stored
from daeploy_lib.evidence.labels import LabelTotals
from daeploy_lib.evidence.numbers import NumberTotals, is_number
from daeploy_lib.evidence.times import seconds_of

_MAX_FIELDS = 64
_MAX_PATH = 200

_Totals = TypeVar("_Totals", NumberTotals, LabelTotals)


class Pair(Protocol):
    """One field in both answers, such as a comparison finds."""

    @property
    def path(self) -> str:
        """Which field, the same for all members of a list."""

    @property
    def main(self) -> object:
        """What main answered."""

    @property
    def shadow(self) -> object:
        """What the shadow answered."""


class FieldTotals:
    """
    Statistics of at most 64 fields with numbers and 64 with labels.

    Texts that tell a time, such as ``"2026-01-31T12:00:00Z"``, are numbers: seconds
    since 1970. The first fields are counted, and of too many that are merged those
    that were seen most. Nothing that is added raises: infinite and huge numbers, null,
    lists and what is a number on one side only are counted as other.

    Attributes:
        other: Pairs that are in no statistic.

    Example:
        >>> fields = FieldTotals()
        >>> fields.add("$.score", 0.5, 0.75)
        >>> fields.add("$.label", "cat", "dog")
        >>> fields.numbers["$.score"].mean_difference
        0.25
        >>> fields.labels["$.label"].agreement
        0.0
    """

    __slots__ = ("_labels", "_numbers", "other")

    def __init__(self) -> None:
        self.other = 0
        self._numbers: dict[str, NumberTotals] = {}
        self._labels: dict[str, LabelTotals] = {}

    @property
    def numbers(self) -> Mapping[str, NumberTotals]:
        """Statistics of fields with numbers, by path."""
        return self._numbers

    @property
    def labels(self) -> Mapping[str, LabelTotals]:
        """Statistics of fields with labels, by path."""
        return self._labels

    def add(self, path: str, main: object, shadow: object) -> None:
        """Count a field of both answers."""
        if len(path) > _MAX_PATH:
            self.other += 1
        elif is_number(main) and is_number(shadow):
            numbers = self._numbers.get(path)
            if numbers is None and len(self._numbers) < _MAX_FIELDS:
                numbers = self._numbers[path] = NumberTotals()
            if numbers is None:
                self.other += 1
            else:
                numbers.add(main, shadow)  # type: ignore[arg-type]
        elif (times := _times(main, shadow)) is not None:
            self.add(path, *times)
        elif isinstance(main, str | bool) and type(shadow) is type(main):
            labels = self._labels.get(path)
            if labels is None and len(self._labels) < _MAX_FIELDS:
                labels = self._labels[path] = LabelTotals()
            if labels is None:
                self.other += 1
            else:
                labels.add(main, shadow)
        else:
            self.other += 1

    def merged(self, other: Self) -> Self:
        """Return the statistics of both."""
        merged = type(self)()
        merged._numbers, lost = _joined(self._numbers, other._numbers)
        merged._labels, lost_labels = _joined(self._labels, other._labels)
        merged.other = self.other + other.other + lost + lost_labels
        return merged

    def swapped(self) -> Self:
        """Return the statistics with main and shadow in each other's place."""
        swapped = type(self)()
        swapped.other = self.other
        swapped._numbers = {path: n.swapped() for path, n in self._numbers.items()}
        swapped._labels = {path: n.swapped() for path, n in self._labels.items()}
        return swapped

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON can hold."""
        numbers = [[path, n.to_dict()] for path, n in sorted(self._numbers.items())]
        labels = [[path, n.to_dict()] for path, n in sorted(self._labels.items())]
        return {"numbers": numbers, "labels": labels, "other": self.other}

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """
        Return what ``to_dict`` wrote.

        Raises:
            ValueError: If it is damaged.
        """
        totals = cls()
        totals.other = stored.count(stored.member(data, "other"), "other")
        for path, one in stored.rows(stored.member(data, "numbers"), 2, "numbers"):
            totals._numbers[stored.text(path, "path")] = NumberTotals.from_dict(one)
        for path, one in stored.rows(stored.member(data, "labels"), 2, "labels"):
            totals._labels[stored.text(path, "path")] = LabelTotals.from_dict(one)
        if max(len(totals._numbers), len(totals._labels)) > _MAX_FIELDS:
            raise ValueError("Damaged evidence: there are too many fields.")
        return totals

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FieldTotals):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]


def _times(main: object, shadow: object) -> tuple[float, float] | None:
    """Return both as times, if both are."""
    if not isinstance(main, str) or not isinstance(shadow, str):
        return None
    one = seconds_of(main)
    two = None if one is None else seconds_of(shadow)
    return None if one is None or two is None else (one, two)


def _joined(
    one: dict[str, _Totals], two: dict[str, _Totals]
) -> tuple[dict[str, _Totals], int]:
    """Merge by path; return as many as may be, and how many pairs the rest had."""
    # Copied, for no two totals share their parts.
    joined = {path: totals.copied() for path, totals in one.items()}
    for path, totals in two.items():
        known = path in joined
        joined[path] = joined[path].merged(totals) if known else totals.copied()
    if len(joined) <= _MAX_FIELDS:
        return joined, 0
    ranked = sorted(joined.items(), key=lambda item: (-item[1].count, item[0]))
    kept = dict(ranked[:_MAX_FIELDS])
    return kept, sum(totals.count for _, totals in ranked[_MAX_FIELDS:])
