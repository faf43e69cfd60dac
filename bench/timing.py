"""Two ways of doing the same, interleaved, as medians and ratios."""

import statistics
import time
from collections.abc import Callable


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def compared(
    ours: Callable[[], object], by_hand: Callable[[], object], rounds: int
) -> str:
    """
    Return the medians of both and the median of the rounds' ratios.

    Both are done once before, and in each round one after the other, so that a
    busy machine slows both.
    """
    ours()
    by_hand()
    pairs = [(seconds(ours), seconds(by_hand)) for _ in range(rounds)]
    ratios = sorted(our / hand for our, hand in pairs)
    return (
        f"ours {statistics.median(p[0] for p in pairs) * 1e3:.1f} ms, "
        f"by hand {statistics.median(p[1] for p in pairs) * 1e3:.1f} ms, "
        f"ratio {statistics.median(ratios):.2f} "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f}, {rounds} rounds)"
    )
