"""Whether a recorded start agrees with the engine's words, such as ``Up 3 minutes``."""

from datetime import datetime, timedelta

_MINUTE_S = 60
_HOUR_S = 3600
_DAY_H = 24
# The clocks of the engine and of this process, and the time of the answer.
_TOLERANCE = timedelta(seconds=1)


def matches_uptime(text: str, started_at: datetime | None, now: datetime) -> bool:
    """
    Return whether an instance that started then would be described like this now.

    A listing has no times of start, only such words. Where they agree with a
    recorded start there is no need to ask for every instance; where they do
    not, it was restarted. A restart shows at once in the first hour, and later
    when the words have moved on: they are as coarse as the hours are many.

    Args:
        text: The status words of the engine; other than ``Up …`` never match.
        started_at: The recorded start (aware); None never matches.
        now: The present time (aware).

    Source:
        ``HumanDuration`` in docker/go-units, ``duration.go``.

    Example:
        >>> from datetime import UTC, datetime
        >>> start = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)
        >>> now = datetime(2026, 11, 22, 11, 33, 10, tzinfo=UTC)
        >>> matches_uptime("Up 3 minutes", start, now)
        True
        >>> matches_uptime("Up 4 seconds", start, now)
        False
    """
    if started_at is None or not text.startswith("Up "):
        return False
    # Docker adds the health or a pause: "Up 3 minutes (healthy)".
    words = text.removeprefix("Up ").partition(" (")[0]
    elapsed = now - started_at
    possible = (timedelta(0), _TOLERANCE, -_TOLERANCE)
    return any(words == human_duration(elapsed + more) for more in possible)


def human_duration(elapsed: timedelta) -> str:
    """
    Return a duration in the engine's words.

    Example:
        >>> human_duration(timedelta(minutes=75))
        'About an hour'
    """
    seconds = int(elapsed.total_seconds())
    if seconds < 1:
        return "Less than a second"
    if seconds < _MINUTE_S:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    minutes = seconds // _MINUTE_S
    if minutes < _MINUTE_S:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = int(elapsed.total_seconds() / _HOUR_S + 0.5)
    if hours == 1:
        return "About an hour"
    days = hours // _DAY_H
    for limit_h, amount, unit in (
        (48, hours, "hours"),
        (_DAY_H * 14, days, "days"),
        (_DAY_H * 60, days // 7, "weeks"),
        (_DAY_H * 730, days // 30, "months"),
    ):
        if hours < limit_h:
            return f"{amount} {unit}"
    return f"{seconds // _HOUR_S // _DAY_H // 365} years"
