"""Numbers with their units, as short as they can be read."""

import math
from datetime import UTC, datetime

from daeploy_lib.evidence.estimates import Estimate

NOTHING = "-"
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
# The year 9999 in seconds since 1970; no datetime is later.
_LATEST = 253402300799


def seconds(value: float | None) -> str:
    """
    Return a duration of three digits.

    Example:
        >>> seconds(0.0123456), seconds(95.0), seconds(0.00001), seconds(None)
        ('12.3 ms', '95.0 s', '10.0 µs', '-')
    """
    if value is None:
        return NOTHING
    size, unit = next((u for u in _UNITS if value >= u[0]), _UNITS[-1])
    return f"{_three_digits(value / size)} {unit}"


def number(value: float | None) -> str:
    """
    Return a number of four digits.

    Example:
        >>> number(12345.678), number(-0.00012344), number(2.0), number(None)
        ('12,350', '-0.0001234', '2', '-')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    rounded = float(f"{value:.4g}")
    text = f"{rounded:,.0f}" if 1000 <= abs(rounded) < 1e9 else f"{rounded:.4g}"  # noqa: PLR2004
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def interval(estimate: Estimate) -> str:
    """Return the two ends of a ratio's interval; what is unknown is a dash."""
    if math.isinf(estimate.high) and not estimate.low:
        return NOTHING
    high = "∞" if math.isinf(estimate.high) else f"{estimate.high:.2f}"
    return f"{estimate.low:.2f} to {high}"


def moment(at: float | datetime | None) -> str:
    """
    Return a time in UTC, which is the same wherever a page is read.

    Example:
        >>> moment(1.7e9)
        '2023-11-14 22:13:20 UTC'
    """
    if isinstance(at, datetime):
        return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if at is None or not 0 <= at <= _LATEST:
        return NOTHING
    return moment(datetime.fromtimestamp(at, UTC))


def _three_digits(value: float) -> str:
    if value >= 99.95:  # noqa: PLR2004 - has three digits already
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"  # noqa: PLR2004
