"""JSON by structure."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers import JSON, VALUES, compare_values, found, json_answer
from daeploy_lib import ComparisonRules
from daeploy_lib.compare import Kind, Reason, answer, compare

EQUAL: list[tuple[str, str]] = [
    ('{"a": 1, "b": 2}', '{"b":2,"a":1}'),
    ("1", "1.0"),
    ("[1, 0]", "[1.0, -0.0]"),
    ("100", "1e2"),
    ('{"a": true, "b": 1}', '{"b": 1.0, "a": true}'),
    ("NaN", " NaN"),
    ('{"a": [NaN, Infinity, -Infinity]}', '{"a":[NaN,Infinity,-Infinity]}'),
    ('{"a": 1, "a": 2}', '{"a": 2}'),
    ("18446744073709551616", " 18446744073709551616"),
    ('["\\u00e9"]', '["\u00e9"]'),
    ('["\\ud83d\\ude00"]', '["\U0001f600"]'),
    ('["\\ud800"]', '[ "\\ud800"]'),
    ("[]", "[ ]"),
    ("null", " null"),
    ("1e400", "1e500"),
]
UNEQUAL: list[tuple[str, str, list[str]]] = [
    ('{"a": 1}', '{"a": 2}', ["$.a value: 1 -> 2"]),
    ('{"a": null}', "{}", ["$.a missing: null -> (nothing)"]),
    ("{}", '{"a": null}', ["$.a extra: (nothing) -> null"]),
    ('{"a": null}', '{"a": 0}', ["$.a type: null -> 0"]),
    ("[true, false]", "[1, 0]", ["$[0] type: true -> 1", "$[1] type: false -> 0"]),
    ('{"a": 1.0}', '{"a": true}', ["$.a type: 1.0 -> true"]),
    ("1", '"1"', ['$ type: 1 -> "1"']),
    ("[]", "{}", ["$ type: [] -> {}"]),
    ("[1, 2]", "[2, 1]", ["$[0] value: 1 -> 2", "$[1] value: 2 -> 1"]),
    ("[1, 2]", "[1]", ["$ length: 2 -> 1"]),
    ("[1]", "[2, 3]", ["$ length: 1 -> 2", "$[0] value: 1 -> 2"]),
    (
        "18446744073709551616",
        "18446744073709551617",
        ["$ value: 18446744073709551616 -> 18446744073709551617"],
    ),
    (
        "-9223372036854775809",
        "-9223372036854775810",
        ["$ value: -9223372036854775809 -> -9223372036854775810"],
    ),
    ("NaN", "1", ["$ value: NaN -> 1"]),
    ("[NaN]", "[Infinity]", ["$[0] value: NaN -> Infinity"]),
    ("NaN", "null", ["$ type: NaN -> null"]),
    (
        '{"a": {"b": [0, {"c": 1}]}}',
        '{"a": {"b": [0, {"c": 2}]}}',
        ["$.a.b[1].c value: 1 -> 2"],
    ),
    (
        '{"A": 1}',
        '{"a": 1}',
        [
            "$.A missing: 1 -> (nothing)",
            "$.a extra: (nothing) -> 1",
        ],
    ),
    ("0.1", "0.10000000000000002", ["$ value: 0.1 -> 0.10000000000000002"]),
    ('"\\ud800"', '"\\ud801"', ['$ value: "\\ud800" -> "\\ud801"']),
    ('"e\\u0301"', '"\\u00e9"', ['$ value: "e\u0301" -> "\u00e9"']),
]


def texts(main: str, shadow: str) -> Any:
    """Compare two JSON texts."""
    bodies = [answer(200, t.encode(), content_type=JSON) for t in (main, shadow)]
    return compare(bodies[0], bodies[1], ComparisonRules())


@pytest.mark.parametrize(("main", "shadow"), EQUAL)
def test_equal(main: str, shadow: str) -> None:
    """Whatever the order of names and the way of writing."""
    assert texts(main, shadow).is_match
    assert texts(shadow, main).is_match


@pytest.mark.parametrize(("main", "shadow", "differences"), UNEQUAL)
def test_unequal(main: str, shadow: str, differences: list[str]) -> None:
    """Each difference has its path, kind and values, in main's order."""
    comparison = texts(main, shadow)
    assert found(comparison) == differences
    assert comparison.count == len(differences)
    assert not texts(shadow, main).is_match


@pytest.mark.parametrize(
    ("main", "shadow", "tolerance", "is_match"),
    [
        (1.0, 1.1, {"absolute_tolerance": 0.2}, True),
        (1.0, 1.3, {"absolute_tolerance": 0.2}, False),
        (1, 1.25, {"absolute_tolerance": 0.25}, True),
        (1000, 1001, {"relative_tolerance": 1e-3}, True),
        (1000, 1002, {"relative_tolerance": 1e-3}, False),
        (0, 1e-9, {"relative_tolerance": 0.5}, False),
        (0, 1e-9, {"relative_tolerance": 0.5, "absolute_tolerance": 1e-6}, True),
        (10**400, 10**400 + 1, {"absolute_tolerance": 1}, True),
        (10**400, 10**400 + 2, {"absolute_tolerance": 1}, False),
        (10**400, 1.5, {"relative_tolerance": 0.1}, False),
        (10**400, 10**400 + 10, {"relative_tolerance": 0.1}, False),
        (float("inf"), 1, {"relative_tolerance": 1}, False),
        (float("inf"), float("-inf"), {"absolute_tolerance": 1e308}, False),
        (float("nan"), 1, {"absolute_tolerance": 1e308}, False),
        (float("nan"), float("nan"), {"absolute_tolerance": 1}, True),
        (1e308, -1e308, {"absolute_tolerance": 1}, False),
        (True, 1, {"absolute_tolerance": 5}, False),
        ("1", "1.1", {"absolute_tolerance": 5}, False),
    ],
)
def test_tolerance(
    main: Any, shadow: Any, tolerance: dict[str, float], *, is_match: bool
) -> None:
    """Numbers only; the order of the answers does not matter."""
    rules = ComparisonRules(**tolerance)  # type: ignore[arg-type]
    assert compare_values({"x": main}, {"x": shadow}, rules).is_match is is_match
    assert compare_values({"x": shadow}, {"x": main}, rules).is_match is is_match


def test_ignored_paths() -> None:
    """They may differ, be missing or have another type."""
    rules = ComparisonRules(ignored=["meta.at", "**.id", "$.list[*].x"])
    one = {"meta": {"at": 1, "v": 1}, "id": 1, "list": [{"x": 1, "y": {"id": 2}}]}
    other = {"meta": {"v": 1}, "list": [{"x": "other", "y": {}}]}
    assert compare_values(one, other, rules).is_match
    other["meta"] = {"v": 2}
    assert found(compare_values(one, other, rules)) == ["$.meta.v value: 1 -> 2"]


@pytest.mark.parametrize(
    ("main", "shadow", "expected"),
    [
        ({"a": {"b": 1, "c": 1}}, {"a": {"b": 1, "c": 2}, "d": 1}, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["$.a.b value: 1 -> 2"]),
        ({"a": {"b": 1}}, {"a": {}}, ["$.a.b missing: 1 -> (nothing)"]),
        ({"a": {"b": 1}}, {"a": None}, ["$.a.b missing: 1 -> (nothing)"]),
        ({"a": {"b": 1}}, {}, ["$.a.b missing: 1 -> (nothing)"]),
        ({"a": {"b": 1}}, [1], ["$.a.b missing: 1 -> (nothing)"]),
        ([0], {"a": {"b": [1]}}, ["$.a.b extra: (nothing) -> [1]"]),
        ({"a": {}}, {"a": []}, []),
        ({"a": 1}, {"a": 2}, []),
        ({"a": {"b": {"x": 1}}}, {"a": {"b": {"x": 2}}}, ["$.a.b.x value: 1 -> 2"]),
        (
            {"l": [{"id": 1}, {"id": 2}]},
            {"l": [{"id": 1}]},
            ["$.l[1].id missing: 2 -> (nothing)"],
        ),
    ],
)
def test_included_paths(main: Any, shadow: Any, expected: list[str]) -> None:
    """Only they are compared, whatever became of what is around them."""
    rules = ComparisonRules(included=["a.b", "l[*].id"], ignored=["**.ignored"])
    assert found(compare_values(main, shadow, rules)) == expected
    assert compare_values(shadow, main, rules).is_match is (not expected)


def test_ignored_takes_from_included() -> None:
    """And included does not give it back."""
    rules = ComparisonRules(included=["a"], ignored=["a.b"])
    assert compare_values({"a": {"b": 1}}, {"a": {"b": 2}}, rules).is_match
    nested = ComparisonRules(included=["a.b.c"], ignored=["a.b"])
    assert compare_values({"a": {"b": {"c": 1}}}, {}, nested).is_match


@pytest.mark.parametrize("levels", [1000, 1500, 100_000])
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")])
def test_deep_nesting(levels: int, brackets: tuple[str, str]) -> None:
    """It is incomparable; no stack overflows."""
    opening, closing = brackets
    text = f"{opening * levels}1{closing * levels}".encode()
    one = answer(200, text, content_type=JSON)
    other = answer(200, text + b" ", content_type=JSON)
    assert compare(one, other, ComparisonRules()).reason is Reason.too_deep
    assert compare(one, one, ComparisonRules()).is_match


def test_depth_is_counted_in_objects_and_lists() -> None:
    """As many as allowed are entered."""
    rules = ComparisonRules(max_depth=3)
    assert found(compare_values([[[True]]], [[[False]]], rules)) == [
        "$[0][0][0] value: true -> false"
    ]
    deeper = compare_values([[[[True]]]], [[[[False]]]], rules)
    assert deeper.reason is Reason.too_deep


def test_what_was_found_before_a_limit_stands() -> None:
    """One difference is enough to differ."""
    one = {"a": 1, "b": [[[True]]]}
    other = {"a": 2, "b": [[[False]]]}
    comparison = compare_values(one, other, ComparisonRules(max_depth=2))
    assert found(comparison) == ["$.a value: 1 -> 2"]
    assert comparison.reason is Reason.none


def test_the_number_of_values_is_bounded() -> None:
    """Past the bound it is incomparable."""
    one, other = [[n, True] for n in range(100)], [[n, 1] for n in range(100)]
    few = ComparisonRules(max_values=200)
    assert compare_values(one, other, few).reason is Reason.too_many_values
    longer = compare_values([1] * 300, [1] * 200, few)
    assert found(longer) == ["$ length: 300 -> 200"]
    assert compare_values(one, other).count == 100


def test_a_million_differences_are_bounded() -> None:
    """In what is kept, and in what is counted."""
    comparison = compare_values([0] * 300_000, [1] * 200_000)
    assert comparison.count == 1000
    kinds = [difference.kind for difference in comparison.differences]
    assert kinds == [Kind.length, *[Kind.value] * 5]


def test_an_integer_of_many_digits_is_no_json() -> None:
    """Python refuses to read it, for it would take quadratic time."""
    one = answer(200, b"9" * 5000, content_type=JSON)
    other = answer(200, b"9" * 4999 + b"8", content_type=JSON)
    comparison = compare(one, other, ComparisonRules())
    assert comparison.differences[0].kind is Kind.value
    shown = compare_values(10**3000, 1).differences[0].main
    assert shown == "(integer of 9966 bits)"


@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_names_is_free(value: Any, random: Any) -> None:
    """At every level."""

    def shuffled(value: Any) -> Any:
        if isinstance(value, list):
            return [shuffled(inner) for inner in value]
        if isinstance(value, dict):
            names = sorted(value)
            random.shuffle(names)
            return {name: shuffled(value[name]) for name in names}
        return value

    assert compare_values(value, shuffled(value)).is_match


def reference(one: Any, other: Any) -> bool:
    """Return whether two values are equal, by a plain recursion."""
    numbers = (int, float)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, numbers) and isinstance(other, numbers):
        return one == other or (one != one and other != other)  # noqa: PLR0124 - NaN
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(
            reference(one[name], other[name]) for name in one
        )
    if isinstance(one, list):
        return len(one) == len(other) and all(map(reference, one, other))
    return bool(one == other)


@given(VALUES, VALUES)
def test_the_walk_agrees_with_a_recursion(one: Any, other: Any) -> None:
    """On values that are alike and on those that are not."""
    # As a body brings them: NaN becomes another NaN.
    left, right = json.loads(json.dumps([one, other])), json.loads(json.dumps(other))
    assert compare_values(left[0], right).is_match is reference(left[0], right)
    assert compare_values(left[1], right).is_match


def test_numbers_without_a_type() -> None:
    """A body without Content-Type is JSON if it is."""
    one = json_answer({"a": 1, "b": 2}, "")
    assert compare(one, json_answer({"b": 2, "a": 1}, ""), ComparisonRules()).is_match
