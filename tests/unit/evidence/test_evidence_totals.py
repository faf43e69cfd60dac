"""Totals: every exchange counted, merged in any order, read back, bounded."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daeploy_lib.compare import FieldPair
from daeploy_lib.evidence import Timing, Totals
from daeploy_lib.evidence.sample import Compared
from daeploy_lib.evidence.totals import COMPARED, FAILED, MISSED, OUTCOMES
from daeploy_lib.router.outcome import Outcome

SECONDS = st.floats(1e-4, 100)
TIMINGS = st.one_of(st.none(), st.builds(Timing, SECONDS, SECONDS))
STATUSES = st.sampled_from([None, 200, 404, 500, 503])
# Of whole numbers, so that sums do not depend on the order they are made in.
FIELDS = st.builds(FieldPair, st.sampled_from("ab"), st.just(4), st.just(4))
EXCHANGES = st.lists(
    st.fixed_dictionaries(
        {
            "outcome": st.sampled_from(OUTCOMES),
            "at": st.one_of(st.none(), st.integers(0, 10**9).map(float)),
            "main_status": STATUSES,
            "shadow_status": STATUSES,
            "main": TIMINGS,
            "shadow": TIMINGS,
            "differences": st.lists(
                st.tuples(st.sampled_from("ab"), st.sampled_from(["value", "type"]))
            ),
            "fields": st.lists(FIELDS, max_size=2),
        }
    ),
    max_size=12,
)


def of(exchanges: list[dict[str, Any]]) -> Totals:
    """Return totals of some exchanges."""
    totals = Totals()
    for exchange in exchanges:
        totals.add(**exchange)
    return totals


WHOLE = of(
    [
        {"outcome": "differ", "differences": [("$.a", "value")], "at": 1.0},
        {"outcome": "match", "main_status": 200, "shadow_status": 500},
        {
            "outcome": "match",
            "main": Timing(1, 1),
            "shadow": Timing(1, 2),
            "fields": [FieldPair("$.a", 1, 2), FieldPair("$.b", "x", "y")],
        },
    ]
).to_dict()


def test_outcomes_are_those_of_the_router() -> None:
    """All 13 names, each once."""
    assert set(OUTCOMES) == set(Outcome)
    assert len(OUTCOMES) == 13
    assert not {*COMPARED} & {*FAILED} & {*MISSED}


@settings(max_examples=40)
@given(EXCHANGES, EXCHANGES, EXCHANGES)
def test_merging_is_adding(a: Any, b: Any, c: Any) -> None:
    """In any order, the same as one process that saw all."""
    one, two, three = of(a), of(b), of(c)
    assert one.merged(two) == two.merged(one) == of(a + b)
    assert one.merged(two).merged(three) == one.merged(two.merged(three))
    assert one.merged(Totals()) == one


@settings(max_examples=40)
@given(EXCHANGES)
def test_totals_are_read_back_from_json(exchanges: Any) -> None:
    """As they were written."""
    totals = of(exchanges)
    text = json.dumps(totals.to_dict(), allow_nan=False)
    assert Totals.from_dict(json.loads(text)) == totals
    Totals.from_dict(totals.swapped().to_dict())


@given(EXCHANGES)
def test_every_exchange_is_counted_once(exchanges: Any) -> None:
    """Whatever it was, and as the other one's as well."""
    totals = of(exchanges)
    assert totals.seen == len(exchanges) == totals.swapped().seen
    assert sum(totals.outcomes.values()) == len(exchanges)
    assert 0 <= totals.failed_alone <= totals.tried
    assert 0 <= totals.swapped().failed_alone <= totals.swapped().tried
    assert totals.differences.count == totals.outcomes["differ"]


@pytest.mark.parametrize(
    ("outcome", "main", "shadow", "counts"),
    [
        ("match", 200, 200, (0, 0, 0)),
        ("differ", 200, 500, (1, 0, 0)),
        ("differ", 503, 200, (0, 1, 0)),
        ("match", 500, 502, (0, 0, 1)),
        ("incomparable", 200, 500, (1, 0, 0)),
        ("timeout", 200, None, (1, 0, 0)),
        ("refused", 500, None, (0, 0, 1)),
        ("shadow_error", None, None, (1, 0, 0)),
        ("not_ready", 200, None, (0, 0, 0)),
        ("main_failed", None, None, (0, 0, 0)),
    ],
)
def test_whose_failure_it_was(
    outcome: str, main: int | None, shadow: int | None, counts: tuple[int, int, int]
) -> None:
    """The shadow's alone, main's alone, or of both."""
    totals = Totals()
    totals.add(outcome, main_status=main, shadow_status=shadow)
    found = (totals.failed_alone, totals.failed_main_alone, totals.failed_both)
    assert found == counts


def test_a_main_that_breaks_is_the_failure_of_the_swapped_shadow() -> None:
    """So that a new main can be judged beside the old one."""
    totals = Totals()
    totals.add("main_failed")
    totals.add("main_failed", main_status=413)
    totals.add("timeout", main_status=200)
    totals.add("differ", main_status=500, shadow_status=200)
    swapped = totals.swapped()
    assert swapped.failures == 1
    assert swapped.failed_alone == 2
    assert swapped.outcomes["main_failed"] == 2
    assert swapped.statuses.as_dict() == {"200 500": 1}


def test_an_answer_that_never_came_took_for_ever() -> None:
    """It makes the shadow slower, not faster."""
    totals = Totals()
    for _ in range(3):
        totals.add("timeout", main_status=200, main=Timing(0.1, 0.1))
    totals.add("refused", main_status=200, main=Timing(0.1, 0.1))
    assert totals.latencies.ratio_end.count == 3
    assert totals.latencies.ratio_end.quantile(0.5) == 1000
    assert totals.latencies.main_end.count == 3


def test_totals_are_bounded() -> None:
    """With other statuses, shapes, fields and labels in every exchange."""
    totals = Totals()
    for n in range(20_000):
        totals.add(
            "differ",
            at=float(n),
            main_status=n + 1,
            shadow_status=200,
            main=Timing(1 / (n + 1), n + 1),
            shadow=Timing(n, n),
            differences=[(f"$.field{n}", "value")],
            fields=[
                FieldPair(f"$.field{n}", n, n + 1),
                FieldPair("$.label", f"label {n}", f"label {n + 1}"),
                FieldPair("$.number", n, 10**18 - n),
            ],
        )
    assert len(json.dumps(totals.to_dict())) < 250_000
    assert totals.differences.shapes.total == totals.statuses.total == 20_000
    assert (totals.first_seen, totals.last_seen) == (0, 19_999)


@pytest.mark.parametrize("way", [Totals.swapped, lambda t: t.merged(Totals())])
def test_what_is_made_of_totals_shares_nothing(way: Callable[[Totals], Totals]) -> None:
    """Adding to the one leaves the other as it was."""
    totals = Totals.from_dict(WHOLE)
    made = way(totals)
    before = totals.to_dict()
    pairs = [FieldPair("$.a", 5, 7), FieldPair("$.b", "v", "w")]
    made.add("differ", at=9.0, differences=[("$.a", "value")], fields=pairs)
    made.add("match", main=Timing(1, 1), shadow=Timing(1, 1))
    assert totals.to_dict() == before


def test_an_unknown_outcome_is_refused() -> None:
    """With the names there are."""
    with pytest.raises(ValueError, match="Unknown outcome 'matched'"):
        Totals().add("matched")


JUNK = st.sampled_from([None, -1, 1.5, "x", [], {}, True, [1], [[1]], 2**80, {"a": 1}])


def paths(data: object, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each value inside."""
    inner: list[tuple[Any, object]] = []
    if isinstance(data, dict):
        inner = list(data.items())
    elif isinstance(data, list):
        inner = list(enumerate(data))
    found = [before] if before else []
    for step, value in inner:
        found += paths(value, (*before, step))
    return found


@given(st.sampled_from(paths(json.loads(json.dumps(WHOLE)))), JUNK, st.booleans())
def test_damage_is_a_value_error(way: Any, junk: object, gone: bool) -> None:
    """And nothing else, whatever is changed or missing."""
    data = json.loads(json.dumps(WHOLE))
    inner = data
    for step in way[:-1]:
        inner = inner[step]
    if gone:
        del inner[way[-1]]
    else:
        inner[way[-1]] = junk
    try:
        json.dumps(Totals.from_dict(data).to_dict(), allow_nan=False)
    except ValueError as error:
        assert "Damaged" in str(error)  # noqa: PT017 - some junk is as good


TIMES = st.floats(0, 5000)


ENTRIES = st.lists(st.tuples(st.sampled_from("abc"), st.just("value")), max_size=3)


@given(
    st.lists(
        st.tuples(
            st.floats(1.7e9, 1.7e9 + 500),
            st.sampled_from([200, 204, 404]),
            st.sampled_from([200, 404]),
            *[TIMES] * 4,
            st.none() | ENTRIES.map(tuple),
            st.booleans(),
        )
    )
)
def test_many_count_together_as_they_do_alone(many: list[Compared]) -> None:
    """At once they give the same totals as one after another."""
    together, alone = Totals(), Totals()
    together.add_compared(many)
    for at, main_status, shadow_status, *seconds, entries, is_whole in many:
        alone.add(
            "match" if entries is None else "differ",
            at=at,
            main_status=main_status,
            shadow_status=shadow_status,
            main=Timing(*seconds[:2]),
            shadow=Timing(*seconds[2:]),
            differences=entries or (),
            is_whole=is_whole,
        )
    assert together == alone
