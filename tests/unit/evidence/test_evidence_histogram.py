"""A histogram of bounded size, exact to its error, that can be merged."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib.evidence.histogram import RATIO, SECONDS, SIZE, Histogram, Scale

SCALES = [SECONDS, RATIO, SIZE]
VALUES = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=50)


def of(values: list[float], scale: Scale = SECONDS) -> Histogram:
    """Return a histogram of some values."""
    histogram = Histogram(scale)
    for value in values:
        histogram.add(value)
    return histogram


@pytest.mark.parametrize("scale", SCALES)
def test_a_value_lies_in_its_bin(scale: Scale) -> None:
    """And is near what the bin stands for."""
    draw = random.Random(3)  # noqa: S311 - a simulation
    for _ in range(2000):
        value = math.exp(draw.uniform(math.log(scale.low), math.log(scale.high)))
        index = scale.index(value)
        assert scale.edge(index) * (1 - 1e-9) <= value
        assert value <= scale.edge(index + 1) * (1 + 1e-9)
        assert scale.middle(index) == pytest.approx(value, rel=scale.error * 1.001)


@given(st.lists(st.floats(1e-5, 3000), min_size=1, max_size=200), st.floats(0, 1))
def test_quantiles_are_exact_to_the_error(values: list[float], q: float) -> None:
    """Of what was added."""
    exact = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    assert of(values).quantile(q) == pytest.approx(exact, rel=0.0201)


@pytest.mark.parametrize("scale", SCALES)
def test_the_size_is_bounded(scale: Scale) -> None:
    """Whatever is added."""
    draw = random.Random(4)  # noqa: S311 - a simulation
    many = [math.exp(draw.uniform(-200, 200)) for _ in range(20_000)]
    histogram = of([*many, 0.0, -5.0, math.inf, -math.inf, math.nan], scale)
    assert len(list(histogram.bins())) <= scale.size + 2 < 1300
    assert histogram.count == 20_004


def test_what_is_beyond_the_scale_is_told_by_its_ends() -> None:
    """Too small, too large."""
    assert of([0.0, 1e-9]).quantile(0.5) == SECONDS.low
    assert of([1e9, math.inf]).quantile(0.5) == SECONDS.high
    assert [b[:2] for b in of([0.0]).bins()] == [(0.0, SECONDS.low)]
    (low, high, count) = next(of([math.inf]).bins())
    assert (round(low), high, count) == (3600, math.inf, 1)


@given(VALUES, VALUES, VALUES)
def test_merging_is_adding(a: list[float], b: list[float], c: list[float]) -> None:
    """In any order, the same as one histogram of all."""
    one, two, three = of(a), of(b), of(c)
    assert one.merged(two) == two.merged(one)
    assert one.merged(two).merged(three) == one.merged(two.merged(three))
    assert one.merged(two) == of(a + b)
    assert one.merged(Histogram(SECONDS)) == one


def test_other_bins_cannot_be_merged() -> None:
    """Nor are two such histograms equal."""
    with pytest.raises(ValueError, match="Cannot merge"):
        of([1.0]).merged(of([1.0], RATIO))


@given(st.lists(st.floats(1e-6, 1e6), max_size=50))
def test_inverting_gives_the_ratios_the_other_way(values: list[float]) -> None:
    """Twice, the same again."""
    ratios = of(values, RATIO)
    assert ratios.inverted().inverted() == ratios
    assert ratios.inverted().count == ratios.count


def test_an_inverted_quantile_is_one_over_it() -> None:
    """To within the error."""
    assert of([4.0], RATIO).inverted().quantile(0.5) == pytest.approx(0.25, rel=0.03)


@given(VALUES)
def test_it_is_read_back(values: list[float]) -> None:
    """As it was written."""
    histogram = of(values)
    again = Histogram.from_dict(histogram.to_dict(), SECONDS)
    assert again == histogram
    assert again.count == histogram.count


@pytest.mark.parametrize(
    "data",
    [
        *(None, [], {}, {"bins": 1}, {"bins": [1]}, {"bins": [[1, 2, 3]]}),
        *({"bins": [[1, -1]]}, {"bins": [[-2, 1]]}, {"bins": [[10**6, 1]]}),
        *({"bins": [[1, 1], [1, 1]]}, {"bins": [["1", 1]]}, {"bins": [[1, True]]}),
    ],
)
def test_damage_is_a_value_error(data: object) -> None:
    """And nothing else."""
    with pytest.raises(ValueError, match="Damaged"):
        Histogram.from_dict(data, SECONDS)


@given(st.lists(st.floats(1e-2, 1e2), max_size=50), st.floats(1e-2, 1e2))
def test_counting_to_a_value_is_right_to_a_bin(values: list[float], at: float) -> None:
    """All of its own bin are in it."""
    found = of(values, RATIO).count_to(at)
    assert sum(v <= at for v in values) <= found
    assert found <= sum(v <= at * 1.05 for v in values)
