"""
Two values of JSON, compared by structure.

The walk holds its own stack, so that no nesting can exhaust Python's, and spends
from a budget of values. To Python ``True`` is ``1``: ``==`` tells nothing but about
scalars of the same type, and about objects and lists if no truth value is in them.
"""

from itertools import compress
from operator import ne
from typing import TYPE_CHECKING, Any, Protocol

from daeploy_lib.compare.comparison import IncomparableError, Reason
from daeploy_lib.compare.difference import Kind
from daeploy_lib.compare.json_text import ABSENT
from daeploy_lib.compare.numbers import Tolerance
from daeploy_lib.compare.path_matching import State
from daeploy_lib.compare.path_syntax import Link
from daeploy_lib.compare.unordered import Canonical, matched

if TYPE_CHECKING:
    from collections.abc import Iterable

# Those of which "same type and equal" says all; NaN falls through to the tolerance.
_SCALARS = frozenset({str, int, float, bool, type(None)})
_NUMBERS = frozenset({int, float})
_VALUE = Kind.value  # looked up once: it is the one that comes in thousands
# Further down, what has been found equal or not is asked again too often.
_GLANCE_DEPTH = 6

# Main's value, the shadow's, where they are, the paths' state there, how deep.
_Pair = tuple[Any, Any, Link, State | None, int]


class Sink(Protocol):
    """What differences are told to."""

    @property
    def is_full(self) -> bool:
        """Whether it wants no more."""
        ...

    def add(self, path: Link, kind: Kind, main: object, shadow: object) -> None:
        """Take one difference."""
        ...


class _First:
    """A sink that only wants to know whether there is a difference."""

    is_full = False

    def add(self, path: Link, kind: Kind, main: object, shadow: object) -> None:
        del path, kind, main, shadow
        self.is_full = True


class JsonDiff:
    """
    The walk through two values.

    Args:
        tolerance: Of numbers.
        max_depth: Objects and lists within one another that may be entered.
        max_values: Values of both that may be looked at, some of them repeatedly
            where lists are unordered.
        may_glance: Whether ``==`` may be used for objects and lists: if neither value
            has true or false in it, and one of them is shallow.
    """

    def __init__(
        self,
        tolerance: Tolerance,
        max_depth: int,
        max_values: int,
        *,
        may_glance: bool = False,
    ) -> None:
        self._tolerance = tolerance
        self._is_exact = tolerance.is_none
        self._glance_depth = _GLANCE_DEPTH if may_glance else 0
        self._max_depth = max_depth
        self._left = max_values

    def walk(
        self,
        main: Any,
        shadow: Any,
        sink: Sink,
        state: State | None,
        depth: int = 0,
    ) -> None:
        """
        Tell a sink of the differences, in main's order, until it is full.

        Raises:
            IncomparableError: If the values are nested too deeply, or too many.
        """
        stack: list[_Pair] = [(main, shadow, None, state, depth)]
        while stack and not sink.is_full:
            pair = stack.pop()
            one, other, path, state, depth = pair
            if state is not None and not state.is_included:
                inner = self._not_included(pair)
            elif state is not None and state.is_ignored:
                continue
            elif type(one) is not type(other):
                self._types(one, other, path, sink)
                continue
            elif type(one) is dict:
                inner = self._objects(pair)
            elif type(one) is list:
                inner = self._lists(pair, sink)
            else:
                if one != other and not self._is_close(one, other):
                    sink.add(path, _VALUE, one, other)
                continue
            inner.reverse()
            stack += inner

    def spend(self, values: int, depth: int) -> None:
        """Pay for entering an object or a list with so many values."""
        self._left -= values + 1
        if self._left < 0:
            raise IncomparableError(Reason.too_many_values)
        if depth >= self._max_depth:
            raise IncomparableError(Reason.too_deep)

    def is_same(self, one: Any, other: Any, state: State | None, depth: int) -> bool:
        """Return whether two values agree."""
        first = _First()
        self.walk(one, other, first, state, depth)
        return not first.is_full

    def _is_close(self, one: Any, other: Any) -> bool:
        if self._is_exact:
            return bool(one != one and other != other)  # noqa: PLR0124 - NaN
        return type(one) in _NUMBERS and self._tolerance.allows(one, other)

    def _types(self, one: Any, other: Any, path: Link, sink: Sink) -> None:
        if one is ABSENT:
            sink.add(path, Kind.extra, one, other)
        elif other is ABSENT:
            sink.add(path, Kind.missing, one, other)
        elif type(one) not in _NUMBERS or type(other) not in _NUMBERS:
            sink.add(path, Kind.type, one, other)
        elif not self._tolerance.allows(one, other):
            sink.add(path, Kind.value, one, other)

    def _objects(self, pair: _Pair) -> list[_Pair]:
        """Return the pairs of two objects that are not equal at a glance."""
        one, other, path, state, depth = pair
        self.spend(len(one) + len(other), depth)
        is_glance = depth < self._glance_depth
        depth += 1
        inner: list[_Pair] = []
        shared = 0
        for name, left in one.items():
            right = other.get(name, ABSENT)
            if right is not ABSENT:
                shared += 1
                if left is right:
                    continue
                if type(left) is type(right):
                    is_told = is_glance or type(left) in _SCALARS
                    if is_told and left == right:
                        continue
            below = state and state.name(name)
            inner.append((left, right, (path, name), below, depth))
        if shared != len(other):
            for name, right in other.items():
                if name not in one:
                    below = state and state.name(name)
                    inner.append((ABSENT, right, (path, name), below, depth))
        return inner

    def _lists(self, pair: _Pair, sink: Sink) -> list[_Pair]:
        """Return the pairs of two lists that are not equal at a glance."""
        one, other, path, state, depth = pair
        is_unordered = state is not None and state.is_unordered
        if len(one) != len(other) and not is_unordered:
            sink.add(path, Kind.length, len(one), len(other))
        self.spend(len(one) + len(other), depth)
        if is_unordered:
            return self._unordered(pair)
        is_glance = depth < self._glance_depth
        depth += 1
        inner: list[_Pair] = []
        places: Iterable[int] = range(min(len(one), len(other)))
        if is_glance:  # of most lists no element differs: no step of Python's for each
            places = compress(places, map(ne, one, other))
        for place in places:
            left, right = one[place], other[place]
            if left is right:
                continue
            if type(left) is type(right) in _SCALARS and left == right:
                continue
            below = state and state.index(place)
            inner.append((left, right, (path, place), below, depth))
        return inner

    def _unordered(self, pair: _Pair) -> list[_Pair]:
        """Return the pairs of elements that have no equal in the other list."""
        one, other, path, state, depth = pair
        assert state is not None  # noqa: S101 - for mypy: the caller looked at it
        depth += 1
        below = state.index(-1)
        canonical = Canonical(self.spend)
        return [
            (left, right, (path, place), below, depth)
            for place, left, right in matched(
                [(canonical.text(value, below, depth), value) for value in one],
                [(canonical.text(value, below, depth), value) for value in other],
                self._tolerance,
                lambda left, right: self.is_same(left, right, below, depth),
            )
        ]

    def _not_included(self, pair: _Pair) -> list[_Pair]:
        """Return what is below two values that are not compared themselves."""
        one, other, path, state, depth = pair
        assert state is not None  # noqa: S101 - for mypy: the caller looked at it
        if not state.may_include or state.is_ignored:
            return []
        if type(one) is type(other) is list and state.is_unordered:
            self.spend(len(one) + len(other), depth)
            return self._unordered(pair)
        left, right = members(one), members(other)
        if not left and not right:
            return []
        self.spend(len(left) + len(right), depth)
        # A list and an object have no steps in common: 0 is no name.
        steps = [*left, *(step for step in right if step not in left)]
        return [
            (
                left.get(step, ABSENT),
                right.get(step, ABSENT),
                (path, step),
                state.step(step),
                depth + 1,
            )
            for step in steps
        ]


def members(value: Any) -> dict[str | int, Any]:
    """Return what is in a value, by step; nothing for scalars."""
    if type(value) is dict:
        return value
    return dict(enumerate(value)) if type(value) is list else {}
