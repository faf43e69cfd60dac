"""The lines of a report: one for each shadow, and what is to be said below them."""

import math
from collections.abc import Iterator

from daeploy_lib.evidence.estimates import Estimate
from daeploy_lib.evidence.noise import Weighed
from daeploy_lib.evidence.summary import ShadowSummary, Summary
from daeploy_lib.show.printable import printable

COLUMNS = (
    *("SHADOW", "EXCHANGES", "AGREEMENT", "ERRORS MAIN / SHADOW"),
    *("P50 RATIO", "P99 RATIO", "DROPPED", "DIFFERS IN"),
)
_FIELDS = 3
_FIELD_WIDTH = 32
_NOTHING = "-"


def row(shadow: ShadowSummary) -> tuple[str, ...]:
    """Return the cells of one shadow, in the order of ``COLUMNS``."""
    control = " (control)" if shadow.is_control else ""
    return (
        shadow.version + control,
        f"{shadow.exchanges:,}",
        share(shadow.agreement),
        " / ".join(
            percent(one.value) for one in (shadow.main_errors, shadow.shadow_errors)
        ),
        ratio(shadow.p50_ratio),
        ratio(shadow.p99_ratio),
        f"{shadow.dropped:,}",
        _differing(shadow),
    )


def title(summary: Summary) -> str:
    """Return what the table is about."""
    if summary.since is None:
        return f"{summary.name}: main is {summary.main}"
    since = f"{summary.since.astimezone():%Y-%m-%d %H:%M:%S}"
    return f"{summary.name}: main is {summary.main} since {since}"


def notes(summary: Summary) -> Iterator[str]:
    """Yield what the numbers do not say."""
    if not summary.shadows:
        yield "There is no shadow: deploy another version."
    elif not any(shadow.exchanges for shadow in summary.shadows):
        yield "Nothing has been compared yet: send requests through a ShadowRouter."
    excused = sorted(
        {named(d) for s in summary.shadows for d in s.differences if d.is_excused}
    )
    if excused:
        more = f" and {len(excused) - _FIELDS} more" if len(excused) > _FIELDS else ""
        yield f"Noise, not counted: {', '.join(excused[:_FIELDS])}{more}."
    if summary.unreadable:
        yield f"{summary.unreadable} files of evidence could not be read."
    if summary.problem:
        yield printable(summary.problem)


def share(estimate: Estimate) -> str:
    """Return a share in percent, with its interval."""
    if estimate.value is None:
        return _NOTHING
    low, high = (f"{points(end)}" for end in (estimate.low, estimate.high))
    return f"{percent(estimate.value)} ({low} to {high})"


def ratio(estimate: Estimate) -> str:
    """Return a ratio; with its interval if that says something."""
    if estimate.value is None:
        return _NOTHING
    if math.isinf(estimate.high) or not estimate.low:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def named(difference: Weighed) -> str:
    """Return a field and its kind of difference, such as ``$.score`` for a value."""
    kind, _, path = difference.entry.partition(" ")
    path = printable(path, _FIELD_WIDTH)
    return path if kind == "value" else f"{path} ({kind})"


def _differing(shadow: ShadowSummary) -> str:
    counted = [one for one in shadow.differences if not one.is_excused]
    words = [f"{named(one)} {percent(one.rate)}" for one in counted[:_FIELDS]]
    if len(counted) > _FIELDS:
        words.append(f"{len(counted) - _FIELDS} more")
    return ", ".join(words)


def percent(value: float | None) -> str:
    """Return a share in percent; a dash if there is none."""
    return _NOTHING if value is None else f"{points(value)} %"


def points(share: float) -> str:
    """Return a share as a number of percent that never looks whole and is not."""
    percent = 100 * share
    text = f"{percent:.1f}"
    if text == "100.0" and percent < 100:  # noqa: PLR2004 - percent
        return "99.9"
    return "0.1" if text == "0.0" and percent > 0 else text
