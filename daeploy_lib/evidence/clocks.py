"""
Fields that are told from a clock: when an answer was given, or will expire.

Main reads its clock first, a copy a moment later, and a slow version last of all: how
far two readings are apart says how fast the versions are, and nothing about what they
answer. A clock that is off by more than that, such as by a time zone, is an error.
"""

import math

from daeploy_lib.evidence.numbers import NumberTotals
from daeploy_lib.evidence.totals import Totals

# Seconds, milliseconds, microseconds, nanoseconds since 1970.
_SCALES = (1.0, 1e3, 1e6, 1e9)
# What is told from a clock may lie ahead or behind: when a token expires. Seconds.
_FAR = 10 * 365.25 * 86400
# Readings are spread over the time in which they were taken, and this many seconds.
_SPREAD = 60.0
# Readings are this many seconds apart, and as long as a version takes to answer.
_SLACK = 1.0
_MAX_SLOW = 60.0


def slack_of(numbers: NumberTotals, totals: Totals) -> float:
    """
    Return how far two readings of a clock may be apart; 0 if the field is none.

    Args:
        numbers: Of the field.
        totals: Of the pairing: when its exchanges were, and how long they took.
    """
    first, last = totals.first_seen, totals.last_seen
    if first is None or last is None or not numbers.count:
        return 0.0
    spread = math.sqrt(numbers.square_main / numbers.count)
    for scale in _SCALES:
        is_time = first - _FAR <= numbers.mean_main / scale <= last + _FAR
        # A list of times and of other things has a mean as well.
        if is_time and spread / scale <= last - first + _SPREAD:
            ends = (totals.latencies.main_end, totals.latencies.shadow_end)
            slowest = max(end.quantile(0.99) or 0.0 for end in ends)
            return scale * (_SLACK + min(slowest, _MAX_SLOW))
    return 0.0
