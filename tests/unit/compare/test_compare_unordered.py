"""Lists whose order means nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers import SCALARS, VALUES, compare_values, found
from daeploy_lib import ComparisonRules
from daeploy_lib.compare import Reason

ALL = ComparisonRules(unordered=["**"])
CLOSE = ComparisonRules(unordered=["**"], absolute_tolerance=0.5)


@pytest.mark.parametrize(
    ("main", "shadow", "rules", "expected"),
    [
        ([1, 2, 3], [3, 1, 2], ALL, []),
        ([1, 1, 2], [1, 2, 2], ALL, ["$[1] value: 1 -> 2"]),
        ([1, 1], [1], ALL, ["$[1] missing: 1 -> (nothing)"]),
        ([1], [2, 1], ALL, ["$[0] extra: (nothing) -> 2"]),
        ([1, True], [True, 1.0], ALL, []),
        ([1, 1], [1, True], ALL, ["$[1] type: 1 -> true"]),
        ([None, "a"], ["a", None], ALL, []),
        ([[1, 2], [3]], [[3], [2, 1]], ALL, []),
        ([{"a": [1, 2]}], [{"a": [2, 1]}], ALL, []),
        (
            [{"id": 1}, {"id": 2, "x": 0}],
            [{"id": 2, "x": 1}, {"id": 1}],
            ALL,
            ["$[1].x value: 0 -> 1"],
        ),
        ([float("nan"), 1], [1, float("nan")], ALL, []),
        ([1.0, 2.0], [2.4, 1.4], CLOSE, []),
        ([1, 1.5], [1.5, 2], CLOSE, ["$[0] value: 1 -> 2"]),
        ([1, 1.4], [1.8, 1.45], CLOSE, []),
        ([1, 3, 9], [8.6, 1.2, 5], CLOSE, ["$[1] value: 3 -> 5"]),
        (
            [1, 2, 3],
            [3.2],
            CLOSE,
            [
                "$[0] missing: 1 -> (nothing)",
                "$[1] missing: 2 -> (nothing)",
            ],
        ),
        ([{"x": 1.0}, {"x": 1.4}], [{"x": 1.8}, {"x": 1.45}], CLOSE, []),
        (
            [{"x": 1.0}, {"x": 1.4}],
            [{"x": 1.8}],
            CLOSE,
            ['$[0] missing: {"x": 1.0} -> (nothing)'],
        ),
        ([float("nan"), 1.0], [1.2, float("nan")], CLOSE, []),
        ([], [], ALL, []),
        ([], [1], ALL, ["$[0] extra: (nothing) -> 1"]),
    ],
)
def test_as_multisets(
    main: Any, shadow: Any, rules: ComparisonRules, expected: list[str]
) -> None:
    """Equal elements go together first, then close ones, then what is left."""
    assert found(compare_values(main, shadow, rules)) == expected
    assert compare_values(shadow, main, rules).is_match is (not expected)


def test_only_the_lists_that_are_named() -> None:
    """The others keep their order."""
    rules = ComparisonRules(unordered=["tags", "$.items[*].tags"])
    one = {"tags": [1, 2], "items": [{"tags": [1, 2], "ids": [1, 2]}]}
    other = {"tags": [2, 1], "items": [{"tags": [2, 1], "ids": [2, 1]}]}
    assert found(compare_values(one, other, rules)) == [
        "$.items[0].ids[0] value: 1 -> 2",
        "$.items[0].ids[1] value: 2 -> 1",
    ]


def test_with_ignored_and_included_paths() -> None:
    """What is not compared does not tell elements apart."""
    rules = ComparisonRules(unordered=["items"], ignored=["items[*].id"])
    one = {"items": [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}]}
    other = {"items": [{"id": 3, "v": "b"}, {"id": 4, "v": "a"}]}
    assert compare_values(one, other, rules).is_match
    rules = ComparisonRules(unordered=["items"], included=["items[*].v"])
    assert compare_values(one, other, rules).is_match
    other["items"].pop()
    assert found(compare_values(one, other, rules)) == [
        '$.items[0].v missing: "a" -> (nothing)'
    ]
    rules = ComparisonRules(unordered=["l"], included=["l[*][0]"])
    assert compare_values({"l": [[1, 2], [3]]}, {"l": [[3], [1]]}, rules).is_match
    assert not compare_values({"l": [[1, 2], [3]]}, {"l": [[3], [2]]}, rules).is_match


def test_large_lists_are_quick_to_compare() -> None:
    """Ten thousand elements, shuffled: nothing is tried against everything."""
    one = [{"n": n, "x": [n, str(n)]} for n in range(10_000)]
    assert compare_values(one, one[::-1], CLOSE).is_match
    off = [{"n": n + 0.25, "x": [n, str(n)]} for n in range(10_000)]
    assert compare_values(one[::-1], off[::-1], CLOSE).is_match


def test_hostile_nesting_is_bounded() -> None:
    """Lists within lists that are tried against one another again and again."""

    def nested(levels: int, leaf: float) -> Any:
        if not levels:
            return leaf
        return [nested(levels - 1, leaf), [nested(levels - 1, leaf), "x"]]

    few = ComparisonRules(unordered=["**"], absolute_tolerance=0.5, max_values=50_000)
    comparison = compare_values(nested(8, 1.0), nested(8, 2.0), few)
    assert comparison.reason in (Reason.too_many_values, Reason.none)
    assert not comparison.is_match


@given(st.lists(VALUES, max_size=8), st.randoms(use_true_random=False))
def test_any_order_matches(values: list[Any], random: Any) -> None:
    """At every level, with and without tolerance."""

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: shuffled(inner) for name, inner in value.items()}
        if isinstance(value, list):
            inner = [shuffled(element) for element in value]
            random.shuffle(inner)
            return inner
        return value

    other = shuffled(values)
    assert compare_values(values, other, ALL).is_match
    assert compare_values(values, other, CLOSE).is_match


SMALL = st.lists(
    st.one_of(SCALARS, st.sampled_from([0, 0.25, 0.5, 1, [0], [0.5], {"a": 0.75}])),
    max_size=6,
)


@given(SMALL, SMALL, st.sampled_from([ALL, CLOSE]))
def test_the_answers_may_be_swapped(
    one: list[Any], other: list[Any], rules: ComparisonRules
) -> None:
    """The verdict is the same, and so is the number of differences."""
    there, back = compare_values(one, other, rules), compare_values(other, one, rules)
    assert there.agreement == back.agreement
    assert there.count == back.count


@given(SMALL, SMALL)
def test_unordered_lists_that_match_have_equal_elements(
    one: list[Any], other: list[Any]
) -> None:
    """Each element of one can be struck out of the other, and nothing is left."""
    rest = list(other)
    for element in one:
        for at, candidate in enumerate(rest):
            if compare_values([element], [candidate], ALL).is_match:
                del rest[at]
                break
        else:
            rest.append("left over")
            break
    assert compare_values(one, other, ALL).is_match is (not rest)
