"""Times are read one after the other; that is no fault, a wrong clock is one."""

import random
from collections.abc import Callable
from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib.evidence import Totals, weigh
from daeploy_lib.evidence.clocks import slack_of
from daeploy_lib.evidence.latencies import Timing
from daeploy_lib.evidence.times import seconds_of

NOW = 1_800_000_000.0
Told = Callable[[float], object]
Draw = random.Random


@attrs.frozen
class Field:
    """One field in both answers."""

    path: str
    main: object
    shadow: object


def pairing(
    late: float,
    told: Told,
    off: float = 0.0,
    *,
    n: int = 500,
    seed: int = 1,
    field: str = "$.at",
) -> Totals:
    """
    Return totals of a service that tells a time.

    Args:
        late: Seconds by which the shadow reads its clock later, on average.
        told: How a time is written.
        off: How wrong the shadow's clock is.
        n: So many exchanges, ten a second.
        seed: Of the moments.
        field: In which the time is.
    """
    draw, totals = Draw(seed), Totals()
    for number in range(n):
        at = NOW + number / 10 + draw.random() / 10
        main, shadow = told(at), told(at + draw.expovariate(1 / late) + off)
        totals.add(
            "match" if main == shadow else "differ",
            at=at,
            main_status=200,
            shadow_status=200,
            main=Timing(0.001, 0.001),
            shadow=Timing(late, late),
            differences=[] if main == shadow else [(field, "value")],
            fields=[Field(field, main, shadow)],
        )
    return totals


def is_excused(told: Told, late: float = 0.1, off: float = 0.0) -> bool:
    """Say whether a slower shadow is excused by a control that is as fast as main."""
    found = weigh(pairing(late, told, off), pairing(0.003, told, n=1000, seed=2))
    return all(one.is_excused for one in found)


WRITTEN: dict[str, Told] = {
    "seconds": lambda at: at,
    "milliseconds": lambda at: int(at * 1e3),
    "microseconds": lambda at: int(at * 1e6),
    "nanoseconds": lambda at: int(at * 1e9),
    "text": lambda at: datetime.fromtimestamp(at, UTC).isoformat(),
    "text in ms": lambda at: datetime.fromtimestamp(at, UTC).isoformat(
        " ", "milliseconds"
    ),
    "an hour ahead": lambda at: at + 3600,
    "whole seconds": int,
}


@pytest.mark.parametrize("told", WRITTEN.values(), ids=WRITTEN)
def test_a_clock_that_is_read_later_is_excused(told: Told) -> None:
    """Whatever its unit, and though a slow shadow differs more, and more often."""
    assert is_excused(told)


@pytest.mark.parametrize("told", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("off", [3600.0, -7200.0, 5.0])
def test_a_clock_that_is_wrong_is_found(told: Told, off: float) -> None:
    """By a time zone, or by more than the versions take to answer."""
    assert not is_excused(told, off=off)


@pytest.mark.parametrize(
    "told",
    [
        lambda at: at - NOW,
        lambda at: at / 1000,
        lambda at: int(at) % 1000,
    ],
)
def test_what_is_no_time_of_day_has_no_slack(told: Told) -> None:
    """A duration, or another number that grows."""
    totals = pairing(0.1, told)
    numbers = totals.fields.numbers["$.at"]
    assert slack_of(numbers, totals) == 0.0


def test_times_among_other_numbers_have_no_slack() -> None:
    """A list of points ``[time, value]`` has one statistic for both."""
    draw = Draw(3)
    told: Told = lambda at: at if draw.random() < 0.999 else 0.5  # noqa: E731
    totals = pairing(0.1, told, n=5000)
    assert slack_of(totals.fields.numbers["$.at"], totals) == 0.0


def test_without_exchanges_there_is_no_time() -> None:
    """Totals that nothing was added to, or of unknown moments."""
    known = pairing(0.1, lambda at: at).fields.numbers["$.at"]
    assert slack_of(known, Totals()) == 0.0
    empty = type(known)()
    assert slack_of(empty, pairing(0.1, lambda at: at)) == 0.0


def test_timeouts_do_not_make_a_clock_right() -> None:
    """What was never answered took for ever; the slack is a minute at most."""
    totals = pairing(0.1, lambda at: at)
    for _ in range(100):
        totals.add("timeout", at=NOW, main=Timing(0.001, 0.001))
    slack = slack_of(totals.fields.numbers["$.at"], totals)
    assert 1.0 < slack <= 61.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:10", 10.0),
        ("1970-01-01 00:00:10Z", 10.0),
        ("1970-01-01t01:00:10+01:00", 10.0),
        ("1970-01-01T00:00:00.123456789Z", pytest.approx(0.123456)),
        ("1969-12-31T23:59:59Z", -1.0),
        ("1970-01-01", None),
        ("10:00:00", None),
        ("1970-13-01T00:00:00", None),
        ("1970-01-01T00:00:10 and more", None),
        ("\u0661970-01-01T00:00:00", None),
        ("", None),
    ],
)
def test_texts_that_tell_a_time(text: str, seconds: float | None) -> None:
    """RFC 3339 with or without an offset, and nothing else."""
    assert seconds_of(text) == seconds


@given(st.text(max_size=60) | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d.*"))
def test_no_text_raises(text: str) -> None:
    """Texts come from services."""
    assert seconds_of(text) is None or isinstance(seconds_of(text), float)
