"""
Lists whose order means nothing: which element of one goes with which of the other.

Equal elements are found by their canonical text, in time that grows with the size
of the lists. Only what is left is tried against one another, and only if numbers
may differ and few are left. Swapping the lists gives the same pairs, swapped.

    >>> pairs = [("1", 1), ("2", 2)], [("2", 2), ("3", 3)]
    >>> list(matched(*pairs, Tolerance(), lambda one, other: one == other))
    [(0, 1, 3)]
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from daeploy_lib.compare.json_text import ABSENT
from daeploy_lib.compare.numbers import Tolerance
from daeploy_lib.compare.path_matching import State

_MAX_DECIMAL_BITS = 400
# Trials of one element against another; each walks through both.
_MAX_TRIALS = 1024

IsSame = Callable[[Any, Any], bool]
# Canonical text and value.
Element = tuple[str, Any]
# Canonical text, place in its list, value.
_Left = tuple[str, int, Any]


class Canonical:
    """
    Texts that are equal if and only if two values agree exactly, by the paths.

    Args:
        spend: Called with the number of values in an object or list and its depth
            before it is entered.
    """

    def __init__(self, spend: Callable[[int, int], None]) -> None:
        self._spend = spend

    def text(self, value: Any, state: State, depth: int) -> str:
        """Return the text of a value; empty if nothing in it is compared."""
        if state.is_ignored or not (state.is_included or state.may_include):
            return ""
        if type(value) is dict:
            self._spend(len(value), depth)
            inner = [
                (repr(name), self.text(value[name], state.name(name), depth + 1))
                for name in sorted(value)
            ]
        elif type(value) is list:
            self._spend(len(value), depth)
            if state.is_unordered:
                below = state.index(-1)
                texts = sorted(self.text(v, below, depth + 1) for v in value)
                return f"<{','.join(texts)}>"
            inner = [
                (str(place), self.text(v, state.index(place), depth + 1))
                for place, v in enumerate(value)
            ]
        else:
            return _scalar(value) if state.is_included else ""
        return self._joined(inner, value, state)

    def _joined(self, inner: list[tuple[str, str]], value: Any, state: State) -> str:
        shown = [f"{name}:{text}" for name, text in inner if text]
        if state.is_included:
            opening, closing = "{}" if type(value) is dict else "[]"
            # How long an ordered list is counts, whatever is ignored in it.
            size = "" if type(value) is dict else f"{len(value)};"
            return f"{opening}{size}{','.join(shown)}{closing}"
        return f"({','.join(shown)})" if shown else ""


def _scalar(value: Any) -> str:
    """Return a text that 1 and 1.0 have in common, and 1 and true have not."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int and value.bit_length() > _MAX_DECIMAL_BITS:
        # Which takes less than quadratic time.
        return f"{value:#x}"
    return repr(value)


def matched(
    main: Sequence[Element],
    shadow: Sequence[Element],
    tolerance: Tolerance,
    is_same: IsSame,
) -> Iterator[tuple[int, Any, Any]]:
    """
    Yield the elements that have no equal, with what stands in the other list.

    Yields:
        Place, main's element, the shadow's element. Either element may be absent;
        the place is that in main's list unless main's is absent.
    """
    left, right = _without_common(main, shadow)
    if not tolerance.is_none and len(left) * len(right) != 1:
        left, right = _without_close(left, right, tolerance, is_same)
    for (_, place, one), (_, _, other) in zip(left, right, strict=False):
        yield place, one, other
    for _, place, one in left[len(right) :]:
        yield place, one, ABSENT
    for _, place, other in right[len(left) :]:
        yield place, ABSENT, other


def _without_common(
    main: Sequence[Element], shadow: Sequence[Element]
) -> tuple[list[_Left], list[_Left]]:
    common = Counter(text for text, _ in main) & Counter(text for text, _ in shadow)
    return _rest(main, Counter(common)), _rest(shadow, Counter(common))


def _rest(elements: Sequence[Element], common: Counter[str]) -> list[_Left]:
    rest: list[_Left] = []
    for place, (text, value) in enumerate(elements):
        if common[text]:
            common[text] -= 1
        else:
            rest.append((text, place, value))
    # Of those that differ, neighbours in this order are the most alike.
    return sorted(rest, key=lambda element: element[:2])


def _without_close(
    left: list[_Left], right: list[_Left], tolerance: Tolerance, is_same: IsSame
) -> tuple[list[_Left], list[_Left]]:
    if all(type(v) in (int, float) and v == v for _, _, v in (*left, *right)):  # noqa: PLR0124 - NaN
        return _without_close_numbers(left, right, tolerance)
    if len(left) * len(right) > _MAX_TRIALS:
        left, right = _without_close_neighbours(left, right, is_same)
    if len(left) * len(right) > _MAX_TRIALS:
        return left, right
    taken = _assignment(left, right, is_same)
    return (
        [element for n, element in enumerate(left) if n not in taken.values()],
        [element for n, element in enumerate(right) if n not in taken],
    )


def _without_close_neighbours(
    left: list[_Left], right: list[_Left], is_same: IsSame
) -> tuple[list[_Left], list[_Left]]:
    """Pair those at the same place of the order: numbers that are close look alike."""
    is_apart = [
        not is_same(one[2], other[2]) for one, other in zip(left, right, strict=False)
    ]
    return (
        [*itertools.compress(left, is_apart), *left[len(is_apart) :]],
        [*itertools.compress(right, is_apart), *right[len(is_apart) :]],
    )


def _without_close_numbers(
    left: list[_Left], right: list[_Left], tolerance: Tolerance
) -> tuple[list[_Left], list[_Left]]:
    """Pair numbers in their order, which pairs as many as can be."""
    ones = sorted(left, key=lambda element: (element[2], element[1]))
    others = sorted(right, key=lambda element: (element[2], element[1]))
    kept: tuple[list[_Left], list[_Left]] = ([], [])
    at, to = 0, 0
    while at < len(ones) and to < len(others):
        if tolerance.allows(ones[at][2], others[to][2]):
            at, to = at + 1, to + 1
        elif ones[at][2] < others[to][2]:
            kept[0].append(ones[at])
            at += 1
        else:
            kept[1].append(others[to])
            to += 1
    return [*kept[0], *ones[at:]], [*kept[1], *others[to:]]


def _assignment(
    left: list[_Left], right: list[_Left], is_same: IsSame
) -> dict[int, int]:
    """
    Return which of the left each of the right goes with, for as many as can be.

    Kuhn's augmenting paths: a pair that was found is given up if both of its
    elements can be paired otherwise.
    """
    close = [
        [to for to, (_, _, other) in enumerate(right) if is_same(one, other)]
        for _, _, one in left
    ]
    taken: dict[int, int] = {}

    def find(at: int, seen: set[int]) -> bool:
        for to in close[at]:
            if to not in seen:
                seen.add(to)
                if to not in taken or find(taken[to], seen):
                    taken[to] = at
                    return True
        return False

    for at in range(len(left)):
        find(at, set())
    return taken
