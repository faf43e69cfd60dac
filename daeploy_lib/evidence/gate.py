"""The rule by which a shadow may become main."""

import attrs

from daeploy_lib.evidence import noise
from daeploy_lib.evidence.conditions import (
    at_least,
    at_most,
    enough,
    median_at_most,
    not_missed,
    tail_at_most,
)
from daeploy_lib.evidence.totals import Totals
from daeploy_lib.evidence.verdict import Condition, Result, Verdict


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a number, not {value!r}.")
    return float(value)


def _optional(value: object, name: str) -> float | None:
    return None if value is None else _number(value, name)


def _rate(value: object, name: str) -> float | None:
    number = _optional(value, name)
    if number is not None and not 0 < number < 1:
        raise ValueError(
            f"Invalid {name} {value!r}. It is a share between 0 and 1, without both: "
            f"no number of exchanges shows that a rate is exactly 0 or 1."
        )
    return number


def _agreement(value: object) -> float | None:
    return _rate(value, "agreement")


def _error_rate(value: object) -> float | None:
    return _rate(value, "error_rate")


def _ratio(value: object, name: str) -> float | None:
    number = _optional(value, name)
    if number is not None and not 0.01 <= number <= 100:  # noqa: PLR2004 - said below
        raise ValueError(
            f"Invalid {name} {value!r}. It is the shadow's latency over main's, from "
            f"0.01 to 100, such as 1.2."
        )
    return number


def _latency_ratio(value: object) -> float | None:
    return _ratio(value, "latency_ratio")


def _tail_ratio(value: object) -> float | None:
    return _ratio(value, "tail_ratio")


def _max_dropped(value: object) -> float:
    number = _number(value, "max_dropped")
    if not 0 <= number <= 0.5:  # noqa: PLR2004 - said below
        raise ValueError(
            f"Invalid max_dropped {value!r}. It is a share from 0 to 0.5: no gate "
            f"rests on less than half of the exchanges."
        )
    return number


def _confidence(value: object) -> float:
    number = _number(value, "confidence")
    if not 0.5 <= number <= 1 - 1e-9:  # noqa: PLR2004 - said below
        raise ValueError(
            f"Invalid confidence {value!r}. It is from 0.5 to below 1, such as 0.95."
        )
    return number


def _min_exchanges(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"min_exchanges is a whole number, not {value!r}.")
    if value < 1:
        raise ValueError(f"Invalid min_exchanges {value!r}. It is at least 1.")
    return value


@attrs.frozen
class Gate:
    """
    What a shadow must have shown before it may become main.

    Every condition is judged by an interval that is right at all times at once, so
    that a gate may be asked after every request: with the stated confidence, no
    condition is ever said to hold, or to fail, that does not. A condition that is
    None is left out.

    It never passes without traffic, on fewer than ``min_exchanges``, or when more
    than ``max_dropped`` was missed; it may fail then, for what is certain already is
    bad enough.

    Args:
        min_exchanges: So many must be compared, or left unanswered by the shadow.
        agreement: The least share of agreeing answers. An exchange that the shadow
            gave no answer to (``shadow_error``, ``timeout``, ``refused``) disagrees:
            as main it would have given the client an error. Differences that are
            noise do not count.
        error_rate: The largest share of exchanges in which the shadow failed and
            main did not: no answer, or a status from 500 where main's was below.
            What fails in both is no fault of the shadow's, so that a flaw of the
            requests or of a database both use stops no release.
        latency_ratio: The largest median of the shadow's time to the end of an
            answer over main's, request by request. An answer that did not come in
            time took for ever.
        tail_ratio: The largest 99th percentile of the shadow over that of main. It
            needs about a thousand exchanges to say anything.
        max_dropped: The largest share of exchanges that were not compared though
            they should have been: ``dropped_in_flight``, ``dropped_bytes``,
            ``not_ready``, ``incomparable``. Those that the policy left out, that
            main failed, or whose client left, are no gap.
        confidence: Of all conditions together; each gets an equal part of what is
            left to 1.

    Raises:
        ValueError: If a number is not in its range; the message says which it is.
        TypeError: If one is no number.

    Example:
        >>> totals = Totals()
        >>> for _ in range(1000):
        ...     totals.add("match", main_status=200, shadow_status=200)
        >>> gate = Gate(agreement=0.98, latency_ratio=None)
        >>> str(gate.judge(totals).result)
        'pass'
        >>> print(gate.judge(Totals()))  # doctest: +ELLIPSIS
        Inconclusive after 0 exchanges, with 0.95 confidence: ...
    """

    min_exchanges: int = attrs.field(default=100, converter=_min_exchanges)
    agreement: float | None = attrs.field(default=0.99, converter=_agreement)
    error_rate: float | None = attrs.field(default=0.01, converter=_error_rate)
    latency_ratio: float | None = attrs.field(default=2.0, converter=_latency_ratio)
    tail_ratio: float | None = attrs.field(default=None, converter=_tail_ratio)
    max_dropped: float = attrs.field(default=0.1, converter=_max_dropped)
    confidence: float = attrs.field(default=0.95, converter=_confidence)

    def judge(self, totals: Totals, control: Totals | None = None) -> Verdict:
        """
        Return what the totals of a pairing say.

        Args:
            totals: Of main and the shadow.
            control: Of main and itself, if there are any: of a control, of several
                merged, or of main asked twice. What they explain is excused.
        """
        found: tuple[noise.Weighed, ...] = ()
        if control is not None:
            found = noise.weigh(totals, control, confidence=self.confidence)
        excused = noise.excused(found)
        exchanges = totals.compared + totals.failures
        due = exchanges + totals.missed
        conditions = [
            enough("min_exchanges", self.min_exchanges, exchanges),
            not_missed("max_dropped", self.max_dropped, due, totals.missed),
            *self._estimated(totals, excused),
        ]
        results = {condition.result for condition in conditions}
        result = Result.inconclusive
        if Result.failed in results:
            result = Result.failed
        elif results == {Result.passed}:
            result = Result.passed
        return Verdict(
            result,
            exchanges,
            self.confidence,
            tuple(conditions),
            tuple(sorted(excused)),
        )

    def _estimated(self, totals: Totals, excused: frozenset[str]) -> list[Condition]:
        """Judge the conditions that share the confidence."""
        bounds = (self.agreement, self.error_rate, self.latency_ratio, self.tail_ratio)
        alpha = (1 - self.confidence) / max(1, sum(b is not None for b in bounds))
        conditions = []
        if self.agreement is not None:
            agreed = totals.outcomes["match"] + totals.differences.explained_by(excused)
            n = totals.compared + totals.failures
            conditions.append(at_least("agreement", self.agreement, n, agreed, alpha))
        if self.error_rate is not None:
            n, k = totals.tried, totals.failed_alone
            conditions.append(at_most("error_rate", self.error_rate, n, k, alpha))
        times = totals.latencies
        if self.latency_ratio is not None:
            name, ratios = "latency_ratio", times.ratio_end
            conditions.append(median_at_most(name, self.latency_ratio, ratios, alpha))
        if self.tail_ratio is not None:
            name, bound = "tail_ratio", self.tail_ratio
            tail = tail_at_most(name, bound, times.main_end, times.shadow_end, alpha)
            conditions.append(tail)
        return conditions
