"""Statistics of numbers and labels: right, mergeable, bounded, without errors."""

import json
import math
import random
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib.evidence.fields import FieldTotals
from daeploy_lib.evidence.labels import LabelTotals
from daeploy_lib.evidence.numbers import NumberTotals, is_number

NUMBERS = st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6))
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=30)
LABELS = st.one_of(st.booleans(), st.text(max_size=2))
LABEL_PAIRS = st.lists(st.tuples(LABELS, LABELS), max_size=30)
ANYTHING = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=80)),
    *(st.just([1]), st.just({}), st.sampled_from([10**400, -(10**400), 1e308])),
)


def of(pairs: list[tuple[Any, Any]]) -> NumberTotals:
    """Return statistics of pairs of numbers."""
    totals = NumberTotals()
    for main, shadow in pairs:
        totals.add(main, shadow)
    return totals


def test_statistics_are_those_of_the_pairs() -> None:
    """Mean, deviation, correlation and quantiles of a noisy, biased shadow."""
    draw = random.Random(5)  # noqa: S311 - a simulation
    mains = [draw.gauss(100, 10) for _ in range(2000)]
    shadows = [main + draw.gauss(1, 2) for main in mains]
    differences = [s - m for m, s in zip(mains, shadows, strict=True)]
    totals = of(list(zip(mains, shadows, strict=True)))
    assert totals.mean_difference == pytest.approx(statistics.mean(differences))
    assert totals.deviation == pytest.approx(statistics.stdev(differences))
    correlation = statistics.correlation(mains, shadows)
    assert totals.correlation == pytest.approx(correlation)
    for q in (0.01, 0.1, 0.5, 0.9, 1.0):
        exact = sorted(differences)[math.ceil(q * 2000) - 1]
        assert totals.quantile(q) == pytest.approx(exact, rel=0.0501)
    assert totals.above + totals.below + totals.equal == totals.count == 2000


@given(PAIRS, PAIRS, PAIRS)
def test_merging_numbers_is_adding(a: Any, b: Any, c: Any) -> None:
    """Commutative to the bit, associative to what a double holds."""
    one, two, three = of(a), of(b), of(c)
    assert one.merged(two) == two.merged(one)
    left, right = one.merged(two).merged(three), one.merged(two.merged(three))
    for other in (right, of(a + b + c)):
        for name, value in left.to_dict().items():
            if isinstance(value, float):
                expected = pytest.approx(value, rel=1e-6, abs=1e-2)
                assert other.to_dict()[name] == expected
            else:
                assert other.to_dict()[name] == value


@given(PAIRS)
def test_swapping_numbers_twice_changes_nothing(pairs: Any) -> None:
    """And once, they are those of the pairs the other way round."""
    totals = of(pairs)
    assert totals.swapped().swapped() == totals
    other = of([(shadow, main) for main, shadow in pairs])
    assert totals.swapped().above == other.above
    assert totals.swapped().mean_main == other.mean_main


@given(PAIRS)
def test_numbers_are_read_back_from_json(pairs: Any) -> None:
    """As they were written."""
    totals = of(pairs)
    again = NumberTotals.from_dict(json.loads(json.dumps(totals.to_dict())))
    assert again == totals
    assert again.count == totals.count


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400, 1e101, True, "1", None])
def test_what_cannot_be_counted_with_is_no_number(value: object) -> None:
    """Nor is a boolean."""
    assert not is_number(value)


def test_constant_numbers_have_no_correlation() -> None:
    """None is not 0."""
    assert of([(1, 2), (1, 3)]).correlation is None
    assert NumberTotals().quantile(0.5) is None
    assert NumberTotals().deviation == 0


@given(LABEL_PAIRS, LABEL_PAIRS)
def test_merging_labels_is_adding(a: Any, b: Any) -> None:
    """In any order."""
    one, two, both = LabelTotals(), LabelTotals(), LabelTotals()
    for totals, pairs in ((one, a), (two, b), (both, a + b)):
        for pair in pairs:
            totals.add(*pair)
    assert one.merged(two) == two.merged(one) == both
    assert both.swapped().swapped() == both
    assert LabelTotals.from_dict(json.loads(json.dumps(both.to_dict()))) == both


def test_labels_are_bounded() -> None:
    """However many and long they are, the sums are right."""
    labels = LabelTotals()
    for n in range(5000):
        labels.add(f"{n}" + "x" * 1000, "cat")
        labels.add("cat", "cat")
    assert labels.count == 10_000
    assert labels.agreed == 5000
    assert len(labels.confusion) <= 256
    assert sum(labels.confusion.values()) + labels.other == 10_000
    assert labels.confusion["cat", "cat"] == 5000
    assert max(len(main) for main, _ in labels.confusion) == 64


@given(st.lists(st.tuples(st.sampled_from("ab"), ANYTHING, ANYTHING), max_size=30))
def test_nothing_that_is_added_raises(fields: Any) -> None:
    """Every pair is counted once, and all is finite."""
    totals = FieldTotals()
    for path, main, shadow in fields:
        totals.add(path, main, shadow)
    counted = [one.count for one in totals.numbers.values()]
    counted += [one.count for one in totals.labels.values()]
    assert sum(counted) + totals.other == len(fields)
    again = FieldTotals.from_dict(json.loads(json.dumps(totals.to_dict())))
    assert again == totals
    json.dumps(again.to_dict(), allow_nan=False)


def test_fields_are_bounded() -> None:
    """A million paths, long ones too, and merging two that are full."""
    one, two = FieldTotals(), FieldTotals()
    for n in range(10_000):
        one.add(f"$.one{n}", 1, 2)
        two.add(f"$.two{n % 100}", 1, 2)
        two.add("x" * 1000, "a", "b")
    merged = one.merged(two)
    assert len(merged.numbers) == 64
    assert merged == two.merged(one)
    assert all(path.startswith("$.two") for path in merged.numbers)
    assert sum(n.count for n in merged.numbers.values()) + merged.other == 30_000


DAMAGED: list[tuple[str, Any]] = [
    *(("numbers", 1), ("numbers", [["a", {}]]), ("numbers", [[1, {}]])),
    *(("labels", [["a", {"agreed": 2, "other": 0, "confusion": []}]]), ("other", -1)),
    ("labels", [["a", {"agreed": 0, "other": 0, "confusion": [["a", 1, 1]]}]]),
    ("numbers", [["a", of([(1, 2)]).to_dict() | {"square_main": -1.0}]]),
    ("numbers", [["a", of([(1, 2)]).to_dict() | {"mean_main": math.nan}]]),
    ("numbers", [["a", of([(1, 2)]).to_dict() | {"mean_main": 10**400}]]),
    ("numbers", [[str(n), of([]).to_dict()] for n in range(100)]),
]


@pytest.mark.parametrize(("name", "value"), DAMAGED)
def test_damage_is_a_value_error(name: str, value: object) -> None:
    """And nothing else."""
    with pytest.raises(ValueError, match="Damaged"):
        FieldTotals.from_dict(FieldTotals().to_dict() | {name: value})
