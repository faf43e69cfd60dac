"""Intervals hold at all times at once, where those for one look do not."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib.evidence.histogram import RATIO, Histogram
from daeploy_lib.evidence.intervals import (
    Interval,
    log_evidence,
    quantile_interval,
    rate_interval,
)

ALPHA = 0.05
RUNS = 300
LOOKS = 600


def wilson_excludes(n: int, k: int, rate: float) -> bool:
    """Say whether Wilson's interval, right for one look, leaves a rate out."""
    z = 1.959964
    return abs(k - n * rate) > z * math.sqrt(n * rate * (1 - rate))


@pytest.mark.parametrize("rate", [0.02, 0.5, 0.9])
def test_looking_after_every_outcome_keeps_the_confidence(rate: float) -> None:
    """Of the true rate; Wilson's interval is wrong several times as often."""
    draw = random.Random(1)  # noqa: S311 - a simulation
    enough = -math.log(ALPHA)
    ever, ever_wilson = 0, 0
    for _ in range(RUNS):
        k, wrong, wilson = 0, False, False
        for n in range(1, LOOKS + 1):
            k += draw.random() < rate
            wrong = wrong or log_evidence(n, k, rate) >= enough
            wilson = wilson or (n >= 30 and wilson_excludes(n, k, rate))
        ever += wrong
        ever_wilson += wilson
    assert ever / RUNS <= ALPHA
    assert ever_wilson / RUNS > 4 * ALPHA


def test_looking_keeps_the_confidence_of_a_median() -> None:
    """Of a skewed distribution, from the bins of a histogram."""
    draw = random.Random(2)  # noqa: S311 - a simulation
    wrong = 0
    for _ in range(100):
        values = Histogram(RATIO)
        ever = False
        for n in range(1, 301):
            values.add(draw.lognormvariate(0.1, 1.0))
            if n % 5 == 0:
                interval = quantile_interval(values.bins(), 0.5, ALPHA)
                ever = ever or not interval.low <= math.exp(0.1) <= interval.high
        wrong += ever
    assert wrong / 100 <= ALPHA


def test_an_interval_gets_narrow() -> None:
    """Always being right does not mean to say nothing."""
    interval = rate_interval(100_000, 99_000, ALPHA)
    assert 0.988 < interval.low < 0.99 < interval.high < 0.992
    assert rate_interval(1000, 1000, ALPHA).low > 0.99
    assert rate_interval(1000, 1000, ALPHA).high == 1


@given(st.integers(0, 10**12), st.data(), st.floats(1e-9, 0.9))
def test_a_rate_lies_in_its_interval(n: int, data: st.DataObject, alpha: float) -> None:
    """Whatever the counts."""
    k = data.draw(st.integers(0, n))
    interval = rate_interval(n, k, alpha)
    assert 0 <= interval.low <= interval.high <= 1
    if n:
        assert interval.low <= k / n <= interval.high


@given(st.integers(1, 10**6), st.data())
def test_an_interval_ends_where_a_rate_is_refuted(n: int, data: st.DataObject) -> None:
    """The ends are the rates from which on the evidence is enough."""
    k = data.draw(st.integers(1, n))
    interval = rate_interval(n, k, ALPHA)
    inside = interval.low + (k / n - interval.low) * 1e-6
    assert log_evidence(n, k, inside) <= -math.log(ALPHA) + 1e-3
    assert log_evidence(n, k, interval.low) >= -math.log(ALPHA) - 1e-3


@given(st.integers(0, 500), st.data())
def test_swapping_successes_and_failures_mirrors_the_interval(
    n: int, data: st.DataObject
) -> None:
    """No side is favoured."""
    k = data.draw(st.integers(0, n))
    one, two = rate_interval(n, k, ALPHA), rate_interval(n, n - k, ALPHA)
    assert one.low == pytest.approx(1 - two.high, abs=1e-12)
    assert one.high == pytest.approx(1 - two.low, abs=1e-12)


@given(st.floats(0.01, 0.5), st.integers(0, 300), st.data())
def test_more_confidence_makes_it_wider(
    alpha: float, n: int, data: st.DataObject
) -> None:
    """Never narrower."""
    k = data.draw(st.integers(0, n))
    narrow, wide = rate_interval(n, k, alpha), rate_interval(n, k, alpha / 10)
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


@pytest.mark.parametrize(("n", "k", "rate"), [(5, 1, 0.0), (5, 4, 1.0), (5, 1, -1)])
def test_what_cannot_be_is_refuted(n: int, k: int, rate: float) -> None:
    """At once, without an error."""
    assert log_evidence(n, k, rate) == math.inf


@given(
    st.lists(st.floats(1e-2, 1e2), max_size=200),
    st.sampled_from([0.01, 0.5, 0.9, 0.99]),
)
def test_a_quantile_lies_in_its_interval(values: list[float], q: float) -> None:
    """And without values it may be anything."""
    histogram = Histogram(RATIO)
    for value in values:
        histogram.add(value)
    interval = quantile_interval(histogram.bins(), q, ALPHA)
    measured = histogram.quantile(q)
    if measured is None:
        assert interval == Interval(-math.inf, math.inf)
    else:
        assert interval.low <= measured <= interval.high


def test_a_few_values_do_not_tell_a_tail() -> None:
    """How large the largest of a hundred is cannot be said after ten."""
    bins = [(1.0, 2.0, 10)]
    assert quantile_interval(bins, 0.99, ALPHA).high == math.inf
    assert quantile_interval([(1.0, 2.0, 5000)], 0.99, ALPHA) == Interval(1.0, 2.0)


@pytest.mark.parametrize(
    ("n", "k", "alpha"), [(1, 2, 0.1), (-1, 0, 0.1), (1, -1, 0.1), (1, 1, 0), (1, 1, 1)]
)
def test_impossible_counts_are_refused(n: int, k: int, alpha: float) -> None:
    """With an error that names them."""
    with pytest.raises(ValueError, match=r"Cannot be|Invalid alpha"):
        rate_interval(n, k, alpha)


@pytest.mark.parametrize("q", [0, 1, -1, math.nan])
def test_impossible_quantiles_are_refused(q: float) -> None:
    """The least and the largest value have no interval."""
    with pytest.raises(ValueError, match="Invalid quantile"):
        quantile_interval([], q, ALPHA)
