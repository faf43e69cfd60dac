"""Shapes: what examples are grouped by."""

import subprocess
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from answers import compare_values
from daeploy_lib import ComparisonRules
from daeploy_lib.compare import Kind, Shape
from daeploy_lib.compare.difference import shape_of


def shape(main: Any, shadow: Any) -> Shape:
    """Return the shape of the differences of two values."""
    found = compare_values(main, shadow).shape
    assert found is not None
    return found


def test_values_and_places_are_no_part_of_it() -> None:
    """Nor how many there are, nor their order."""
    one = shape({"a": [1, 2], "b": 1}, {"a": [1, 3], "b": 2})
    other = shape({"b": 5, "a": [7, 2, 9]}, {"b": 6, "a": [0, 3, 0]})
    assert one == other
    assert str(one) == "value $.a[*], value $.b"


def test_kinds_are() -> None:
    """The same path can differ in several ways."""
    assert str(shape([{"a": 1}, {}], [{"a": "1"}, {"a": 1}])) == (
        "extra $[*].a, type $[*].a"
    )


def test_names_that_are_values_are_no_part_of_it() -> None:
    """Objects that are tables have one shape."""
    one = {"3f2b8c1e-0000-4000-8000-000000000001": {"score": 1}}
    other = {"3f2b8c1e-0000-4000-8000-000000000001": {"score": 2}}
    assert str(shape(one, other)) == "value $.*.score"
    assert str(shape({"17": 1}, {"18": 1})) == "extra $.*, missing $.*"


def test_many_names_become_one() -> None:
    """So that there are at most 16 entries."""
    one = {"probs": {f"label_{chr(97 + n)}": n for n in range(26)}}
    other = {"probs": {f"label_{chr(97 + n)}": n + 1 for n in range(26)}}
    assert str(shape(one, other)) == "value $.probs.*"
    deep = {f"name_{chr(97 + n)}": {"x": n} for n in range(26)}
    off = {f"name_{chr(97 + n)}": {"x": n + 1} for n in range(26)}
    assert len(shape(deep, off).entries) == 16


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    """Whatever the seed of hashes."""
    program = (
        "from daeploy_lib.compare.difference import *;"
        "entries = [(f'$.{n}', kind) for n in 'abc' for kind in Kind];"
        "print(shape_of(entries).fingerprint)"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(prints) == 1


@given(
    st.lists(st.tuples(st.text(max_size=4), st.sampled_from(Kind)), max_size=40),
    st.randoms(use_true_random=False),
)
def test_order_and_repetition_do_not_matter(
    entries: list[tuple[str, Kind]], random: Any
) -> None:
    """A shape is a set."""
    other = entries * 2
    random.shuffle(other)
    assert shape_of(entries) == shape_of(other)
    assert shape_of(entries).fingerprint == shape_of(other).fingerprint
    assert len(shape_of(entries).entries) <= 16


@given(st.dictionaries(st.text(), st.integers(), max_size=30))
def test_hostile_names_are_bounded(names: dict[str, int]) -> None:
    """In number and in length, and they can be encoded."""
    long = {name * 1000: value for name, value in names.items()}
    comparison = compare_values(long, {}, ComparisonRules(max_differences=5))
    assert len(comparison.differences) <= 5
    assert comparison.count == len(long)
    if comparison.shape is not None:
        assert len(str(comparison.shape)) < 16 * 400
        str(comparison.shape).encode()
        for difference in comparison.differences:
            assert len(difference.path) < 800
            difference.path.encode()
