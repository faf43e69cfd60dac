"""The engine's times: RFC 3339 with nanoseconds."""

import re
from datetime import UTC, datetime

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII
)
# The engine's word for never: year 1.
_NEVER = "0001-"


def parse_time(text: object) -> datetime | None:
    """
    Return an engine's time in UTC; None if it is none or means never.

    Nanoseconds are cut to microseconds.

    Example:
        >>> parse_time("2026-11-22T11:30:00.123456789Z").microsecond
        123456
    """
    match = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[0].startswith(_NEVER):
        return None
    fraction = (match[2] or "").ljust(6, "0")[:6]
    zone = "+00:00" if match[3] == "Z" else match[3]
    try:
        return datetime.fromisoformat(f"{match[1]}.{fraction}{zone}").astimezone(UTC)
    except ValueError:
        return None
