"""Paths: how they are written, what they reach, how differences show them."""

import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers import NAMES, PATHS
from daeploy_lib.compare.path_matching import State, compile_paths, follow
from daeploy_lib.compare.path_syntax import (
    MAX_STEPS,
    Generaliser,
    Link,
    generalise,
    parse_path,
    show_path,
)


def link(*steps: str | int) -> Link:
    """Return a path of some steps."""
    path: Link = None
    for step in steps:
        path = (path, step)
    return path


def ignoring(*paths: str) -> State:
    """Return the root of paths to ignore."""
    root = compile_paths(ignored=paths, included=(), unordered=())
    assert root is not None
    return root


REACHED: list[tuple[str, list[tuple[str | int, ...]]]] = [
    ("$", [()]),
    ("$.a", [("a",)]),
    ("a.b", [("a", "b")]),
    ("$[0]", [(0,)]),
    ("[0]", [(0,)]),
    ("$[*].id", [(0, "id"), (10**9, "id")]),
    ("$.*", [("a",), ("",), ("a.b",)]),
    ("$.*_at", [("_at",), ("created_at",), ("a\nb_at",)]),
    ("$.a*b*c", [("abc",), ("a.b.c",)]),
    ("**", [(), ("a",), (0,), ("a", 0, "b")]),
    ("**.id", [("id",), ("a", "id"), (0, "b", "id"), ("id", "id")]),
    ("$.a.**.b", [("a", "b"), ("a", 1, "b"), ("a", "b", "b")]),
    ("$.**[*]", [(0,), ("a", 0), (0, 0)]),
    ("$.**.**.a", [("a",), ("x", "y", "a")]),
    ('$["a.b"]["*"]', [("a.b", "*")]),
    (r'$["\u00e9\""]', [('\u00e9"',)]),
    ('$[""]', [("",)]),
    ("$.user-id", [("user-id",)]),
    ("$.\u00e9", [("\u00e9",)]),
]
MISSED: list[tuple[str, list[tuple[str | int, ...]]]] = [
    ("$", [("a",), (0,)]),
    ("$.a", [(), ("b",), ("a", "b"), ("A",), (0,)]),
    ("$[0]", [(1,), ("0",), ()]),
    ("$[*]", [("a",), (), (0, 0)]),
    ("$.*", [(0,), (), ("a", "b")]),
    ("$.*_at", [("at",), ("_at_",)]),
    ("**.id", [(), ("ids",), ("id", "x")]),
    ("$.a.**.b", [("b",), ("a",), ("a", "b", "c")]),
    ('$["*"]', [("a",)]),
]


@pytest.mark.parametrize(
    ("path", "steps"), [(path, s) for path, all_steps in REACHED for s in all_steps]
)
def test_paths_reach_what_they_name(path: str, steps: tuple[str | int, ...]) -> None:
    """Names, places and wildcards."""
    assert follow(ignoring(path), link(*steps)).is_ignored


@pytest.mark.parametrize(
    ("path", "steps"), [(path, s) for path, all_steps in MISSED for s in all_steps]
)
def test_paths_reach_nothing_else(path: str, steps: tuple[str | int, ...]) -> None:
    """Neither what is above, below or beside."""
    assert not follow(ignoring(path), link(*steps)).is_ignored


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "$.", "a..b", "$a", "a[", "a[x]", "a[-1]", "a]", "a[*", "[1][a]"),
        *("a b", "a***", "**a", "a.**b", '["a]', '["\\x"]', "[1.0]", "a.$", "$$"),
        "x" * 501,
        ".".join("a" * (MAX_STEPS + 1)),
    ],
)
def test_malformed_paths_are_refused(path: str) -> None:
    """The message shows the path, and how one is written."""
    with pytest.raises(ValueError, match=re.escape("'$.items[*].id'")):
        parse_path(path)


@pytest.mark.parametrize("path", [None, 1, b"a", ["a"]])
def test_a_path_is_a_string(path: Any) -> None:
    """Nothing else is."""
    with pytest.raises(TypeError, match="A path is a string"):
        parse_path(path)


def test_many_paths_are_followed_at_once() -> None:
    """A state knows about each kind of path."""
    root = compile_paths(ignored=["**.id"], included=["a"], unordered=["a.list"])
    assert root is not None
    assert (root.is_included, root.may_include) == (False, True)
    inside = root.name("a")
    assert (inside.is_included, inside.is_ignored) == (True, False)
    assert inside.name("list").is_unordered
    assert inside.name("list").is_included
    assert inside.name("id").is_ignored
    outside = root.name("b")
    assert (outside.is_included, outside.may_include) == (False, False)


def test_no_paths_cost_nothing() -> None:
    """There is no state at all."""
    assert compile_paths(ignored=(), included=(), unordered=()) is None


def test_what_is_remembered_is_bounded() -> None:
    """However many names bodies have."""
    root = ignoring("**.id", "$.*.x")
    for number in range(3000):
        root.name(f"n{number}").name("y")
        root.index(number)
    assert len(root._names) == len(root._indexes) == 1000
    assert len(root._automaton._states) < 10
    assert root.name("n2999").name("id").is_ignored


LINKS = st.lists(st.one_of(NAMES, st.integers(0, 3)), max_size=6).map(
    lambda steps: link(*steps)
)


@given(LINKS)
def test_shown_and_generalised_paths_are_paths(path: Link) -> None:
    """Of a difference that is seen, one can be ignored by what was shown."""
    assert follow(ignoring(show_path(path)), path).is_ignored
    assert follow(ignoring(generalise(path)), path).is_ignored
    assert Generaliser().general(path) == generalise(path)


@given(PATHS, LINKS)
def test_matching_is_what_an_expression_says(pattern: str, path: Link) -> None:
    """The automaton agrees with matching step by step."""

    def matches(expected: list[Any], steps: list[str | int]) -> bool:
        if not expected:
            return not steps
        if expected[0] == "**":
            skips = any(matches(expected[1:], steps[n:]) for n in range(len(steps) + 1))
            return bool(skips)
        if not steps:
            return False
        first, step = expected[0], steps[0]
        is_index = isinstance(step, int)
        is_it = (
            (is_index and first in ("[*]", step))
            or (isinstance(first, re.Pattern) and not is_index and first.match(step))
            or (first == ("name", step))
        )
        return bool(is_it) and matches(expected[1:], steps[1:])

    steps: list[str | int] = []
    rest = path
    while rest is not None:
        rest, step = rest
        steps.insert(0, step)
    expected = matches(list(parse_path(pattern)), steps)
    assert follow(ignoring(pattern), path).is_ignored == expected


@pytest.mark.parametrize(
    ("steps", "shown", "general"),
    [
        ((), "$", "$"),
        (("a", 0, "b c"), '$.a[0]["b c"]', '$.a[*]["b c"]'),
        (("3d", "x-1", "v1"), '$["3d"].x-1.v1', '$["3d"].x-1.v1'),
        (("42",), '$["42"]', "$.*"),
        (("2026-11-23",), '$["2026-11-23"]', "$.*"),
        (("2026-11-23T10:00:00Z",), '$["2026-11-23T10:00:00Z"]', "$.*"),
        (("0123456789abcdef",), '$["0123456789abcdef"]', "$.*"),
        (("deadbeefdeadbeef",), "$.deadbeefdeadbeef", "$.deadbeefdeadbeef"),
        (("\ud800",), '$["\\ud800"]', '$["\\ud800"]'),
    ],
)
def test_how_paths_look(steps: tuple[str | int, ...], shown: str, general: str) -> None:
    """Values among the names are generalised, names are not."""
    assert show_path(link(*steps)) == shown
    assert generalise(link(*steps)) == general


def test_long_paths_are_cut() -> None:
    """Names in length, paths in steps; over-long names are values."""
    assert show_path(link("x" * 10_000)) == f'$["{"x" * 64}…"]'
    assert generalise(link("x" * 10_000)) == "$.*"
    shown = show_path(link(*["name"] * 1000))
    assert "…" in shown
    assert len(shown) < 200


def test_a_very_deep_path_is_shown() -> None:
    """Without recursion."""
    assert show_path(link(*[0] * sys.getrecursionlimit() * 2)).endswith("[0][0]")
