"""Labels of both as a matrix that can be looked at."""

from collections import Counter

import attrs

from daeploy_lib.evidence.labels import LabelTotals


@attrs.frozen
class Matrix:
    """
    Counts of pairs of labels.

    Attributes:
        labels: The most frequent ones first, for rows (main) and columns (shadow).
        counts: By row and column.
        rest: Pairs with a label that is in no row or column.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    rest: int


def matrix(totals: LabelTotals, most: int = 10) -> Matrix:
    """
    Return the counts of the most frequent labels.

    Args:
        totals: All counts.
        most: How many labels have a row and a column of their own.

    Example:
        >>> totals = LabelTotals()
        >>> for main, shadow in [("cat", "cat"), ("cat", "cat"), ("dog", "cat")]:
        ...     totals.add(main, shadow)
        >>> matrix(totals)
        Matrix(labels=('cat', 'dog'), counts=((2, 0), (1, 0)), rest=0)
    """
    seen: Counter[str] = Counter()
    for (main, shadow), n in totals.confusion.items():
        seen[main] += n
        seen[shadow] += n
    ranked = sorted(seen.items(), key=lambda item: (-item[1], item[0]))
    labels = tuple(label for label, _ in ranked[:most])
    counts = tuple(
        tuple(totals.confusion.get((main, shadow), 0) for shadow in labels)
        for main in labels
    )
    return Matrix(labels, counts, totals.count - sum(map(sum, counts)))
