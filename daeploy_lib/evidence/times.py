"""Texts that tell a time."""

import re
from datetime import UTC, datetime

# RFC 3339, section 5.6, also without an offset; a date alone is no reading.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d", re.ASCII)
_MAX_LENGTH = 40


def seconds_of(text: str) -> float | None:
    """
    Return what time a text says, in seconds since 1970; None if it says none.

    Example:
        >>> seconds_of("1970-01-01T00:01:00.5Z")
        60.5
        >>> seconds_of("1970-01-01") is None
        True
    """
    if len(text) > _MAX_LENGTH or not _TIME.match(text):
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
