"""
Intervals that stay true however often they are looked at.

A fixed-size interval, such as Wilson's, is right for one look at a size chosen
beforehand. A gate is looked at after every request and stops when it likes the
answer; such an interval is then wrong far more often than it says. These are
*confidence sequences*: with probability 1 - alpha they hold what they estimate at
all times at once, so that one may look always and stop at any time.

**Rates.** The beta-binomial mixture: H. Robbins, "Statistical methods related to the
law of the iterated logarithm", Annals of Mathematical Statistics 41 (1970); as a
confidence sequence in S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform,
nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49 (2021).
The likelihood of the outcomes, averaged over Jeffreys' prior Beta(1/2, 1/2) of the
rate, over their likelihood at the true rate is a martingale that begins with 1; by
Ville's inequality it ever reaches 1 / alpha with probability at most alpha. The
rates at which it has not are the interval. It depends on two counts only, so counts
of several processes can be added.

**Quantiles.** S. Howard, A. Ramdas, "Sequential estimation of quantiles with
applications to A/B testing and best-arm identification", Bernoulli 28 (2022): how
many values are at most a quantile is such a count, of a rate that is known. No
distribution is assumed; counts in a histogram's bins are enough.

Both take the exchanges to be alike: of one rate that does not drift.
"""

import math
from collections.abc import Iterable

import attrs

Bin = tuple[float, float, int]
"""Values from the first number to the second, and how many."""

# Halving an interval more often than this changes no double.
_HALVINGS = 64


@attrs.frozen
class Interval:
    """
    What an estimate lies in, both ends included.

    Attributes:
        low: The lower end.
        high: The upper end.
    """

    low: float
    high: float

    def overlaps(self, other: "Interval") -> bool:
        """Return whether the two have a number in common."""
        return self.low <= other.high and other.low <= self.high


def log_evidence(n: int, k: int, rate: float) -> float:
    """
    Return how much k of n speak against a rate, as a logarithm.

    It is the logarithm of the mixture martingale: if the rate is true, it ever
    reaches log(1 / alpha) with probability at most alpha.

    Args:
        n: How often there was an outcome.
        k: How often it was the one that is counted.
        rate: From 0 to 1.

    Example:
        >>> log_evidence(0, 0, 0.3)
        0.0
        >>> round(log_evidence(100, 50, 0.9), 1)
        48.6
    """
    if n == 0:
        return 0.0
    against_one, against_zero = n - k, k
    if (rate <= 0 and against_zero) or (rate >= 1 and against_one):
        return math.inf
    log_mixture = (
        math.lgamma(k + 0.5)
        + math.lgamma(n - k + 0.5)
        - math.lgamma(n + 1)
        - math.log(math.pi)
    )
    log_likelihood = 0.0
    if against_zero:
        log_likelihood += against_zero * math.log(rate)
    if against_one:
        log_likelihood += against_one * math.log1p(-rate)
    return log_mixture - log_likelihood


def rate_interval(n: int, k: int, alpha: float) -> Interval:
    """
    Return an always-valid interval of a rate.

    Args:
        n: How often there was an outcome.
        k: How often it was the one that is counted.
        alpha: The chance that it is ever wrong.

    Returns:
        From 0 to 1 without outcomes.

    Raises:
        ValueError: If k is not from 0 to n, or alpha not between 0 and 1.

    Example:
        >>> interval = rate_interval(1000, 990, alpha=0.05)
        >>> round(interval.low, 3), round(interval.high, 3)
        (0.974, 0.998)
        >>> rate_interval(0, 0, alpha=0.05)
        Interval(low=0.0, high=1.0)
    """
    _check(n, k, alpha)
    if n == 0:
        return Interval(0.0, 1.0)
    enough = -math.log(alpha)
    measured = k / n
    low = _end(n, k, 0.0, measured, enough) if k else 0.0
    high = _end(n, k, 1.0, measured, enough) if k < n else 1.0
    return Interval(low, high)


def quantile_interval(bins: Iterable[Bin], q: float, alpha: float) -> Interval:
    """
    Return an always-valid interval of a quantile, whatever the distribution.

    Args:
        bins: Counted values in ascending order.
        q: Which quantile, such as 0.5.
        alpha: The chance that it is ever wrong; half of it for each end, since
            values may come in lumps.

    Returns:
        Edges of bins; from minus to plus infinity without values.

    Raises:
        ValueError: If q or alpha is not between 0 and 1.

    Example:
        >>> bins = [(x / 100, (x + 1) / 100, 10) for x in range(100)]
        >>> quantile_interval(bins, 0.5, alpha=0.05)
        Interval(low=0.43, high=0.57)
    """
    if not 0 < q < 1:
        raise ValueError(f"Invalid quantile {q!r}. It is between 0 and 1.")
    counted = [one for one in bins if one[2]]
    n = sum(number for _, _, number in counted)
    _check(n, 0, alpha)
    least, most = _ranks(n, q, alpha / 2)
    low, high = -math.inf, math.inf
    seen = 0
    for lower, upper, number in counted:
        if seen < least <= seen + number:
            low = lower
        seen += number
        if seen > most:
            high = upper
            break
    return Interval(low, high)


def _ranks(n: int, q: float, alpha: float) -> tuple[int, int]:
    """Return how few and how many of n values may be at most the quantile."""
    enough = -math.log(alpha)
    middle = math.floor(q * n)
    low, high = -1, middle  # too few; not too few
    while high - low > 1:
        k = (low + high) // 2
        low, high = (k, high) if log_evidence(n, k, q) >= enough else (low, k)
    least = high
    low, high = math.ceil(q * n), n + 1  # not too many; too many
    while high - low > 1:
        k = (low + high) // 2
        low, high = (low, k) if log_evidence(n, k, q) >= enough else (k, high)
    return least, low


def _end(n: int, k: int, outside: float, inside: float, enough: float) -> float:
    """Halve the way between a rate that is refuted and one that is not."""
    for _ in range(_HALVINGS):
        middle = (outside + inside) / 2
        if log_evidence(n, k, middle) >= enough:
            outside = middle
        else:
            inside = middle
    return outside


def _check(n: int, k: int, alpha: float) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"Cannot be {k} of {n}.")
    if not 0 < alpha < 1:
        raise ValueError(f"Invalid alpha {alpha!r}. It is between 0 and 1.")
