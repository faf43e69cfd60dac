"""ComparisonRules: what is refused, and which of them hold for a path."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from answers import json_answer
from daeploy_lib import ComparisonRules
from daeploy_lib.compare import compare, is_same


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"ignored": ["a b"]}, "Invalid path 'a b'"),
        ({"included": [""]}, "Invalid path"),
        ({"unordered": ["a["]}, "Invalid path"),
        ({"redacted": ["$."]}, "Invalid path"),
        ({"absolute_tolerance": -1}, "at least 0, not -1"),
        ({"absolute_tolerance": float("nan")}, "finite"),
        ({"relative_tolerance": float("inf")}, "finite"),
        ({"headers": ["a b"]}, "Invalid header 'a b'"),
        ({"headers": [""]}, "Invalid header"),
        ({"headers": ["x*"]}, "Invalid header"),
        ({"headers": ["!date"]}, "which is not there"),
        ({"equal_statuses": [(99,)]}, "100 to 599"),
        ({"equal_statuses": [(600,)]}, "100 to 599"),
        ({"equal_statuses": ["6xx"]}, "2xx"),
        ({"equal_statuses": ["200"]}, "2xx"),
        ({"max_depth": 0}, "at least 1"),
        ({"max_depth": 101}, "at most 100"),
        ({"max_values": 0}, "at least 1"),
        ({"max_decoded_bytes": -1}, "at least 1"),
        ({"max_differences": 0}, "at least 1"),
        ({"routes": {"predict": ComparisonRules()}}, "Invalid route 'predict'"),
        ({"routes": {"/\u00e9": ComparisonRules()}}, "ASCII"),
        (
            {"routes": {"/a": ComparisonRules(routes={"/b": ComparisonRules()})}},
            "routes themselves",
        ),
    ],
)
def test_wrong_values_are_refused(arguments: dict[str, Any], words: str) -> None:
    """At construction, with what is allowed."""
    with pytest.raises(ValueError, match=words.replace("$", r"\$")):
        ComparisonRules(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"ignored": "$.id"},
        {"ignored": [1]},
        {"included": None},
        {"unordered": b"a"},
        {"redacted": 5},
        {"absolute_tolerance": "0.1"},
        {"relative_tolerance": True},
        {"headers": "content-type"},
        {"headers": [b"date"]},
        {"headers": 1},
        {"equal_statuses": "5xx"},
        {"equal_statuses": [200]},
        {"equal_statuses": [b"5xx"]},
        {"equal_statuses": [(True,)]},
        {"equal_statuses": [(200.0,)]},
        {"equal_statuses": 5},
        {"max_depth": 1.0},
        {"max_values": True},
        {"max_decoded_bytes": "1"},
        {"max_differences": None},
        {"routes": {"/a": {}}},
        {"routes": {1: ComparisonRules()}},
        {"routes": ["/a"]},
    ],
)
def test_wrong_types_are_refused(arguments: dict[str, Any]) -> None:
    """At construction."""
    with pytest.raises(TypeError):
        ComparisonRules(**arguments)


def test_rules_are_values() -> None:
    """Equal if their arguments are, with a hash, whatever they have compared."""
    rules = ComparisonRules(ignored=["**.id"], headers=["Date", "*"])
    same = ComparisonRules(ignored=("**.id",), headers=("date", "*"))
    compare(json_answer({"id": 1}), json_answer({"id": 2}), rules)
    assert rules == same
    assert hash(rules) == hash(same)
    assert repr(rules) == repr(same)
    assert rules != ComparisonRules()


WAYS: dict[str, Callable[[ComparisonRules], ComparisonRules]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda rules: pickle.loads(pickle.dumps(rules)),  # noqa: S301 - our own
}


@pytest.mark.parametrize("way", WAYS)
def test_rules_that_have_been_used_travel(way: str) -> None:
    """What they remember of bodies stays behind."""
    inner = ComparisonRules(headers=[])
    rules = ComparisonRules(ignored=["**.id"], routes={"/a": inner})
    one, other = json_answer({"id": 1}), json_answer({"id": 2})
    assert compare(one, other, rules).is_match
    again = WAYS[way](rules)
    assert again == rules
    assert compare(one, other, again).is_match
    assert again.for_path(b"/a") == inner


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/predict/a", 1),
        (b"/predict/a/b%20c", 1),
        (b"/predict/", 1),
        (b"/predict", 0),
        (b"/special", 2),
        (b"/predict/special", 1),
        (b"/x/special", 3),
        (b"/x.special", 3),
        (b"", 0),
        (b"/\xff\n", 0),
    ],
)
def test_routes(path: bytes, expected: int) -> None:
    """The first that matches counts; the others' rules do not mix in."""
    routes = {
        "/predict/*": ComparisonRules(max_depth=11),
        "/special": ComparisonRules(max_depth=12),
        "/*special": ComparisonRules(max_depth=13),
    }
    rules = ComparisonRules(max_depth=10, routes=routes)
    assert rules.for_path(path).max_depth == 10 + expected


@pytest.mark.parametrize(
    ("main", "shadow", "is_equal"),
    [
        *((200, 200, True), (200, 201, True), (201, 202, True), (200, 202, False)),
        *((500, 599, True), (500, 499, False), (404, 500, False), (777, 777, True)),
    ],
)
def test_equal_statuses(main: int, shadow: int, *, is_equal: bool) -> None:
    """Groups do not add up to larger ones; the order does not matter."""
    rules = ComparisonRules(equal_statuses=[(200, 201), [201, 202], "5xx"])
    assert rules.is_equal_status(main, shadow) is is_equal
    assert rules.is_equal_status(shadow, main) is is_equal


def test_a_glance_respects_the_rules() -> None:
    """Headers that are compared are seen at once."""
    one = json_answer(1)
    other = one._replace(headers=[*one.headers, (b"x-model", b"2")])
    assert is_same(one, other, ComparisonRules())
    assert not is_same(one, other, ComparisonRules(headers=["x-model"]))
    assert not is_same(one, other, ComparisonRules(headers=["*"]))
