"""How agreement went over time."""

from collections.abc import Iterator, Sequence
from typing import Self

from daeploy_lib.evidence import stored

_MAX_SPANS = 120
# Seconds; doubled as often as it takes.
_SHORTEST = 10
# No clock shows later times; they would make one span of all others.
_LATEST = 1e11
_MOST_DOUBLINGS = 40


class Timeline:
    """
    Agreeing and other exchanges in at most 120 spans of equal length.

    Spans are 10 seconds long, and twice as long whenever there would be too many;
    they begin at multiples of their length, so that timelines can be merged
    exactly.

    Example:
        >>> timeline = Timeline()
        >>> timeline.add(1_000_000_003.0, agreed=True)
        >>> timeline.add(1_000_000_009.0, agreed=False)
        >>> timeline.add(1_000_000_012.0, agreed=True)
        >>> list(timeline)
        [(1000000000, 1, 1), (1000000010, 1, 0)]
    """

    __slots__ = ("_doublings", "_spans")

    def __init__(self) -> None:
        self._doublings = 0
        self._spans: dict[int, tuple[int, int]] = {}

    @property
    def seconds(self) -> int:
        """How long a span is."""
        return _SHORTEST << self._doublings

    def add(self, at: float, *, agreed: bool) -> None:
        """Count an exchange; times that no clock shows are left out."""
        if not 0 <= at < _LATEST:
            return
        place = int(at) // self.seconds
        yes, no = self._spans.get(place, (0, 0))
        self._spans[place] = (yes + 1, no) if agreed else (yes, no + 1)
        if not yes and not no:
            self._fit()

    def add_all(self, times: Sequence[float], agreed: Sequence[bool]) -> None:
        """Count exchanges, most of them of one span; whether each of them agreed."""
        seconds = self.seconds
        first, last = min(times), max(times)
        if first < 0 or last >= _LATEST or first // seconds != last // seconds:
            for at, has_agreed in zip(times, agreed, strict=True):
                self.add(at, agreed=has_agreed)
            return
        self.add(first, agreed=agreed[0])
        yes, no = self._spans[int(first) // self.seconds]
        more = sum(agreed[1:])
        counts = yes + more, no + len(agreed) - 1 - more
        self._spans[int(first) // self.seconds] = counts

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Yield begin in seconds since 1970, agreeing exchanges, others."""
        for place in sorted(self._spans):
            yield place * self.seconds, *self._spans[place]

    def _fit(self) -> None:
        while self._spans and max(self._spans) - min(self._spans) >= _MAX_SPANS:
            self._double()

    def _double(self) -> None:
        spans: dict[int, tuple[int, int]] = {}
        for place, (yes, no) in self._spans.items():
            before = spans.get(place // 2, (0, 0))
            spans[place // 2] = (before[0] + yes, before[1] + no)
        self._spans = spans
        self._doublings += 1

    def _copied(self) -> Self:
        copied = type(self)()
        copied._doublings, copied._spans = self._doublings, dict(self._spans)
        return copied

    def merged(self, other: Self) -> Self:
        """Return the exchanges of both."""
        one, two = self._copied(), other._copied()
        while one._doublings < two._doublings:
            one._double()
        while two._doublings < one._doublings:
            two._double()
        for place, (yes, no) in two._spans.items():
            before = one._spans.get(place, (0, 0))
            one._spans[place] = (before[0] + yes, before[1] + no)
        one._fit()
        return one

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON can hold."""
        spans = [[place, *self._spans[place]] for place in sorted(self._spans)]
        return {"doublings": self._doublings, "spans": spans}

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """
        Return what ``to_dict`` wrote.

        Raises:
            ValueError: If it is damaged.
        """
        timeline = cls()
        doublings = stored.count(stored.member(data, "doublings"), "doublings")
        if doublings > _MOST_DOUBLINGS:
            raise ValueError("Damaged evidence: a timeline of ages.")
        timeline._doublings = doublings
        for place, yes, no in stored.rows(stored.member(data, "spans"), 3, "spans"):
            counts = stored.count(yes, "agreed"), stored.count(no, "others")
            timeline._spans[stored.count(place, "span")] = counts
        if timeline._spans and max(timeline._spans) * timeline.seconds >= _LATEST:
            raise ValueError("Damaged evidence: a timeline of the far future.")
        timeline._fit()
        return timeline

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Timeline):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]
