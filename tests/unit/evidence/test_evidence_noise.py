"""What main does to itself is noise; a constant error on it is not."""

import random
from collections.abc import Callable

import attrs

from daeploy_lib.evidence import Gate, Totals, excused, weigh

Draw = random.Random
Answer = Callable[[Draw], object]


@attrs.frozen
class Field:
    """One field in both answers."""

    path: str
    main: object
    shadow: object


def pairing(main: Answer, shadow: Answer, n: int, seed: int) -> Totals:
    """Return totals of a service with one field ``$.x``."""
    draw = Draw(seed)
    totals = Totals()
    for _ in range(n):
        one, two = main(draw), shadow(draw)
        found = [] if one == two else [("$.x", "value")]
        totals.add(
            "differ" if found else "match",
            main_status=200,
            shadow_status=200,
            differences=found,
            fields=[Field("$.x", one, two)],
        )
    return totals


def is_excused(main: Answer, shadow: Answer, n: int = 2000) -> bool:
    """Say whether what a shadow does is excused by what main does to itself."""
    control = pairing(main, main, n, seed=6)
    found = weigh(pairing(main, shadow, n, seed=7), control)
    assert len(found) == 1
    assert bool(excused(found)) is found[0].is_excused
    return found[0].is_excused


def noisy(bias: float = 0.0, width: float = 1.0) -> Answer:
    """Answer a number with noise."""
    return lambda draw: draw.gauss(10 + bias, width)


def random_id(draw: Draw) -> str:
    """Answer a string that never comes twice."""
    return f"{draw.random()}"


def label(weights: tuple[float, float, float]) -> Answer:
    """Answer one of three labels."""
    return lambda draw: draw.choices("abc", weights)[0]


def test_noise_is_excused() -> None:
    """Numbers, labels, random ids."""
    assert is_excused(noisy(), noisy())
    assert is_excused(label((8, 1, 1)), label((8, 1, 1)))
    assert is_excused(random_id, random_id)


def test_less_noise_is_excused_where_only_the_rate_is_known() -> None:
    """A shadow may differ less often than main does from itself."""
    blank = ["x" * 100, "y" * 100]
    main, shadow = (lambda d: d.choice(blank)), (lambda d: d.choices(blank, (9, 1))[0])
    control, totals = pairing(main, main, 500, 6), pairing(shadow, shadow, 500, 7)
    for one in (control, totals):
        one.fields = type(one.fields)()
    assert excused(weigh(totals, control)) == {"value $.x"}


def test_a_constant_error_on_a_noisy_number_is_found() -> None:
    """Though it differs in every exchange, as main does from itself."""
    assert not is_excused(noisy(), noisy(bias=0.5))
    assert not is_excused(noisy(), noisy(bias=-0.5))


def test_more_noise_is_found() -> None:
    """It is on both sides, so that there is no bias."""
    assert not is_excused(noisy(), noisy(width=2.0))


def test_a_label_that_is_given_more_often_is_found() -> None:
    """Though it disagrees as often as before."""
    assert not is_excused(label((1, 1, 0)), label((1, 0, 0)))


def sometimes(rate: float, rest: str = "") -> Answer:
    """Answer the same string at a rate, else one that never comes twice."""
    return lambda d: rest if d.random() < rate else random_id(d)


def test_a_constant_where_main_has_random_ids_is_found() -> None:
    """However many exchanges there were; as long as it is not rare."""
    for n in (150, 600, 5000):
        assert not is_excused(random_id, sometimes(1.0), n)
        assert not is_excused(random_id, sometimes(0.5), n)


def test_ids_among_labels_are_excused() -> None:
    """Also if main was seen more often with itself, or less often."""
    answers = [sometimes(rate, "none") for rate in (0.1, 0.5, 0.9)]
    answers += [lambda d: f"{int(d.paretovariate(0.7)) % 1000}"]
    for answer in answers:
        for n, of_control in ((600, 120), (20_000, 120), (600, 20_000)):
            control = pairing(answer, answer, of_control, seed=20)
            found = weigh(pairing(answer, answer, n, seed=21), control)
            assert excused(found) == {"value $.x"}


def test_differing_more_often_is_found() -> None:
    """A field that is noisy sometimes does not excuse one that always differs."""
    assert not is_excused(label((9, 1, 0)), label((0, 0, 1)))


def test_what_main_never_does_is_no_noise() -> None:
    """However much the control has seen."""
    assert not is_excused(lambda _: 1, lambda _: 2)


def test_a_control_that_saw_little_excuses_nothing() -> None:
    """Wide intervals overlap everything."""
    assert not is_excused(noisy(), noisy(), n=99)


def test_numbers_that_the_control_has_not_are_no_noise() -> None:
    """A label there, a number here."""
    control = pairing(random_id, random_id, 500, 8)
    (found,) = weigh(pairing(noisy(), noisy(), 500, 9), control)
    assert not found.is_excused
    assert "one side only" in found.reason


def test_lost_statistics_excuse_no_value() -> None:
    """With too many fields, nobody knows of which sort its noise was."""
    control, totals = (pairing(noisy(), noisy(), 500, seed) for seed in (6, 7))
    for one in (control, totals):
        one.fields = type(one.fields)()
        one.fields.other = 1
    (found,) = weigh(totals, control)
    assert not found.is_excused
    assert "too many fields" in found.reason


def test_noise_is_seldom_taken_for_an_error() -> None:
    """Of a hundred controls judged by another, hardly any."""
    refused = 0
    for seed in range(100):
        one, two = (pairing(noisy(), noisy(), 150, 2 * seed + i) for i in (0, 1))
        refused += not excused(weigh(one, two))
    assert refused <= 5


def test_a_gate_passes_noise_and_not_a_constant_error_on_it() -> None:
    """Without a control it passes neither."""
    gate = Gate(agreement=0.99, latency_ratio=None)
    control = pairing(noisy(), noisy(), 2000, 10)
    good = pairing(noisy(), noisy(), 2000, 11)
    bad = pairing(noisy(), noisy(bias=0.5), 2000, 12)
    assert str(gate.judge(good, control).result) == "pass"
    assert gate.judge(good, control).excused == ("value $.x",)
    assert str(gate.judge(bad, control).result) == "fail"
    assert str(gate.judge(good).result) == "fail"
