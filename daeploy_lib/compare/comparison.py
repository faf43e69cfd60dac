"""The result of a comparison: whether two answers agree, and if not, why not."""

import enum

import attrs

from daeploy_lib.compare.difference import Difference, Shape

Scalar = str | int | float | bool


class Agreement(enum.StrEnum):
    """
    Whether two answers agree.

    Attributes:
        match: They do, by the rules.
        differ: They do not.
        incomparable: It cannot be said; the comparison has a reason.
    """

    match = "match"
    differ = "differ"
    incomparable = "incomparable"


class Reason(enum.StrEnum):
    """
    Why two answers cannot be compared.

    Attributes:
        none: They can.
        not_whole: One was not read to its end, and agrees as far as it goes.
        no_digest: One was cut by the capture and has no digest.
        decoded_too_large: One is compressed and has more content than
            ``ComparisonRules.max_decoded_bytes``.
        too_deep: One is nested deeper than ``ComparisonRules.max_depth``.
        too_many_values: Both together have more values than
            ``ComparisonRules.max_values``.
        failed: The comparison itself failed.
    """

    none = ""
    not_whole = "not_whole"
    no_digest = "no_digest"
    decoded_too_large = "decoded_too_large"
    too_deep = "too_deep"
    too_many_values = "too_many_values"
    failed = "failed"


class IncomparableError(Exception):
    """
    Two answers cannot be compared. It never leaves ``compare``.

    Args:
        reason: Why.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


MAX_COUNTED = 1000
"""Where counting differences ends, a bound on what they cost: there may be others."""


@attrs.frozen
class FieldPair:
    """
    One field of two JSON answers that holds a number or a label in both.

    Attributes:
        path: Generalised: ``$.items[*].price``.
        main: What main answered.
        shadow: What the shadow answered.
    """

    path: str
    main: Scalar
    shadow: Scalar


@attrs.frozen
class Comparison:
    """
    How a shadow's answer compares with main's.

    Attributes:
        agreement: Whether they agree.
        reason: Why they cannot be compared; else empty.
        differences: The first of them, at most ``ComparisonRules.max_differences``
            in all and five of the same path and kind.
        count: How many differences there are; counting ends at 1000.
        shape: Paths and kinds of all that were counted, for grouping; None unless
            they differ.
        fields: Numbers and labels of both, if they were asked for.
    """

    agreement: Agreement
    reason: Reason = Reason.none
    differences: tuple[Difference, ...] = ()
    count: int = 0
    shape: Shape | None = None
    fields: tuple[FieldPair, ...] = ()

    @property
    def is_all_counted(self) -> bool:
        """Whether there are no more differences than were counted."""
        return self.count < MAX_COUNTED

    @property
    def is_match(self) -> bool:
        """Whether they agree."""
        return self.agreement is Agreement.match


MATCH = Comparison(Agreement.match)
