"""Beginning the copies of one exchange, once main has been reached."""

from collections.abc import Sequence

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
    is_complete: bool,
) -> list[Copy]:
    """
    Send the head of the request to every shadow that has a place for it.

    Args:
        plan: The request and who shall get it.
        state: What belongs to the loop.
        settings: Of the router.
        source: Told of those that are dropped.
        slots: Of the shadows in the source, in their order.
        is_complete: Whether no body follows.

    Returns:
        The copies under way; the dropped ones have been counted.
    """
    chosen = []
    for target, slot in zip(plan.shadows, slots, strict=True):
        tally = settings.tally.version(target.name, target.version)
        if tally.in_flight >= settings.limits.max_in_flight:
            tally.count(Outcome.dropped_in_flight)
            source.leave(slot)
        else:
            chosen.append((target, slot))
    if not chosen:
        return []
    heads = plan.copy_heads(target for target, _ in chosen)
    copies = [
        Copy(
            state,
            target,
            plan.method,
            head,
            source=source,
            slot=slot,
            tally=settings.tally,
            limits=settings.limits,
            judge=settings.judge,
        )
        for (target, slot), head in zip(chosen, heads, strict=True)
    ]
    for copy in copies:
        copy.begin()
        if is_complete:
            copy.finish()
    return copies


def spare_copies(
    plan: Plan,
    settings: Settings,
    source: RouteSource,
    slots: Sequence[object],
    outcome: Outcome,
) -> None:
    """Account for shadows that no copy was begun for."""
    for target, slot in zip(plan.shadows, slots, strict=False):
        source.leave(slot)
        settings.tally.version(target.name, target.version).count(outcome)
