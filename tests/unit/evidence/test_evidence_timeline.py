"""Agreement over time, in a bounded number of spans."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib.evidence.timeline import Timeline

TIMES = st.one_of(
    st.floats(0, 2e9), st.floats(1e9, 1e9 + 1000), st.sampled_from([-1.0, math.inf])
)
EXCHANGES = st.lists(st.tuples(TIMES, st.booleans()), max_size=30)


def of(exchanges: list[tuple[float, bool]]) -> Timeline:
    """Return a timeline of times and whether they agreed."""
    timeline = Timeline()
    for at, agreed in exchanges:
        timeline.add(at, agreed=agreed)
    return timeline


@given(EXCHANGES, EXCHANGES, EXCHANGES)
def test_merging_is_adding(a: Any, b: Any, c: Any) -> None:
    """In any order, to the same spans."""
    one, two, three = of(a), of(b), of(c)
    assert one.merged(two) == two.merged(one) == of(a + b) == of(b + a)
    assert one.merged(two).merged(three) == one.merged(two.merged(three))
    assert one.merged(Timeline()) == one == of(a)


@given(EXCHANGES)
def test_every_exchange_is_in_its_span(exchanges: Any) -> None:
    """But for those of no clock; and it is read back."""
    timeline = of(exchanges)
    known = [(at, agreed) for at, agreed in exchanges if 0 <= at < 1e11]
    for begin, yes, no in timeline:
        inside = [a for at, a in known if begin <= int(at) < begin + timeline.seconds]
        assert (yes, no) == (sum(inside), len(inside) - sum(inside))
    assert sum(yes + no for _, yes, no in timeline) == len(known)
    again = Timeline.from_dict(json.loads(json.dumps(timeline.to_dict())))
    assert again == timeline


def test_a_year_fits() -> None:
    """In spans of some days."""
    timeline = of([(1e9 + 3600 * n, n % 2 == 0) for n in range(365 * 24)])
    assert 60 <= len(list(timeline)) <= 120
    assert timeline.seconds == 327_680


@pytest.mark.parametrize(
    "data",
    [
        *(None, {}, {"doublings": 99, "spans": []}, {"doublings": 0, "spans": [1]}),
        *({"doublings": 0, "spans": [[-1, 1, 1]]}, {"doublings": -1, "spans": []}),
        {"doublings": 0, "spans": [[2**59, 1, 1]]},
    ],
)
def test_damage_is_a_value_error(data: object) -> None:
    """And nothing else."""
    with pytest.raises(ValueError, match="Damaged"):
        Timeline.from_dict(data)
