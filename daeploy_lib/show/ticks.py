"""Where a chart's axis has words, and which."""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

_DAY = 86_400


def labelled(
    ticks: Iterable[float], words: Callable[[float], str]
) -> list[tuple[float, str]]:
    """Return ticks with what is written at them."""
    return [(tick, words(tick)) for tick in ticks]


def round_ticks(low: float, high: float, most: int = 4) -> list[float]:
    """
    Return round numbers in a range.

    Example:
        >>> round_ticks(0, 0.93)
        [0.0, 0.25, 0.5, 0.75]
    """
    rough = (high - low) / most
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * m for m in (1, 2, 2.5, 5, 10) if size * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first
    return [(first + i) * step for i in range(count + 1)]


def log_ticks(low: float, high: float, most: int = 4) -> list[float]:
    """
    Return powers of ten in a range, and some between if these are few.

    In a narrow range they are round numbers, equally far apart.

    Example:
        >>> [round(tick, 4) for tick in log_ticks(0.0015, 0.03)]
        [0.002, 0.005, 0.01, 0.02]
    """
    begin, end = math.floor(math.log10(low)), math.ceil(math.log10(high))
    found: list[float] = []
    for parts in ((1,), (1, 3), (1, 2, 5)):
        ticks = [10.0**p * m for p in range(begin, end + 1) for m in parts]
        finer = [tick for tick in ticks if low <= tick <= high]
        if found and len(finer) > most:
            break
        found = finer
    if len(found) <= 1:
        return round_ticks(low, high)
    return found[:: max(1, math.ceil(len(found) / most))]


def time_ticks(begin: float, end: float) -> list[tuple[float, str]]:
    """
    Return three times in UTC, in seconds since 1970, and how they are written.

    Example:
        >>> [words for _, words in time_ticks(1.7e9, 1.7e9 + 3600)]
        ['22:19', '22:43', '23:07']
    """
    pattern = "%H:%M:%S" if end - begin < 1800 else "%H:%M"  # noqa: PLR2004 - half an hour
    if end - begin > _DAY:
        pattern = "%d %b" if end - begin > 4 * _DAY else "%d %b %H:%M"
    ticks = [begin + (end - begin) * part for part in (0.1, 0.5, 0.9)]
    return labelled(ticks, lambda at: datetime.fromtimestamp(at, UTC).strftime(pattern))


def round_seconds(value: float) -> str:
    """
    Return a round duration.

    Example:
        >>> round_seconds(0.002), round_seconds(5e-5), round_seconds(10.0)
        ('2 ms', '50 µs', '10 s')
    """
    size, unit = (1, "s") if value >= 0.9995 else (1e-3, "ms")  # noqa: PLR2004
    if value < 0.0009995:  # noqa: PLR2004 - a millisecond
        size, unit = 1e-6, "µs"
    return f"{value / size:.3g} {unit}"
