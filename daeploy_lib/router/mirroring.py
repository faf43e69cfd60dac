"""Beginning the copies of one exchange, once main has been reached."""

from collections.abc import Sequence

from daeploy_lib.router.capture import Captures
from daeploy_lib.router.loops import LoopState
from daeploy_lib.router.outcome import Outcome
from daeploy_lib.router.plan import Plan, Settings
from daeploy_lib.router.routing import RouteSource
from daeploy_lib.router.shadows import Copy


def start_copies(
    plan: Plan,
    state: LoopState,
    settings: Settings,
    source: RouteSource,
    slots: Sequence[object],
    *,
    content: bytes,
    is_complete: bool,
    captures: Captures | None = None,
) -> list[Copy]:
    """
    Send the head of the request to every shadow that has a place for it.

    Args:
        plan: The request and who shall get it.
        state: What belongs to the loop.
        settings: Of the router.
        source: Told of those that are dropped.
        slots: Of the shadows in the source, in their order.
        content: The framed body, if it is there already.
        is_complete: Whether nothing follows.
        captures: Keep answers, to compare them; None if nothing does.

    Returns:
        The copies under way; the dropped ones have been counted.
    """
    copies: list[Copy] = []
    mark = plan.new_mark()
    for target, slot in zip(plan.shadows, slots, strict=True):
        counts = target.counts
        if counts.in_flight >= settings.limits.max_in_flight:
            target.count(Outcome.dropped_in_flight)
            source.leave(slot)
            continue
        if counts.failures_left <= counts.in_flight and counts.rests():
            target.count(Outcome.not_ready)
            source.leave(slot)
            continue
        copy = Copy(
            state,
            target,
            plan.method,
            plan.copy_head(target, mark),
            settings,
            source=source,
            slot=slot,
            captures=captures,
        )
        copies.append(copy)
        copy.begin(content, is_complete=is_complete)
    return copies


def spare_copies(
    plan: Plan,
    source: RouteSource,
    slots: Sequence[object],
    outcome: Outcome,
) -> None:
    """Account for shadows that no copy was begun for."""
    for target, slot in zip(plan.shadows, slots, strict=False):
        source.leave(slot)
        target.count(outcome)
