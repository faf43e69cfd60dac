"""A gate passes on evidence only, and fails only on what is certain."""

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daeploy_lib import Gate, GateNotPassedError, Verdict
from daeploy_lib.evidence import Result, Timing, Totals
from daeploy_lib.evidence.totals import MISSED

PASS, FAIL, UNKNOWN = Result.passed, Result.failed, Result.inconclusive
FAST, SLOW = Timing(0.010, 0.010), Timing(0.030, 0.030)


def add(totals: Totals, outcome: str, n: int = 1, **more: Any) -> Totals:
    """Add some exchanges that were answered well, if nothing else is said."""
    usual: dict[str, Any] = {"main_status": 200, "shadow_status": 200}
    usual |= {"main": FAST, "shadow": FAST}
    for _ in range(n):
        totals.add(outcome, **(usual | more))
    return totals


def good(n: int = 2000) -> Totals:
    """Return totals of a shadow that agrees and is as fast."""
    return add(Totals(), "match", n)


def result_of(verdict: Verdict, name: str) -> Result:
    """Return the result of one condition."""
    (found,) = [one.result for one in verdict.conditions if one.name == name]
    return found


def test_a_good_shadow_passes() -> None:
    """With every condition."""
    verdict = Gate(tail_ratio=1.5).judge(good())
    assert verdict.result is PASS
    assert verdict.is_pass
    assert verdict.more_needed == 0
    assert {one.result for one in verdict.conditions} == {PASS}
    assert len(verdict.conditions) == 6


def test_no_traffic_is_never_a_pass() -> None:
    """Not even with the easiest conditions."""
    for gate in (Gate(), easiest()):
        verdict = gate.judge(Totals())
        assert verdict.result is UNKNOWN
        assert not verdict.is_pass


def easiest() -> Gate:
    """Return a gate with nothing left but what cannot be left out."""
    return Gate(
        min_exchanges=1,
        agreement=None,
        error_rate=None,
        latency_ratio=None,
        max_dropped=0.5,
        confidence=0.5,
    )


@pytest.mark.parametrize("n", [1, 10, 99])
def test_too_little_is_never_a_pass(n: int) -> None:
    """However good it is, and the gate says how much more it takes."""
    verdict = Gate(agreement=0.5, error_rate=0.5).judge(good(n))
    assert verdict.result is UNKNOWN
    assert verdict.conditions[0].more_needed == 100 - n
    assert "min_exchanges is 100" in str(verdict)


def test_what_is_needed_is_about_what_is_needed() -> None:
    """So many more like those before, and it is decided."""
    verdict = Gate().judge(good(200))
    assert verdict.result is UNKNOWN
    more = verdict.more_needed
    assert more is not None
    assert 300 < more < 2000
    assert Gate().judge(good(200 + more)).result is PASS
    assert Gate().judge(good(200 + more - 2)).result is UNKNOWN


def test_a_rate_at_the_bound_is_never_decided() -> None:
    """And nobody can say how many exchanges it would take."""
    totals = add(good(990), "differ", 10, differences=[("$.a", "value")])
    verdict = Gate(agreement=0.99).judge(totals)
    assert verdict.result is UNKNOWN
    assert verdict.more_needed is None


@pytest.mark.parametrize("outcome", MISSED)
def test_heavy_drops_are_never_a_pass(outcome: str) -> None:
    """What was dropped might have been what is wrong."""
    verdict = Gate().judge(add(good(), outcome, 500))
    assert verdict.result is UNKNOWN
    assert result_of(verdict, "max_dropped") is UNKNOWN
    assert "500 of 2500 exchanges" in str(verdict)
    assert verdict.more_needed == 2500
    assert Gate().judge(add(good(4500), outcome, 500)).is_pass


@pytest.mark.parametrize(
    "outcome", ["not_sampled", "excluded", "main_failed", "client_gone"]
)
def test_what_says_nothing_changes_nothing(outcome: str) -> None:
    """However much there is of it."""
    assert Gate().judge(add(good(), outcome, 10_000)).is_pass


def test_differing_answers_fail() -> None:
    """Once it is certain, and not by the measured rate alone."""
    totals = add(good(960), "differ", 40)
    assert Gate(agreement=0.99).judge(totals).result is FAIL
    assert "agreement is 0.96" in str(Gate().judge(totals))
    # 2 of 100 are more than 1 %, but one per cent may well look like that.
    few = add(good(98), "differ", 2)
    assert result_of(Gate(agreement=0.99).judge(few), "agreement") is UNKNOWN


@pytest.mark.parametrize("outcome", ["shadow_error", "timeout", "refused"])
def test_no_answer_is_an_error_and_disagrees(outcome: str) -> None:
    """With either condition alone it fails."""
    totals = add(good(900), outcome, 100, shadow_status=None, shadow=None)
    assert result_of(Gate().judge(totals), "error_rate") is FAIL
    assert result_of(Gate(error_rate=None).judge(totals), "agreement") is FAIL


def test_errors_of_both_are_not_the_shadows() -> None:
    """Only what main answered well counts."""
    both = add(good(900), "match", 1500, main_status=500, shadow_status=503)
    assert Gate().judge(both).is_pass
    alone = add(good(900), "differ", 100, shadow_status=500)
    assert result_of(Gate(agreement=None).judge(alone), "error_rate") is FAIL


def test_a_slow_shadow_fails() -> None:
    """By its median, request by request, however fast the requests are."""
    totals = Totals()
    draw = random.Random(13)  # noqa: S311 - a simulation
    for _ in range(2000):
        main = draw.lognormvariate(-5, 2)
        shadow = main * draw.uniform(1.2, 1.4)
        add(totals, "match", main=Timing(main, main), shadow=Timing(shadow, shadow))
    assert Gate(latency_ratio=1.1).judge(totals).result is FAIL
    assert Gate(latency_ratio=1.5).judge(totals).result is PASS
    verdict = Gate(latency_ratio=1.3).judge(totals)
    assert result_of(verdict, "latency_ratio") is UNKNOWN


def test_a_slow_tail_fails_its_condition_alone() -> None:
    """The median does not see it."""
    totals = add(good(1900), "match", 100, shadow=SLOW)
    verdict = Gate(latency_ratio=1.2, tail_ratio=2).judge(totals)
    assert result_of(verdict, "latency_ratio") is PASS
    assert result_of(verdict, "tail_ratio") is FAIL


def test_unmeasured_latency_is_no_pass() -> None:
    """And is said."""
    totals = Totals()
    for _ in range(2000):
        totals.add("match", main_status=200, shadow_status=200)
    verdict = Gate(tail_ratio=2).judge(totals)
    assert verdict.result is UNKNOWN
    assert "latency_ratio is to be at most 2 and was not measured" in str(verdict)


def test_timeouts_make_a_shadow_slow() -> None:
    """Though the answers that came were fast."""
    totals = add(good(400), "timeout", 600, shadow=None)
    verdict = Gate(agreement=None, error_rate=None).judge(totals)
    assert verdict.result is FAIL


def test_conditions_are_left_out() -> None:
    """None is no condition, but two are always there."""
    names = [one.name for one in easiest().judge(good()).conditions]
    assert names == ["min_exchanges", "max_dropped"]
    assert easiest().judge(good(1)).is_pass


@pytest.mark.no_cover  # the same lines, thousands of times
def test_looking_always_keeps_the_confidence() -> None:
    """A shadow that is just not good enough hardly ever passes, at any time."""
    draw = random.Random(14)  # noqa: S311 - a simulation
    gate = Gate(agreement=0.9, error_rate=None, latency_ratio=None, min_exchanges=1)
    passes = 0
    for _ in range(60):
        totals = Totals()
        for _ in range(300):
            totals.add("match" if draw.random() < 0.899 else "differ")
            if gate.judge(totals).is_pass:
                passes += 1
                break
    assert passes / 60 <= 0.05


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("min_exchanges", 0), ("min_exchanges", -1), ("agreement", 0)),
        *(("agreement", 1), ("agreement", 1.5), ("agreement", math.nan)),
        *(("error_rate", 0), ("error_rate", 1), ("error_rate", -0.1)),
        *(("latency_ratio", 0), ("latency_ratio", math.inf), ("tail_ratio", 1000)),
        *(("max_dropped", -0.1), ("max_dropped", 0.6), ("confidence", 1)),
        *(("confidence", 0.4), ("confidence", math.nan), ("max_dropped", math.nan)),
    ],
)
def test_impossible_gates_are_refused(name: str, value: Any) -> None:
    """At construction, with what is allowed."""
    with pytest.raises(ValueError, match=rf"Invalid {name} .*\. It is "):
        Gate(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("min_exchanges", 1.5), ("min_exchanges", True), ("agreement", "0.9")),
        *(("max_dropped", None), ("confidence", None), ("latency_ratio", [1])),
    ],
)
def test_no_numbers_are_refused(name: str, value: Any) -> None:
    """With the name of the parameter."""
    with pytest.raises(TypeError, match=name):
        Gate(**{name: value})


VERDICTS = [
    Gate(tail_ratio=3).judge(totals)
    for totals in (Totals(), good(5), good(), add(good(), "differ", 900))
]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_verdict_is_read_back_from_json(verdict: Verdict) -> None:
    """As it was written; infinity too."""
    text = json.dumps(verdict.to_dict(), allow_nan=False)
    assert Verdict.from_dict(json.loads(text)) == verdict


@pytest.mark.parametrize(
    "change",
    [
        *({"result": "perhaps"}, {"conditions": None}, {"conditions": [1]}),
        *({"excused": "ab"}, {"excused": [1]}, {"exchanges": -1}, {"confidence": "1"}),
    ],
)
def test_damage_is_a_value_error(change: dict[str, object]) -> None:
    """And nothing else."""
    with pytest.raises(ValueError, match=r"Damaged|Result"):
        Verdict.from_dict(VERDICTS[2].to_dict() | change)
    with pytest.raises(ValueError, match="Damaged"):
        Verdict.from_dict([])  # type: ignore[arg-type]


def test_a_refusal_is_readable() -> None:
    """In the error of an assignment."""
    totals = add(good(960), "differ", 40)
    error = GateNotPassedError("hello", "2.0.0", Gate().judge(totals))
    assert str(error).startswith(
        "Did not assign 'hello' '2.0.0': the gate did not pass. Fail after 1000 "
        "exchanges, with 0.95 confidence: agreement is 0.96 (0.9"
    )
    assert "and is to be at least 0.99. Use force=True" in str(error)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["match", "differ", "timeout", "not_ready"]),
            st.integers(0, 60),
            st.sampled_from([200, 500]),
        ),
        max_size=4,
    )
)
def test_every_total_has_a_verdict(groups: list[tuple[str, int, int]]) -> None:
    """It is certain of nothing that was measured otherwise."""
    totals = Totals()
    for outcome, n, status in groups:
        add(totals, outcome, n, shadow_status=status)
    verdict = Gate(min_exchanges=5, agreement=0.6, error_rate=0.4).judge(totals)
    assert verdict.reasons
    for one in verdict.conditions:
        if one.measured is not None and one.name in ("agreement", "error_rate"):
            assert one.low <= one.measured <= one.high
            holds = (one.measured >= one.bound) == (one.name == "agreement")
            assert one.result is not (FAIL if holds else PASS)
    json.dumps(verdict.to_dict(), allow_nan=False)
