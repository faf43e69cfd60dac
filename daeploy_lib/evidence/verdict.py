"""What a gate says, condition by condition."""

import enum
import math
from collections.abc import Mapping
from typing import Any, Self

import attrs

from daeploy_lib.evidence import stored


class Result(enum.StrEnum):
    """
    What is known about a condition, or about all of them.

    Attributes:
        passed: It holds, with the gate's confidence.
        failed: It does not hold, with the gate's confidence.
        inconclusive: Neither is shown yet.
    """

    passed = "pass"
    failed = "fail"
    inconclusive = "inconclusive"


@attrs.frozen
class Condition:
    """
    One condition of a gate and what was measured.

    Attributes:
        name: The gate's parameter.
        bound: Its value.
        measured: None if nothing was.
        low: Where the measured value's always-valid interval begins.
        high: Where it ends; may be infinite.
        result: Whether it holds.
        more_needed: About how many more exchanges will decide it, if they are like
            those before. 0 if it is decided; None if it cannot be said, for the
            measured value is too near to the bound or nothing was measured.
        reason: All of this in words.
    """

    name: str
    bound: float
    measured: float | None
    low: float
    high: float
    result: Result
    more_needed: int | None
    reason: str

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON can hold; infinity is None."""
        plain = attrs.asdict(self)
        for end in ("low", "high"):
            if math.isinf(plain[end]):
                plain[end] = None
        return plain | {"result": str(self.result)}

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """
        Return what ``to_dict`` wrote.

        Raises:
            ValueError: If it is damaged.
        """
        low, high = stored.member(data, "low"), stored.member(data, "high")
        measured, more = (stored.member(data, n) for n in ("measured", "more_needed"))
        return cls(
            stored.text(stored.member(data, "name"), "name"),
            stored.number(stored.member(data, "bound"), "bound"),
            None if measured is None else stored.number(measured, "measured"),
            -math.inf if low is None else stored.number(low, "low"),
            math.inf if high is None else stored.number(high, "high"),
            Result(stored.text(stored.member(data, "result"), "result")),
            None if more is None else stored.count(more, "more_needed"),
            stored.text(stored.member(data, "reason"), "reason"),
        )


@attrs.frozen
class Verdict:
    """
    What a gate says.

    Attributes:
        result: ``pass`` if all conditions hold, ``fail`` if one certainly does not,
            else ``inconclusive``.
        exchanges: How many it rests on: those that were compared and those that
            the shadow gave no answer to.
        confidence: Of all conditions together.
        conditions: Each of them.
        excused: Differences that are noise, as kind and path.
    """

    result: Result
    exchanges: int
    confidence: float
    conditions: tuple[Condition, ...]
    excused: tuple[str, ...] = ()

    @property
    def is_pass(self) -> bool:
        """Whether all conditions hold."""
        return self.result is Result.passed

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is no pass, or why it is one."""
        return tuple(c.reason for c in self.conditions if c.result is self.result)

    @property
    def more_needed(self) -> int | None:
        """About how many more exchanges will decide it; None if it cannot be said."""
        if self.result is not Result.inconclusive:
            return 0
        needed = [c.more_needed for c in self.conditions]
        return None if None in needed else max(n for n in needed if n is not None)

    def __str__(self) -> str:
        words = {
            Result.passed: "Pass",
            Result.failed: "Fail",
            Result.inconclusive: "Inconclusive",
        }
        return (
            f"{words[self.result]} after {self.exchanges} exchanges, with "
            f"{self.confidence:.4g} confidence: {'; '.join(self.reasons)}."
        )

    def _repr_pretty_(self, printer: Any, cycle: object) -> None:
        """Have IPython show the sentence, not the values."""
        del cycle
        printer.text(str(self))

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON can hold."""
        return {
            "result": str(self.result),
            "exchanges": self.exchanges,
            "confidence": self.confidence,
            "conditions": [condition.to_dict() for condition in self.conditions],
            "excused": list(self.excused),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """
        Return what ``to_dict`` wrote.

        Args:
            data: Read from JSON.

        Raises:
            ValueError: If it is damaged.
        """
        conditions = stored.member(data, "conditions")
        entries = stored.member(data, "excused")
        if not isinstance(conditions, list) or not isinstance(entries, list):
            raise ValueError("Damaged evidence: a verdict without its lists.")  # noqa: TRY004
        return cls(
            Result(stored.text(stored.member(data, "result"), "result")),
            stored.count(stored.member(data, "exchanges"), "exchanges"),
            stored.number(stored.member(data, "confidence"), "confidence"),
            tuple(Condition.from_dict(one) for one in conditions),
            tuple(stored.text(one, "excused") for one in entries),
        )
