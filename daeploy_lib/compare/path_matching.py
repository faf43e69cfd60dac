"""
Many paths with wildcards, followed at once while a body is walked.

Each step of the walk leads from one state to the next, whatever the number of
paths: the states that are reached are kept, as by a regular expression that is
compiled to an automaton while it runs.

    >>> root = compile_paths(ignored=["**.id"], included=[], unordered=[])
    >>> root.name("items").index(3).name("id").is_ignored
    True
    >>> root.name("items").is_ignored
    False
"""

import re
from collections.abc import Iterable

from daeploy_lib.compare.path_syntax import (
    ANY_INDEX,
    ANY_NUMBER,
    Link,
    Step,
    parse_path,
    steps_of,
)

# Steps and states come from bodies, that is from anywhere: what is kept is bounded.
_MAX_KEPT_STEPS = 1000
_MAX_STATES = 5000

# Which pattern, and how many of its steps have been taken.
_Position = tuple[int, int]
_Pattern = tuple[str, tuple[Step, ...]]


class State:
    """
    Where a walk stands among the paths.

    Attributes:
        is_ignored: A path to ignore ends here.
        is_included: A path to include ends here or ended before, or there is none.
        may_include: One may still end further down.
        is_unordered: A path of unordered lists ends here.
    """

    __slots__ = (
        "_automaton",
        "_index",
        "_indexes",
        "_names",
        "_positions",
        "is_ignored",
        "is_included",
        "is_unordered",
        "may_include",
    )

    def __init__(
        self, automaton: "_Automaton", positions: frozenset[_Position]
    ) -> None:
        patterns = automaton.patterns
        ended = {patterns[p][0] for p, at in positions if at == len(patterns[p][1])}
        self.is_ignored = "ignored" in ended
        self.is_included = not automaton.has_included or "included" in ended
        self.is_unordered = "unordered" in ended
        self.may_include = any(patterns[p][0] == "included" for p, _ in positions)
        self._automaton = automaton
        self._positions = positions
        self._names: dict[str, State] = {}
        self._indexes: dict[int, State] = {}

    def name(self, name: str) -> "State":
        """Return the state after entering an object by a name."""
        found = self._names.get(name)
        if found is None:
            found = self._automaton.after(self._positions, name)
            if len(self._names) < _MAX_KEPT_STEPS:
                self._names[name] = found
        return found

    def step(self, step: str | int) -> "State":
        """Return the state after a step of either kind."""
        return self.index(step) if isinstance(step, int) else self.name(step)

    def index(self, index: int) -> "State":
        """Return the state after entering a list at a place."""
        found = self._indexes.get(index)
        if found is None:
            found = self._automaton.after(self._positions, index)
            if len(self._indexes) < _MAX_KEPT_STEPS:
                self._indexes[index] = found
        return found


class _Automaton:
    """The patterns, and the states that were reached."""

    def __init__(self, patterns: list[_Pattern]) -> None:
        self.patterns = patterns
        self.has_included = any(kind == "included" for kind, _ in patterns)
        self._states: dict[frozenset[_Position], State] = {}

    def state(self, positions: Iterable[_Position]) -> State:
        closed = frozenset(self._closed(positions))
        found = self._states.get(closed)
        if found is None:
            found = State(self, closed)
            if len(self._states) < _MAX_STATES:
                self._states[closed] = found
        return found

    def after(self, positions: frozenset[_Position], step: str | int) -> State:
        reached: list[_Position] = []
        for pattern, at in positions:
            steps = self.patterns[pattern][1]
            if at == len(steps):
                continue
            if steps[at] == ANY_NUMBER:
                reached.append((pattern, at))
            elif _takes(steps[at], step):
                reached.append((pattern, at + 1))
        return self.state(reached)

    def _closed(self, positions: Iterable[_Position]) -> Iterable[_Position]:
        """Add what is reached without a step: ``**`` may stand for none."""
        for pattern, first in positions:
            at = first
            steps = self.patterns[pattern][1]
            yield pattern, at
            while at < len(steps) and steps[at] == ANY_NUMBER:
                at += 1
                yield pattern, at


def _takes(expected: Step, step: str | int) -> bool:
    if isinstance(step, int):
        return expected == ANY_INDEX or (isinstance(expected, int) and expected == step)
    if isinstance(expected, re.Pattern):
        return expected.fullmatch(step) is not None
    return isinstance(expected, tuple) and expected[1] == step


def compile_paths(
    *, ignored: Iterable[str], included: Iterable[str], unordered: Iterable[str]
) -> State | None:
    """
    Return the state at the root; None if there is no path at all.

    Raises:
        TypeError: If a path is no string.
        ValueError: If a path is invalid.
    """
    patterns: list[_Pattern] = [("ignored", parse_path(text)) for text in ignored]
    # What is below an included path is included as well.
    patterns += [("included", (*parse_path(text), ANY_NUMBER)) for text in included]
    patterns += [("unordered", parse_path(text)) for text in unordered]
    if not patterns:
        return None
    starts = [(number, 0) for number in range(len(patterns))]
    return _Automaton(patterns).state(starts)


def follow(root: State, path: Link) -> State:
    """Return the state after the steps of a path."""
    state = root
    for step in steps_of(path):
        state = state.step(step)
    return state
