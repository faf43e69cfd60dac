"""How a shadow's numbers differ from main's, in one field."""

import math
from collections.abc import Iterator
from typing import Self

from daeploy_lib.evidence import stored
from daeploy_lib.evidence.histogram import SIZE, Histogram
from daeploy_lib.evidence.intervals import Bin

# Larger numbers have squares that a double cannot hold many of.
_MAX_NUMBER = 1e100

_MOMENTS = (
    *("mean_main", "mean_shadow", "mean_difference"),
    *("square_main", "square_shadow", "square_difference", "product"),
)


def is_number(value: object) -> bool:
    """Return whether a value is a number that statistics can count with."""
    is_one = type(value) is int or type(value) is float
    return is_one and -_MAX_NUMBER <= value <= _MAX_NUMBER  # type: ignore[operator]


class NumberTotals:
    """
    Statistics of pairs of numbers, of which none is kept.

    Moments are joined after T. Chan, G. Golub, R. LeVeque, "Updating formulae and a
    pairwise algorithm for computing sample variances" (1979); quantiles of the
    difference come from a histogram, off by at most 5 %.

    Attributes:
        count: Pairs of numbers.
        equal: Pairs of equal ones.
        mean_main: Mean of main's.
        mean_shadow: Mean of the shadow's.
        mean_difference: The bias: mean of shadow minus main.
        square_main: Sum of squares of main's, about their mean.
        square_shadow: The same of the shadow's.
        square_difference: The same of the differences.
        product: Sum of products of both, about their means.

    Example:
        >>> scores = NumberTotals()
        >>> for score in range(100):
        ...     scores.add(score, score + 2)
        >>> scores.mean_difference, scores.correlation
        (2.0, 1.0)
    """

    __slots__ = ("_above", "_below", "count", "equal", *_MOMENTS)

    mean_main: float
    mean_shadow: float
    mean_difference: float
    square_main: float
    square_shadow: float
    square_difference: float
    product: float

    def __init__(self) -> None:
        self.count = 0
        self.equal = 0
        for name in _MOMENTS:
            setattr(self, name, 0.0)
        self._above = Histogram(SIZE)
        self._below = Histogram(SIZE)

    def add(self, main: float, shadow: float) -> None:
        """Count a pair for which ``is_number`` holds."""
        x, y = float(main), float(shadow)
        difference = float(shadow - main)
        self.count += 1
        if difference > 0:
            self._above.add(difference)
        elif difference < 0:
            self._below.add(-difference)
        else:
            self.equal += 1
        share = 1 / self.count
        dx, dy = x - self.mean_main, y - self.mean_shadow
        dd = difference - self.mean_difference
        self.mean_main += dx * share
        self.mean_shadow += dy * share
        self.mean_difference += dd * share
        rest = 1 - share
        self.square_main += dx * dx * rest
        self.square_shadow += dy * dy * rest
        self.square_difference += dd * dd * rest
        self.product += dx * dy * rest

    @property
    def deviation(self) -> float:
        """The standard deviation of the difference; 0 of fewer than two pairs."""
        if self.count < 2:  # noqa: PLR2004 - one value has no deviation
            return 0.0
        return math.sqrt(self.square_difference / (self.count - 1))

    @property
    def correlation(self) -> float | None:
        """Pearson's, from -1 to 1; None if either side is constant."""
        scale = math.sqrt(self.square_main) * math.sqrt(self.square_shadow)
        if not scale > 0:
            return None
        return max(-1.0, min(1.0, self.product / scale))

    @property
    def above(self) -> int:
        """In how many pairs the shadow's number is the larger one."""
        return self._above.count

    @property
    def below(self) -> int:
        """In how many pairs the shadow's number is the smaller one."""
        return self._below.count

    def bins(self) -> Iterator[Bin]:
        """Yield counted differences, shadow minus main, in ascending order."""
        below = list(self._below.bins())
        for low, high, n in reversed(below):
            yield -high, -low, n
        if self.equal:
            yield 0.0, 0.0, self.equal
        yield from self._above.bins()

    def quantile(self, q: float) -> float | None:
        """Return a quantile, from 0 to 1, of the difference; None without pairs."""
        rank = max(1, math.ceil(q * self.count))
        if not self.count:
            return None
        if rank <= self.below:
            middle = self._below.quantile((self.below - rank + 1) / self.below)
            return -middle if middle is not None else None
        if rank <= self.below + self.equal:
            return 0.0
        return self._above.quantile((rank - self.below - self.equal) / self.above)

    def merged(self, other: Self) -> Self:
        """Return the statistics of both."""
        merged = type(self)()
        merged.count = self.count + other.count
        merged.equal = self.equal + other.equal
        merged._above = self._above.merged(other._above)
        merged._below = self._below.merged(other._below)
        if not merged.count:
            return merged
        one, two = self.count / merged.count, other.count / merged.count
        both = self.count * other.count / merged.count
        gaps = {}
        for side in ("main", "shadow", "difference"):
            mean, mean_other = (getattr(t, f"mean_{side}") for t in (self, other))
            square, square_other = (getattr(t, f"square_{side}") for t in (self, other))
            gap = gaps[side] = mean - mean_other
            setattr(merged, f"mean_{side}", mean * one + mean_other * two)
            spread = (square + square_other) + gap * gap * both
            setattr(merged, f"square_{side}", spread)
        joined = gaps["main"] * gaps["shadow"] * both
        merged.product = (self.product + other.product) + joined
        return merged

    def copied(self) -> Self:
        """Return the same statistics, to go on from."""
        return self.merged(type(self)())

    def swapped(self) -> Self:
        """Return the statistics with main and shadow in each other's place."""
        swapped = type(self)()
        swapped.count, swapped.equal = self.count, self.equal
        swapped.mean_main, swapped.mean_shadow = self.mean_shadow, self.mean_main
        swapped.mean_difference = -self.mean_difference
        swapped.square_main = self.square_shadow
        swapped.square_shadow = self.square_main
        swapped.square_difference = self.square_difference
        swapped.product = self.product
        swapped._above, swapped._below = self._below, self._above
        return swapped

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON can hold."""
        plain: dict[str, object] = {name: getattr(self, name) for name in _MOMENTS}
        plain |= {"equal": self.equal}
        return plain | {"above": self._above.to_dict(), "below": self._below.to_dict()}

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """
        Return what ``to_dict`` wrote.

        Raises:
            ValueError: If it is damaged.
        """
        totals = cls()
        for name in _MOMENTS:
            value = stored.number(stored.member(data, name), name)
            if name.startswith("square") and value < 0:
                raise ValueError(f"Damaged evidence: {name!r} is below 0.")
            setattr(totals, name, value)
        totals.equal = stored.count(stored.member(data, "equal"), "equal")
        totals._above = Histogram.from_dict(stored.member(data, "above"), SIZE)
        totals._below = Histogram.from_dict(stored.member(data, "below"), SIZE)
        totals.count = totals.equal + totals.above + totals.below
        return totals

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NumberTotals):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]
