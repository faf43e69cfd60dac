"""
A histogram whose bins grow with the values, so that every quantile is as exact.

After C. Masson, J. Rim, H. Lee, "DDSketch: a fast and fully-mergeable quantile
sketch with relative-error guarantees", VLDB 12 (2019), with fixed ends: the number
of bins is bounded, and histograms of several processes are added exactly.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Self

import attrs

from daeploy_lib.evidence import stored
from daeploy_lib.evidence.intervals import Bin


@attrs.frozen
class Scale:
    """
    Which bins a histogram has.

    Attributes:
        low: Below it, all is one bin.
        high: From it on, all is one bin.
        error: Relative, of a quantile between them.
        size: Number of bins between them.
        log_growth: Logarithm of a bin's end over its beginning.
    """

    low: float
    high: float
    error: float
    size: int = attrs.field(init=False)
    log_growth: float = attrs.field(init=False)

    @size.default
    def _count_bins(self) -> int:
        growth = (1 + self.error) / (1 - self.error)
        return math.ceil(math.log(self.high / self.low) / math.log(growth))

    @log_growth.default
    def _fit_growth(self) -> float:
        # The ends are edges of bins, so that a scale about 1 is symmetrical.
        return math.log(self.high / self.low) / self.size

    def index(self, value: float) -> int:
        """Return the bin of a value: -1 below the scale, size above it."""
        if value < self.low:
            return -1
        if value >= self.high:
            return self.size
        index = int(math.log(value / self.low) / self.log_growth)
        return min(index, self.size - 1)

    def count(self, values: Iterable[float]) -> Mapping[int, int]:
        """Return how many of some numbers, none of them a NaN, are in which bin."""
        low, high, growth = self.low, self.high, self.log_growth
        most, log, find = self.size - 1, math.log, self.index
        return Counter(
            [
                # As in index(): a call for each number would double what it costs.
                min(int(log(value / low) / growth), most)
                if low <= value < high
                else find(value)
                for value in values
            ]
        )

    def edge(self, index: int) -> float:
        """Return where a bin begins."""
        if index < 0:
            return 0.0
        if index > self.size:
            return math.inf
        return self.low * math.exp(index * self.log_growth)

    def middle(self, index: int) -> float:
        """Return the value that is off by the same share at both ends of a bin."""
        if index < 0:
            return self.low
        if index >= self.size:
            return self.high
        growth = math.exp(self.log_growth)
        return self.edge(index) * 2 * growth / (1 + growth)


SECONDS = Scale(1e-6, 3600.0, 0.02)
"""For latencies."""
RATIO = Scale(1e-3, 1e3, 0.02)
"""For one latency over another."""
SIZE = Scale(1e-12, 1e15, 0.05)
"""For differences between numbers, without their sign."""


class Histogram:
    """
    Counts of positive numbers.

    Attributes:
        scale: Its bins.
        count: How many numbers were added.

    Example:
        >>> latencies = Histogram(SECONDS)
        >>> for milliseconds in range(1, 101):
        ...     latencies.add(milliseconds / 1000)
        >>> 0.049 < latencies.quantile(0.5) < 0.051
        True
        >>> Histogram(SECONDS).quantile(0.5) is None
        True
    """

    __slots__ = ("_bins", "count", "scale")

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self.count = 0
        self._bins: dict[int, int] = {}

    def add(self, value: float) -> None:
        """Count a number; infinity is above the scale, what is no number nowhere."""
        if math.isnan(value):
            return
        index = self.scale.index(value)
        self._bins[index] = self._bins.get(index, 0) + 1
        self.count += 1

    def add_counted(self, counted: Mapping[int, int]) -> None:
        """Count numbers whose bins have been counted, see ``Scale.count``."""
        bins = self._bins
        for index, n in counted.items():
            bins[index] = bins.get(index, 0) + n
        self.count += sum(counted.values())

    def bins(self) -> Iterator[Bin]:
        """Yield the bins that hold something, in ascending order."""
        scale = self.scale
        for index in sorted(self._bins):
            yield scale.edge(index), scale.edge(index + 1), self._bins[index]

    def quantile(self, q: float) -> float | None:
        """
        Return a quantile, off by at most the scale's error.

        Args:
            q: From 0 to 1.

        Returns:
            None if nothing was counted; an end of the scale for what is beyond.
        """
        seen, rank = 0, max(1, math.ceil(q * self.count))
        for index in sorted(self._bins):
            seen += self._bins[index]
            if seen >= rank:
                return self.scale.middle(index)
        return None

    def count_to(self, value: float) -> int:
        """Return how many numbers are in bins up to that of a value."""
        last = self.scale.index(value)
        return sum(n for index, n in self._bins.items() if index <= last)

    def merged(self, other: Self) -> Self:
        """
        Return the counts of both.

        Raises:
            ValueError: If they have not the same bins.
        """
        if self.scale != other.scale:
            raise ValueError(f"Cannot merge {other.scale} into {self.scale}.")
        merged = type(self)(self.scale)
        merged._bins = dict(self._bins)
        for index, n in other._bins.items():
            merged._bins[index] = merged._bins.get(index, 0) + n
        merged.count = self.count + other.count
        return merged

    def inverted(self) -> Self:
        """Return the histogram of 1 / x, on a scale that is symmetrical about 1."""
        inverted = type(self)(self.scale)
        last = self.scale.size - 1
        inverted._bins = {last - index: n for index, n in self._bins.items()}
        inverted.count = self.count
        return inverted

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON can hold."""
        return {"bins": [[index, self._bins[index]] for index in sorted(self._bins)]}

    @classmethod
    def from_dict(cls, data: object, scale: Scale) -> Self:
        """
        Return what ``to_dict`` wrote.

        Raises:
            ValueError: If it is damaged.
        """
        histogram = cls(scale)
        for index, n in stored.rows(stored.member(data, "bins"), 2, "bins"):
            place = stored.count(index, "bin") if index != -1 else -1
            if place > scale.size or place in histogram._bins:
                raise ValueError(f"Damaged evidence: bin {place} cannot be.")
            histogram._bins[place] = stored.count(n, "count")
            histogram.count += n
        return histogram

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self.scale == other.scale and self._bins == other._bins

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        median = self.quantile(0.5)
        return f"Histogram(count={self.count}, median={median})"
