"""What charts are drawn from: points and bars of what was counted."""

import math
from collections.abc import Iterator

import attrs

from daeploy_lib.evidence.histogram import Histogram
from daeploy_lib.evidence.intervals import Bin, rate_interval
from daeploy_lib.evidence.numbers import NumberTotals
from daeploy_lib.evidence.timeline import Timeline

_BARS = 31
# The rest is so far off that all others would be one bar.
_RANGE = (0.005, 0.995)


@attrs.frozen
class Span:
    """
    Agreement for a while.

    Attributes:
        begin: Seconds since 1970.
        end: The same.
        share: That agreed.
        low: Where the interval of that share begins.
        high: Where it ends.
        count: Exchanges.
    """

    begin: float
    end: float
    share: float
    low: float
    high: float
    count: int


def spans(timeline: Timeline, confidence: float) -> list[Span]:
    """Return how agreement went, with an always-valid interval for each span."""
    found = []
    for begin, agreed, others in timeline:
        n = agreed + others
        if n:
            ends = rate_interval(n, agreed, 1 - confidence)
            end = begin + timeline.seconds
            found.append(Span(begin, end, agreed / n, ends.low, ends.high, n))
    return found


def cumulative(histogram: Histogram) -> list[tuple[float, float]]:
    """
    Return points of a distribution: a value, and the share of those up to it.

    What is beyond the scale's end, such as what was not answered in time, has no
    point: the last share is less than 1 then.
    """
    points: list[tuple[float, float]] = []
    seen = 0
    for low, high, n in histogram.bins():
        if math.isinf(high):
            break
        if not points or points[-1][0] < low:
            points.append((max(low, histogram.scale.low), seen / histogram.count))
        seen += n
        points.append((max(high, histogram.scale.low), seen / histogram.count))
    return points


def difference_bars(numbers: NumberTotals) -> tuple[list[Bin], int]:
    """
    Return bars of shadow minus main, where they differ, and how many are beyond.

    The bars are of one width and begin at zero on both sides: what is to the left
    of it is smaller than main's.
    """
    bins = [one for one in numbers.bins() if one[0] or one[1]]
    if not bins:
        return [], 0
    low, high = _range(bins)
    width = (high - low) / _BARS
    first, last = math.floor(low / width), math.ceil(high / width)
    counts = dict.fromkeys(range(first, last), 0.0)
    beyond = 0
    for one in bins:
        middle = (one[0] + one[1]) / 2
        if not first * width <= middle <= last * width:
            beyond += one[2]
            continue
        for place, part in _shared(one, width):
            counts[min(max(place, first), last - 1)] += part
    bars = [(i * width, (i + 1) * width, round(n)) for i, n in counts.items()]
    return bars, beyond


def _range(bins: list[Bin]) -> tuple[float, float]:
    total = sum(n for _, _, n in bins)
    seen, low, high = 0, bins[0][0], bins[-1][1]
    for begin, end, n in bins:
        if seen <= _RANGE[0] * total < seen + n:
            low = begin
        if seen < _RANGE[1] * total <= seen + n:
            high = end
        seen += n
    low, high = (max(-1e100, min(1e100, end)) for end in (low, high))
    return min(low, 0.0), max(high, 0.0)


def _shared(one: Bin, width: float) -> Iterator[tuple[int, float]]:
    """Yield how much of a bin falls into which bar."""
    low, high, n = one
    begin, end = math.floor(low / width), math.ceil(high / width)
    if not math.isfinite(high - low) or end - begin > _BARS * 2 or high <= low:
        yield math.floor((low + high) / 2 / width), n
        return
    for place in range(begin, end):
        part = min(high, (place + 1) * width) - max(low, place * width)
        yield place, n * max(0.0, part) / (high - low)
