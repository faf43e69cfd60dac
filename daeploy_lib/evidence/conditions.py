"""The conditions of a gate, each decided by itself."""

import math

from daeploy_lib.evidence import estimates
from daeploy_lib.evidence.estimates import Estimate
from daeploy_lib.evidence.histogram import Histogram
from daeploy_lib.evidence.intervals import log_evidence
from daeploy_lib.evidence.verdict import Condition, Result

# A gate that needs more exchanges than this will not get them.
_MAX_NEEDED = 10**8


def at_least(name: str, bound: float, n: int, k: int, alpha: float) -> Condition:
    """Decide whether the rate k of n is at least a bound."""
    estimate = estimates.rate(n, k, alpha)
    result = _compare(estimate.low >= bound, estimate.high < bound)
    return _of_rate(name, bound, (n, k), estimate, result=result, alpha=alpha)


def at_most(name: str, bound: float, n: int, k: int, alpha: float) -> Condition:
    """Decide whether the rate k of n is at most a bound."""
    estimate = estimates.rate(n, k, alpha)
    result = _compare(estimate.high <= bound, estimate.low > bound)
    return _of_rate(name, bound, (n, k), estimate, result=result, alpha=alpha)


def median_at_most(
    name: str, bound: float, values: Histogram, alpha: float
) -> Condition:
    """Decide whether the median is at most a bound."""
    estimate = estimates.median(values, alpha)
    result = _compare(estimate.high <= bound, estimate.low > bound)
    more: int | None = 0
    if result is Result.inconclusive:
        more = _more(values.count, values.count_to(bound), 0.5, alpha / 2, ideal=1.0)
    return _said(name, bound, estimate, result, more=more, words="at most")


def tail_at_most(
    name: str, bound: float, main: Histogram, shadow: Histogram, alpha: float
) -> Condition:
    """Decide whether the shadow's 99th percentile over main's is at most a bound."""
    estimate = estimates.tail_ratio(main, shadow, alpha)
    result = _compare(estimate.high <= bound, estimate.low > bound)
    more = None if result is Result.inconclusive else 0
    return _said(name, bound, estimate, result, more=more, words="at most")


def enough(name: str, bound: int, n: int) -> Condition:
    """Decide whether there are as many exchanges as wanted; few are no failure."""
    is_enough = n >= bound
    result = Result.passed if is_enough else Result.inconclusive
    reason = f"{name} is {bound}, and there are {n}"
    return Condition(
        name, bound, n, n, n, result, 0 if is_enough else bound - n, reason
    )


def not_missed(name: str, bound: float, n: int, k: int) -> Condition:
    """
    Decide whether few enough exchanges were missed; many are no failure.

    They were counted, not estimated: there is no interval about the share. What is
    unknown is how they would have ended, which nothing but copying more can tell.
    """
    if n == 0:
        reason = f"{name} cannot be measured: there are no exchanges"
        return Condition(name, bound, None, 0.0, 1.0, Result.inconclusive, None, reason)
    share = k / n
    is_fine = share <= bound
    result = Result.passed if is_fine else Result.inconclusive
    more = 0 if is_fine else math.ceil(k / bound) - n if bound else None
    reason = (
        f"{name} is {bound:.4g}, and {k} of {n} exchanges, {share:.4g}, were dropped "
        f"or could not be compared"
    )
    return Condition(name, bound, share, share, share, result, more, reason)


def _compare(holds: bool, fails: bool) -> Result:
    if holds:
        return Result.passed
    return Result.failed if fails else Result.inconclusive


def _of_rate(
    name: str,
    bound: float,
    counts: tuple[int, int],
    estimate: Estimate,
    *,
    result: Result,
    alpha: float,
) -> Condition:
    n, k = counts
    is_least = name == "agreement"
    more: int | None = 0
    if result is Result.inconclusive:
        more = _more(n, k, bound, alpha, ideal=1.0 if is_least else 0.0)
    words = "at least" if is_least else "at most"
    return _said(name, bound, estimate, result, more=more, words=words)


def _more(n: int, k: int, bound: float, alpha: float, *, ideal: float) -> int | None:
    """
    Return how many more outcomes like those before decide on a bound of a rate.

    Args:
        n: Outcomes.
        k: Those that count.
        bound: Of the rate.
        alpha: The chance of being wrong.
        ideal: The rate that is assumed before there are outcomes.
    """
    rate = k / n if n else ideal
    wanted = -math.log(alpha)

    def decides(total: int) -> bool:
        return log_evidence(total, round(rate * total), bound) >= wanted

    high = max(n, 1)
    while not decides(high):
        high *= 2
        if high > _MAX_NEEDED:
            return None
    low = n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return max(1, high - n)


def _said(
    name: str,
    bound: float,
    estimate: Estimate,
    result: Result,
    *,
    more: int | None,
    words: str,
) -> Condition:
    measured, low, high = estimate.value, estimate.low, estimate.high
    if measured is None:
        reason = f"{name} is to be {words} {bound:.4g} and was not measured"
    else:
        reason = (
            f"{name} is {measured:.4g} ({low:.4g} to {high:.4g}) and is to be "
            f"{words} {bound:.4g}"
        )
    if result is Result.inconclusive and more:
        reason += f", about {more} more exchanges are needed"
    return Condition(name, bound, measured, low, high, result, more, reason)
