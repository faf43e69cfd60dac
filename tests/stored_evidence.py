"""Evidence as it is stored, made by hand."""

import time

from daeploy_lib.evidence.store import Stored
from daeploy_lib.evidence.totals import Totals


def pair(main: str, shadow: str, totals: Totals, *, name: str = "hello") -> Stored:
    """Return evidence of a pairing that has just begun."""
    return Stored(name, main, shadow, time.time(), totals)


def totals(
    match: int = 0, differ: int = 0, failed: int = 0, main_broke: int = 0
) -> Totals:
    """Return so many outcomes."""
    made = Totals()
    for _ in range(match):
        made.add("match", main_status=200, shadow_status=200)
    for _ in range(differ):
        made.add(
            "differ",
            main_status=200,
            shadow_status=200,
            differences=[("value", "$.score")],
        )
    for _ in range(failed):
        made.add("shadow_error", main_status=200)
    for _ in range(main_broke):
        made.add("main_failed", main_status=500)
    return made
