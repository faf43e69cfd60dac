"""Measured values beside their always-valid intervals."""

import math
from typing import Self

import attrs

from daeploy_lib.evidence.histogram import Histogram
from daeploy_lib.evidence.intervals import Interval, quantile_interval, rate_interval


@attrs.frozen
class Estimate:
    """
    A measured value and what the true one lies in.

    Attributes:
        value: As measured; None if nothing was.
        low: Where its always-valid interval begins.
        high: Where it ends; may be infinite.
    """

    value: float | None
    low: float
    high: float

    @classmethod
    def of(cls, value: float | None, interval: Interval) -> Self:
        """Return a value with its interval."""
        return cls(value, interval.low, interval.high)

    def to_dict(self) -> dict[str, float | None]:
        """Return plain values that JSON can hold; infinity is None."""
        high = None if math.isinf(self.high) else self.high
        return {"value": self.value, "low": self.low, "high": high}


def rate(n: int, k: int, alpha: float) -> Estimate:
    """
    Return the rate k of n.

    Example:
        >>> rate(0, 0, 0.05)
        Estimate(value=None, low=0.0, high=1.0)
    """
    return Estimate.of(k / n if n else None, rate_interval(n, k, alpha))


def median(values: Histogram, alpha: float) -> Estimate:
    """Return the median of positive numbers."""
    interval = quantile_interval(values.bins(), 0.5, alpha)
    return Estimate(values.quantile(0.5), max(0.0, interval.low), interval.high)


def tail_ratio(main: Histogram, shadow: Histogram, alpha: float) -> Estimate:
    """Return the shadow's 99th percentile over main's."""
    one = quantile_interval(main.bins(), 0.99, alpha / 2)
    two = quantile_interval(shadow.bins(), 0.99, alpha / 2)
    main_low, main_high = max(0.0, one.low), one.high
    low = max(0.0, two.low) / main_high if main_high else 0.0
    high = two.high / main_low if main_low > 0 else math.inf
    main_p99, shadow_p99 = main.quantile(0.99), shadow.quantile(0.99)
    value = None
    if main_p99 is not None and shadow_p99 is not None:
        value = shadow_p99 / main_p99
    return Estimate(value, low, high)
