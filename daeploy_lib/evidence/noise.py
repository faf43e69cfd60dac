"""
Which differences are noise: main differs from itself in the same way.

A control runs what main runs, or main is asked twice. What differs there is no
fault of another shadow. A field is excused for a shadow only while the control
explains all that is seen of it:

- the rate at which it differs: the shadow's always-valid interval does not lie above
  the control's;
- for numbers, how the difference is distributed: how often the shadow's number is
  the larger one, and the difference's quantiles. A constant error on a noisy field
  moves these and is found, the sooner the larger it is beside the noise;
- for labels, how often the shadow gives each of them.

Of times only what the versions' latencies do not explain counts as off.

An error that is small beside the noise needs many exchanges to be seen. Where too
many fields or labels were met to keep statistics of all, only the rate is left, and
a number's or label's field without statistics is not excused.
"""

from collections import Counter
from collections.abc import Iterable

import attrs

from daeploy_lib.evidence.clocks import slack_of
from daeploy_lib.evidence.differences import entry
from daeploy_lib.evidence.intervals import (
    Bin,
    Interval,
    quantile_interval,
    rate_interval,
)
from daeploy_lib.evidence.labels import LabelTotals
from daeploy_lib.evidence.numbers import NumberTotals
from daeploy_lib.evidence.totals import Totals

MIN_CONTROL = 100
"""So many comparisons of main with itself before anything is excused."""
_QUANTILES = (0.1, 0.5, 0.9)
# More labels than this are looked at as one.
_MAX_LABELS = 32


@attrs.frozen
class Weighed:
    """
    One kind of difference in one field, beside what the control says of it.

    Attributes:
        entry: Kind and path, as in ``Differences.fields``.
        is_excused: Whether it is noise.
        rate: In which share of the compared exchanges it was seen.
        interval: Always-valid, of that rate.
        control: The same for main and itself.
        reason: Why it is excused or not, in words.
    """

    entry: str
    is_excused: bool
    rate: float
    interval: Interval
    control: Interval
    reason: str


def weigh(
    totals: Totals, control: Totals, *, confidence: float = 0.95
) -> tuple[Weighed, ...]:
    """
    Return all differences of a shadow, the most frequent first.

    Args:
        totals: Of main and the shadow.
        control: Of main and itself; of several controls, merged.
        confidence: With which nothing that the control explains is refused, for
            each difference.
    """
    return tuple(
        _weigh(name, n, totals, control, 1 - confidence)
        for name, n in totals.differences.fields.most()
    )


def excused(weighed: Iterable[Weighed]) -> frozenset[str]:
    """Return the entries that are noise."""
    return frozenset(one.entry for one in weighed if one.is_excused)


def _weigh(
    name: str, count: int, totals: Totals, control: Totals, alpha: float
) -> Weighed:
    in_control = control.differences.fields[name]
    compared = max(totals.compared, count)
    interval = rate_interval(compared, count, alpha / 4)
    explained = rate_interval(max(control.compared, in_control), in_control, alpha / 4)
    if not control.compared:
        why = "there is no control: main was never compared with itself"
    elif control.compared < MIN_CONTROL:
        why = (
            f"main was compared with itself {control.compared} times, which is "
            f"fewer than {MIN_CONTROL}"
        )
    elif not in_control:
        why = "main never differs from itself there"
    elif interval.low > explained.high and not _is_clock(name, totals, control):
        why = "it differs more often than main from itself"
    else:
        why = _why_not_alike(name, totals, control, alpha / 2)
    reason = why or "main differs from itself in the same way"
    rate = count / compared
    return Weighed(name, not why, rate, interval, explained, reason)


def _why_not_alike(name: str, totals: Totals, control: Totals, alpha: float) -> str:
    """Return what the values say against noise; nothing if they say nothing."""
    one, two = totals.fields, control.fields
    is_known = False
    for path in {*one.numbers, *two.numbers}:
        if entry(path, "value") == name:
            is_known = True
            if path not in one.numbers or path not in two.numbers:
                return "it holds numbers on one side only"
            slack = _slack(path, totals, control)
            if not _are_alike_numbers(
                one.numbers[path], two.numbers[path], slack, alpha
            ):
                return "its numbers are off by more, or more to one side"
    for path in {*one.labels, *two.labels}:
        if entry(path, "value") == name:
            is_known = True
            if path not in one.labels or path not in two.labels:
                return "it holds labels on one side only"
            if not _are_alike_labels(one.labels[path], two.labels[path], alpha):
                return "it gives some label more often, or less often"
    is_lost = bool(one.other or two.other)
    if is_lost and not is_known and name.startswith("value "):
        return "too many fields were met to have statistics of this one"
    return ""


def _slack(path: str, totals: Totals, control: Totals) -> float:
    """Return by how much a field may be off if it is a clock; else 0."""
    both = [(one, one.fields.numbers.get(path)) for one in (totals, control)]
    found = [numbers and slack_of(numbers, one) for one, numbers in both]
    return max(f or 0.0 for f in found) if all(found) else 0.0


def _is_clock(name: str, totals: Totals, control: Totals) -> bool:
    """Return whether it differs the more often the slower the shadow is."""
    paths = (p for p in totals.fields.numbers if entry(p, "value") == name)
    return any(_slack(path, totals, control) for path in paths)


def _are_alike_numbers(
    one: NumberTotals, two: NumberTotals, slack: float, alpha: float
) -> bool:
    alpha /= 2 * (len(_QUANTILES) + 2)
    for side in (1, -1):
        rates = (
            rate_interval(t.count, _beyond(t.bins(), slack, side), alpha)
            for t in (one, two)
        )
        if not next(rates).overlaps(next(rates)):
            return False
    return all(
        quantile_interval(one.bins(), q, alpha).overlaps(
            _widened(quantile_interval(two.bins(), q, alpha), slack)
        )
        for q in _QUANTILES
    )


def _beyond(bins: Iterable[Bin], slack: float, side: int) -> int:
    """Return how many differences to one side, 1 or -1, are larger than the slack."""
    if side > 0:
        return sum(n for low, high, n in bins if high > slack and low >= slack)
    return sum(n for low, high, n in bins if low < -slack and high <= -slack)


def _widened(interval: Interval, slack: float) -> Interval:
    return Interval(interval.low - slack, interval.high + slack)


def _are_alike_labels(one: LabelTotals, two: LabelTotals, alpha: float) -> bool:
    given, given_by_control = one.of_shadow(), two.of_shadow()
    if given.other or given_by_control.other:
        return _are_alike_names(one, two, alpha)
    labels = {label for label, _ in given.most(_MAX_LABELS)}
    labels |= {label for label, _ in given_by_control.most(_MAX_LABELS)}
    alpha /= 2 * max(1, len(labels))
    return all(
        rate_interval(one.count, given[label], alpha).overlaps(
            rate_interval(two.count, given_by_control[label], alpha)
        )
        for label in labels
    )


def _are_alike_names(one: LabelTotals, two: LabelTotals, alpha: float) -> bool:
    """
    Return whether neither side gives many pairs a label that the other never gives.

    There are more pairs than a matrix holds: names, not classes. How often each was
    seen is not known then; those that are held are the most frequent ones, and some
    drawn by chance.
    """
    sides = [Counter(shadow for _, shadow in t.confusion) for t in (one, two)]
    labels = {label for side in sides for label, _ in side.most_common(_MAX_LABELS)}
    alpha /= 2 * max(1, len(labels))
    return all(
        rate_interval(sides[0].total(), sides[0][label], alpha).overlaps(
            rate_interval(sides[1].total(), sides[1][label], alpha)
        )
        for label in labels
        if not all(side[label] for side in sides)
    )
