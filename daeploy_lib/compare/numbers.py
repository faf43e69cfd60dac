"""
When two numbers are close enough.

JSON has one type of number, RFC 8259, section 6: 1 is 1.0. Whole numbers are exact
whatever their size, others are what a double can tell apart, and NaN, which is no
JSON but is sent, is equal to itself.

    >>> Tolerance(absolute=0.1).allows(1, 1.05)
    True
    >>> Tolerance().allows(2**64, 2**64 + 1)
    False
"""

import math

import attrs

Number = int | float

_INFINITE = frozenset({math.inf, -math.inf})


@attrs.frozen
class Tolerance:
    """
    How far apart two numbers may be; either way of being close is enough.

    Attributes:
        absolute: Largest difference.
        relative: Largest difference as a fraction of the larger of both.
    """

    absolute: float = 0.0
    relative: float = 0.0

    @property
    def is_none(self) -> bool:
        """Whether numbers must be equal."""
        return not self.absolute and not self.relative

    def allows(self, one: Number, other: Number) -> bool:
        """Return whether two numbers are close; the order does not matter."""
        if one == other:
            return True
        # Not by functions of math, which take no whole number beyond all doubles.
        if one != one or other != other:  # noqa: PLR0124 - NaN
            return one != one and other != other  # noqa: PLR0124
        if self.is_none or _INFINITE & {one, other}:
            return False
        try:
            distance = abs(one - other)
            larger = max(abs(one), abs(other))
            return distance <= self.absolute or distance <= self.relative * larger
        except OverflowError:
            # Such a number has no distance to a float, and no fraction.
            return False
