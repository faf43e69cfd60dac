"""Which fields to show first."""

from collections.abc import Iterable

from daeploy_lib.evidence.differences import entry
from daeploy_lib.evidence.summary import ShadowSummary


def differing_numbers(shadow: ShadowSummary) -> list[str]:
    """Return paths of numbers that are not always equal, ranked."""
    found = shadow.numbers.items()
    return ranked(shadow, (path for path, n in found if n.equal < n.count))


def differing_labels(shadow: ShadowSummary) -> list[str]:
    """Return paths of labels that are not always equal, ranked."""
    found = shadow.labels.items()
    return ranked(shadow, (path for path, n in found if n.agreed < n.count))


def ranked(shadow: ShadowSummary, paths: Iterable[str]) -> list[str]:
    """Return fields as often as they differ, the most frequent first, noise last."""
    rates = {one.entry: (not one.is_excused, one.rate) for one in shadow.differences}
    return sorted(
        paths,
        key=lambda path: rates.get(entry(path, "value"), (False, 0)),
        reverse=True,
    )
