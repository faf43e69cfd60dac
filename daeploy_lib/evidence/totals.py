"""All that is kept of the exchanges of one pairing of a main and a shadow."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from daeploy_lib.evidence import stored
from daeploy_lib.evidence.counts import Counts
from daeploy_lib.evidence.differences import Differences
from daeploy_lib.evidence.fields import FieldTotals, Pair
from daeploy_lib.evidence.latencies import Latencies, Timing
from daeploy_lib.evidence.sample import Compared
from daeploy_lib.evidence.timeline import Timeline

COMPARED = ("match", "differ")
"""Outcomes that say whether two answers agree."""
ANSWERED = (*COMPARED, "incomparable")
"""Outcomes in which both answered."""
FAILED = ("shadow_error", "timeout", "refused")
"""Outcomes in which the shadow gave no answer."""
MISSED = ("dropped_in_flight", "dropped_bytes", "not_ready", "incomparable")
"""Outcomes that should have said more, and did not."""
OUTCOMES = (
    *(*COMPARED, *FAILED, *MISSED),
    *("not_sampled", "excluded", "main_failed", "client_gone"),
)
"""All names; the last four say nothing about the shadow."""

_MAX_STATUSES = 128
_SERVER_ERROR = 500
_FAILURES = ("shadow_bad", "main_bad", "both_bad", "broke_together", "main_broke")


class Totals:
    """
    Running totals of one pairing, of bounded size, mergeable across processes.

    Attributes:
        differences: What differed.
        fields: Statistics of fields that hold numbers or labels.
        latencies: Of both, and paired.
        statuses: How often which pair of statuses was seen, as ``"200 503"``.
        first_seen: Seconds since 1970 at the first exchange; None before.
        last_seen: The same of the last one.
        timeline: How many exchanges agreed when; those without an answer did not.

    Example:
        >>> totals = Totals()
        >>> totals.add("match", at=0.0, main_status=200, shadow_status=200)
        >>> totals.add("timeout", at=1.0, main_status=200)
        >>> totals.compared, totals.failures, totals.failed_alone
        (1, 1, 1)
    """

    __slots__ = (
        *("_failures", "_outcomes", "differences", "fields", "first_seen"),
        *("last_seen", "latencies", "statuses", "timeline"),
    )

    def __init__(self) -> None:
        self._outcomes = dict.fromkeys(OUTCOMES, 0)
        self._failures = dict.fromkeys(_FAILURES, 0)
        self.differences = Differences()
        self.fields = FieldTotals()
        self.latencies = Latencies()
        self.statuses = Counts(_MAX_STATUSES)
        self.timeline = Timeline()
        self.first_seen: float | None = None
        self.last_seen: float | None = None

    def add(
        self,
        outcome: str,
        *,
        at: float | None = None,
        main_status: int | None = None,
        shadow_status: int | None = None,
        main: Timing | None = None,
        shadow: Timing | None = None,
        differences: Iterable[tuple[str, str]] = (),
        is_whole: bool = True,
        fields: Iterable[Pair] = (),
    ) -> None:
        """
        Count how an exchange ended.

        Args:
            outcome: One of the 13 names.
            at: When, in seconds since 1970.
            main_status: Of main's answer, if there was one.
            shadow_status: Of the shadow's.
            main: How long main took. Looked at only where both answered, or the
                shadow did not in time; so are statuses.
            shadow: How long the shadow took.
            differences: Generalised paths and kinds, if they differ.
            is_whole: Whether these are all differences.
            fields: Numbers and labels of both answers.

        Raises:
            ValueError: If the outcome is none of these names.
        """
        if outcome not in self._outcomes:
            raise ValueError(f"Unknown outcome {outcome!r}. It is one of {OUTCOMES}.")
        self._outcomes[outcome] += 1
        self._see(at, at)
        is_bad = main_status is not None and main_status >= _SERVER_ERROR
        if outcome in FAILED:
            self._failures["broke_together"] += is_bad
        elif outcome == "main_failed":
            self._failures["main_broke"] += is_bad or main_status is None
        elif outcome in ANSWERED and main_status and shadow_status:
            self._count_statuses(main_status, shadow_status)
        if at is not None and (outcome in COMPARED or outcome in FAILED):
            self.timeline.add(at, agreed=outcome == "match")
        if outcome == "differ":
            self.differences.add(differences, is_whole=is_whole)
        if main is not None and outcome == "timeout":
            self.latencies.add(main, None)
        elif main is not None and shadow is not None and outcome in ANSWERED:
            self.latencies.add(main, shadow)
        for pair in fields:
            self.fields.add(pair.path, pair.main, pair.shadow)

    def add_compared(self, many: Sequence[Compared]) -> None:
        """
        Count exchanges whose answers were compared, as ``add`` does, for less each.

        Args:
            many: Of statuses below 500.
        """
        if not many:
            return
        times, mains, shadows, *seconds, differing, _ = zip(*many, strict=True)
        agreed = sum(entries is None for entries in differing)
        self._outcomes["match"] += agreed
        self._outcomes["differ"] += len(many) - agreed
        self._see(min(times), max(times))
        self.timeline.add_all(times, [entries is None for entries in differing])
        for (main, shadow), n in Counter(zip(mains, shadows, strict=True)).items():
            self.statuses.add(f"{main} {shadow}", n)
        self.latencies.add_all(*seconds)
        if agreed < len(many):
            for *_, entries, is_whole in many:
                if entries is not None:
                    self.differences.add(entries, is_whole=is_whole)

    def _count_statuses(self, main: int, shadow: int) -> None:
        self.statuses.add(f"{main} {shadow}")
        main_bad, shadow_bad = main >= _SERVER_ERROR, shadow >= _SERVER_ERROR
        if main_bad and shadow_bad:
            self._failures["both_bad"] += 1
        elif main_bad:
            self._failures["main_bad"] += 1
        elif shadow_bad:
            self._failures["shadow_bad"] += 1

    def _see(self, first: float | None, last: float | None) -> None:
        if first is not None and (self.first_seen is None or first < self.first_seen):
            self.first_seen = first
        if last is not None and (self.last_seen is None or last > self.last_seen):
            self.last_seen = last

    @property
    def outcomes(self) -> Mapping[str, int]:
        """How often each outcome was seen, by all 13 names."""
        return dict(self._outcomes)

    @property
    def seen(self) -> int:
        """All exchanges."""
        return sum(self._outcomes.values())

    @property
    def compared(self) -> int:
        """Exchanges whose answers were compared."""
        return self._sum(COMPARED)

    @property
    def failures(self) -> int:
        """Exchanges that the shadow gave no answer to."""
        return self._sum(FAILED)

    @property
    def missed(self) -> int:
        """Exchanges that should have been compared, and were not."""
        return self._sum(MISSED)

    @property
    def tried(self) -> int:
        """Exchanges that show whether the shadow fails: it answered or failed to."""
        return self._sum(ANSWERED) + self.failures

    @property
    def failed_alone(self) -> int:
        """Those of them in which it failed, or answered 5xx, and main did not."""
        failures = self._failures
        return failures["shadow_bad"] + self.failures - failures["broke_together"]

    @property
    def failed_main_alone(self) -> int:
        """Exchanges in which main answered 5xx and the shadow did not."""
        return self._failures["main_bad"]

    @property
    def failed_both(self) -> int:
        """Exchanges in which both failed."""
        return self._failures["both_bad"] + self._failures["broke_together"]

    @property
    def broke_alone(self) -> int:
        """Exchanges in which main failed, and nothing is known of the shadow."""
        return self._failures["main_broke"]

    @property
    def errors(self) -> tuple[int, int]:
        """Main's errors, also where the shadow cannot be judged; the shadow's."""
        main = self.failed_main_alone + self.failed_both
        return main + self.broke_alone, self.failed_alone + self.failed_both

    def _sum(self, names: Iterable[str]) -> int:
        return sum(self._outcomes[name] for name in names)

    def merged(self, other: Self) -> Self:
        """Return the totals of both, as if one process had seen all."""
        merged = type(self)()
        for name in OUTCOMES:
            merged._outcomes[name] = self._outcomes[name] + other._outcomes[name]
        for name in _FAILURES:
            merged._failures[name] = self._failures[name] + other._failures[name]
        merged.differences = self.differences.merged(other.differences)
        merged.fields = self.fields.merged(other.fields)
        merged.latencies = self.latencies.merged(other.latencies)
        merged.statuses = self.statuses.merged(other.statuses)
        merged.timeline = self.timeline.merged(other.timeline)
        merged._see(self.first_seen, self.last_seen)
        merged._see(other.first_seen, other.last_seen)
        return merged

    def swapped(self) -> Self:
        """
        Return the totals as if the shadow had been main, to judge main by.

        Where only main failed to answer the shadow would have done better: it
        counts as an error of what is now the shadow, and what the shadow failed to
        answer says nothing any more. Kinds of differences and the timeline are as they
        were.
        """
        swapped = type(self)()
        own = self.merged(type(self)())  # shares nothing with these
        failures, broke = self._failures, self._failures["main_broke"]
        swapped._outcomes |= self._outcomes | dict.fromkeys(FAILED, 0)
        swapped._outcomes["shadow_error"] = broke
        swapped._outcomes["main_failed"] += self.failures - broke
        swapped._failures["shadow_bad"] = failures["main_bad"]
        swapped._failures["main_bad"] = failures["shadow_bad"]
        swapped._failures["both_bad"] = failures["both_bad"]
        swapped._failures["main_broke"] = self.failures
        swapped.differences = own.differences
        swapped.timeline = own.timeline
        swapped.fields = own.fields.swapped()
        swapped.latencies = own.latencies.swapped()
        for pair, n in self.statuses.as_dict().items():
            main, _, shadow = pair.partition(" ")
            swapped.statuses.add(f"{shadow} {main}", n)
        swapped.statuses.other = self.statuses.other
        swapped._see(self.first_seen, self.last_seen)
        return swapped

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON can hold."""
        return {
            "outcomes": dict(self._outcomes),
            "failures": dict(self._failures),
            "differences": self.differences.to_dict(),
            "fields": self.fields.to_dict(),
            "latencies": self.latencies.to_dict(),
            "statuses": self.statuses.to_dict(),
            "timeline": self.timeline.to_dict(),
            "seen": [self.first_seen, self.last_seen],
        }

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """
        Return what ``to_dict`` wrote.

        Raises:
            ValueError: If it is damaged.
        """
        totals = cls()
        outcomes, failures = (stored.member(data, n) for n in ("outcomes", "failures"))
        for name in OUTCOMES:
            totals._outcomes[name] = stored.count(stored.member(outcomes, name), name)
        for name in _FAILURES:
            totals._failures[name] = stored.count(stored.member(failures, name), name)
        totals.differences = Differences.from_dict(stored.member(data, "differences"))
        totals.fields = FieldTotals.from_dict(stored.member(data, "fields"))
        totals.latencies = Latencies.from_dict(stored.member(data, "latencies"))
        statuses = stored.member(data, "statuses")
        totals.statuses = Counts.from_dict(statuses, _MAX_STATUSES)
        totals.timeline = Timeline.from_dict(stored.member(data, "timeline"))
        (ends,) = stored.rows([stored.member(data, "seen")], 2, "seen")
        times = [None if t is None else stored.number(t, "seen") for t in ends]
        totals._see(*times)
        totals._check()
        return totals

    def _check(self) -> None:
        """Refuse counts that no exchanges can have."""
        failures = self._failures
        answered = failures["shadow_bad"] + failures["main_bad"] + failures["both_bad"]
        if (
            failures["broke_together"] > self.failures
            or failures["main_broke"] > self._outcomes["main_failed"]
            or answered > self.statuses.total
            or self.differences.count != self._outcomes["differ"]
            or self.failed_alone > self.tried
        ):
            raise ValueError("Damaged evidence: its counts contradict one another.")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Totals):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]
