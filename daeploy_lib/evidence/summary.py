"""What the evidence says of each shadow of a service, as plain values."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import attrs

from daeploy_lib.evidence import estimates, noise
from daeploy_lib.evidence.estimates import Estimate
from daeploy_lib.evidence.examples import Example
from daeploy_lib.evidence.gate import Gate
from daeploy_lib.evidence.histogram import Histogram
from daeploy_lib.evidence.labels import LabelTotals
from daeploy_lib.evidence.numbers import NumberTotals
from daeploy_lib.evidence.totals import Totals
from daeploy_lib.evidence.verdict import Verdict

CONFIDENCE = 0.95
"""Of each interval by itself."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of the difference of numbers."""


@attrs.frozen
class ShadowSummary:
    """
    One shadow beside main.

    All intervals are always-valid, each with 0.95 confidence.

    Attributes:
        version: The shadow.
        is_control: Whether it runs what main runs: its differences are noise.
        exchanges: Those that were compared, and those it gave no answer to.
        agreement: The share of them that agree; noise counts as agreeing.
        main_errors: The share in which main gave no answer, or a status from 500.
        shadow_errors: The same of the shadow.
        p50_ratio: Median of the shadow's time to the end of an answer over main's,
            request by request.
        p99_ratio: The shadow's 99th percentile over main's.
        dropped: Exchanges that should have been compared and were not:
            ``dropped_in_flight``, ``dropped_bytes``, ``not_ready``, ``incomparable``.
        outcomes: How often each of the 13 outcomes was seen.
        differences: What differed, the most frequent first, and whether it is noise.
        examples: Some exchanges that differ, grouped by the shape of the difference.
        totals: All that is known.
        control: What is known of main beside itself; None without a control.
    """

    version: str
    is_control: bool
    exchanges: int
    agreement: Estimate
    main_errors: Estimate
    shadow_errors: Estimate
    p50_ratio: Estimate
    p99_ratio: Estimate
    dropped: int
    outcomes: Mapping[str, int]
    differences: tuple[noise.Weighed, ...]
    examples: tuple[Example, ...] = attrs.field(repr=False)
    totals: Totals = attrs.field(repr=False)
    control: Totals | None = attrs.field(repr=False)

    @property
    def numbers(self) -> Mapping[str, NumberTotals]:
        """Statistics of the fields that hold numbers, by path."""
        return self.totals.fields.numbers

    @property
    def labels(self) -> Mapping[str, LabelTotals]:
        """Statistics of the fields that hold labels, by path."""
        return self.totals.fields.labels

    def judge(self, gate: Gate) -> Verdict:
        """Return whether it may become main by a gate."""
        return gate.judge(self.totals, self.control)

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON can hold; infinity is None."""
        times = self.totals.latencies
        return {
            "version": self.version,
            "is_control": self.is_control,
            "exchanges": self.exchanges,
            **{name: getattr(self, name).to_dict() for name in _ESTIMATES},
            "dropped": self.dropped,
            "outcomes": dict(self.outcomes),
            "statuses": self.totals.statuses.as_dict(),
            "latencies": {
                "main": _seconds(times.main_first_byte, times.main_end),
                "shadow": _seconds(times.shadow_first_byte, times.shadow_end),
            },
            "differences": [_difference(one) for one in self.differences],
            "numbers": {path: _numbers(n) for path, n in self.numbers.items()},
            "labels": {path: _labels(n) for path, n in self.labels.items()},
            "timeline": [list(span) for span in self.totals.timeline],
            "examples": [example.to_dict() for example in self.examples],
        }


_ESTIMATES = ("agreement", "main_errors", "shadow_errors", "p50_ratio", "p99_ratio")


@attrs.frozen
class Summary:
    """
    What is known of all shadows of a service.

    Attributes:
        name: The service.
        main: The version that is main.
        since: When it became main (aware, UTC); None if that is not known.
        shadows: Each of its shadows, in order of deployment.
        unreadable: How many files of other processes could not be read.
        problem: What hinders the recording; "" if nothing does.
    """

    name: str
    main: str
    since: datetime | None
    shadows: tuple[ShadowSummary, ...]
    unreadable: int = 0
    problem: str = ""

    def __getitem__(self, version: str) -> ShadowSummary:
        for shadow in self.shadows:
            if shadow.version == version:
                return shadow
        known = ", ".join(s.version for s in self.shadows) or "none"
        raise KeyError(f"{version!r} is no shadow of {self.name!r}; these are: {known}")

    def __iter__(self) -> Iterator[ShadowSummary]:
        return iter(self.shadows)

    def __len__(self) -> int:
        return len(self.shadows)

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON can hold."""
        return {
            "name": self.name,
            "main": self.main,
            "since": self.since and self.since.isoformat(),
            "shadows": [shadow.to_dict() for shadow in self.shadows],
            "unreadable": self.unreadable,
            "problem": self.problem,
        }


def summarise(
    version: str,
    totals: Totals,
    *,
    control: Totals | None = None,
    is_control: bool = False,
    examples: Iterable[Example] = (),
) -> ShadowSummary:
    """
    Return what totals say of one shadow.

    Args:
        version: The shadow.
        totals: Of main and the shadow.
        control: Of main and itself; what they explain is excused.
        is_control: Whether the shadow runs what main runs.
        examples: Of exchanges that differ.
    """
    alpha = 1 - CONFIDENCE
    weighed = noise.weigh(totals, control or Totals(), confidence=CONFIDENCE)
    explained = totals.differences.explained_by(noise.excused(weighed))
    exchanges = totals.compared + totals.failures
    main_errors, shadow_errors = totals.errors
    broke = totals.broke_alone
    times = totals.latencies
    return ShadowSummary(
        version,
        is_control,
        exchanges,
        estimates.rate(exchanges, totals.outcomes["match"] + explained, alpha),
        estimates.rate(totals.tried + broke, main_errors, alpha),
        estimates.rate(totals.tried, shadow_errors, alpha),
        estimates.median(times.ratio_end, alpha),
        estimates.tail_ratio(times.main_end, times.shadow_end, alpha),
        totals.missed,
        totals.outcomes,
        weighed,
        tuple(examples),
        totals,
        control,
    )


def _seconds(first_byte: Histogram, end: Histogram) -> dict[str, float | None]:
    return {
        f"{name}_{word}_s": histogram.quantile(q)
        for name, histogram in (("first_byte", first_byte), ("end", end))
        for word, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
    }


def _difference(one: noise.Weighed) -> dict[str, object]:
    kind, _, path = one.entry.partition(" ")
    return {
        "kind": kind,
        "path": path,
        "rate": one.rate,
        "low": one.interval.low,
        "high": one.interval.high,
        "is_noise": one.is_excused,
        "reason": one.reason,
    }


def _numbers(totals: NumberTotals) -> dict[str, object]:
    return {
        "count": totals.count,
        "equal": totals.equal,
        "mean_main": totals.mean_main,
        "mean_shadow": totals.mean_shadow,
        "mean_difference": totals.mean_difference,
        "deviation": totals.deviation,
        "correlation": totals.correlation,
        "quantiles": {str(q): totals.quantile(q) for q in QUANTILES},
    }


def _labels(totals: LabelTotals) -> dict[str, object]:
    rows = [[main, shadow, n] for (main, shadow), n in totals.confusion.items()]
    return {
        "count": totals.count,
        "agreement": totals.agreement,
        "confusion": rows,
        "other": totals.other,
    }
