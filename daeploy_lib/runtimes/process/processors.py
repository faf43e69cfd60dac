"""Which processors a version may use: those that the fewest others use."""

import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence


def processors_for(cpus: float, others: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """
    Return the numbers of the processors for a version; () if it may use all.

    A process can only be held to whole ones: ``1.5`` are two.

    Args:
        cpus: How many it may use.
        others: Those of the versions that there are.

    Example:
        >>> processors_for(10_000, [])
        ()
    """
    if not hasattr(os, "sched_getaffinity"):
        return ()
    ours = sorted(os.sched_getaffinity(0))
    wanted = math.ceil(cpus)
    if wanted >= len(ours):
        return ()
    users = Counter(number for numbers in others for number in numbers)
    return tuple(sorted(sorted(ours, key=lambda number: users[number])[:wanted]))
