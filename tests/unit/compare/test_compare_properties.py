"""Whatever two versions answer: no error, one result, and bounds."""

import gzip
import json
import sys
import zlib

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answers import JSON, RULES, VALUES, json_answer
from daeploy_lib import ComparisonRules
from daeploy_lib.compare import (
    Agreement,
    Answer,
    Comparison,
    Reason,
    answer,
    compare,
    comparing,
    is_quick,
    is_same,
)

TYPES = st.one_of(
    st.sampled_from(
        [
            *(
                b"application/json",
                b"application/hal+json",
                b"text/plain",
                b"image/png",
            ),
            *(
                b"text/event-stream",
                b"application/x-ndjson",
                b"text/html; charset=latin1",
            ),
            *(b"text/plain; charset=utf-16", b"text/plain; charset=idna", b"", b";"),
            *(b"application/json; charset=\xff", b"text/plain; charset=big5"),
        ]
    ),
    st.binary(max_size=20),
)
CODINGS = st.sampled_from(
    [b"gzip", b"deflate", b"br", b"gzip, gzip", b"identity", b"", b"\xff", b",,,"]
)
JSON_BODIES = VALUES.map(lambda value: json.dumps(value).encode())
BODIES = st.one_of(
    JSON_BODIES,
    JSON_BODIES.map(lambda body: body[:-1]),
    JSON_BODIES.map(lambda body: b"data: " + body + b"\n\n"),
    JSON_BODIES.map(lambda body: body + b"\n" + body),
    JSON_BODIES.map(gzip.compress),
    JSON_BODIES.map(zlib.compress),
    st.binary(max_size=30),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace")),
    st.text(max_size=9).map(lambda text: text.encode("utf-16", "replace")),
    st.sampled_from(
        [b"", b"NaN", b'{"a":1,"a":2}', b"[" * 2000, b'"\\ud800"', b"\xef\xbb\xbf{}"]
    ),
)
HEADERS = st.lists(
    st.one_of(
        st.tuples(st.just(b"content-type"), TYPES),
        st.tuples(st.just(b"content-encoding"), CODINGS),
        st.tuples(
            st.sampled_from(
                [b"set-cookie", b"etag", b"x-a", b"location", b"\xff", b""]
            ),
            st.binary(max_size=5),
        ),
    ),
    max_size=4,
)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Draw an answer, some of them cut or broken off."""
    body = draw(BODIES)
    kept = draw(st.sampled_from([len(body), len(body), len(body), 0, 3]))
    return Answer(
        draw(st.sampled_from([200, 201, 500, 0, 99999])),
        draw(HEADERS),
        body[:kept],
        len(body) + draw(st.sampled_from([0, 0, 0, 5])),
        draw(st.sampled_from([b"", body[-8:], b"x"])),
        draw(st.sampled_from([True, True, True, False])),
    )


def check(comparison: Comparison, rules: ComparisonRules) -> None:
    """Check what holds for every comparison."""
    assert comparison.reason is not Reason.failed
    is_known = comparison.agreement is not Agreement.incomparable
    assert is_known is (comparison.reason is Reason.none)
    differs = comparison.agreement is Agreement.differ
    assert differs is bool(comparison.count) is (comparison.shape is not None)
    assert differs is bool(comparison.differences)
    assert len(comparison.differences) <= rules.max_differences
    for difference in comparison.differences:
        assert len(difference.path) < 2000
        for value in (difference.main, difference.shadow):
            assert value is None or len(value) < 2000
    repr(comparison).encode()


@pytest.mark.no_cover  # the same lines, thousands of times
@settings(max_examples=600, deadline=None)
@given(answers(), answers(), RULES)
def test_any_two_answers(one: Answer, other: Answer, rules: ComparisonRules) -> None:
    """No error; the same again; and matching if and only if swapped they match."""
    there, back = compare(one, other, rules), compare(other, one, rules)
    check(there, rules)
    check(back, rules)
    assert there.is_match is back.is_match
    assert compare(one, other, rules) == there
    check(compare(one, other, rules, max_fields=3, secrets=["data", "true"]), rules)
    with_fields = compare(one, other, rules, max_fields=3)
    assert attrs.evolve(with_fields, fields=()) == there
    is_quick(one, other, rules)
    if is_same(one, other, rules):
        assert there.is_match


@pytest.mark.no_cover  # the same lines, thousands of times
@settings(max_examples=300, deadline=None)
@given(answers(), RULES)
def test_an_answer_matches_itself(one: Answer, rules: ComparisonRules) -> None:
    """Unless it is incomparable, and then not for what is in it."""
    same = one._replace(headers=list(one.headers), body=bytes(bytearray(one.body)))
    comparison = compare(one, same, rules)
    assert comparison.agreement is not Agreement.differ
    if one.is_whole and not one.is_cut:
        assert comparison.is_match
    assert compare(one, same, rules, max_fields=5).agreement is comparison.agreement


@settings(deadline=None)
@given(VALUES, VALUES, RULES)
def test_values_in_any_writing(
    one: object, other: object, rules: ComparisonRules
) -> None:
    """White space and compression do not change the verdict, fields, or shape."""
    plain = json_answer(one)
    loose = json.dumps(other, indent=2).encode()
    zipped = gzip.compress(loose, mtime=0)
    headers = [*plain.headers, (b"content-encoding", b"gzip")]
    wide = ComparisonRules(
        **{
            name: getattr(rules, name)
            for name in ("ignored", "included", "unordered", "max_depth")
        }
    )
    first = compare(plain, answer(200, loose, content_type=JSON), wide)
    second = compare(plain, Answer(200, headers, zipped, len(zipped)), wide)
    assert first == second


def test_little_stack_is_no_error() -> None:
    """From deep within a program, it is incomparable at worst."""
    rules = ComparisonRules(unordered=["**"], absolute_tolerance=1)

    def nested(levels: int) -> object:
        return [nested(levels - 1), 1] if levels else 1

    one, other = json_answer(nested(40)), json_answer([nested(39), 7])

    def deeper(frames: int) -> Comparison:
        return deeper(frames - 1) if frames else compare(one, other, rules)

    used = len(__import__("inspect").stack())
    for left in range(30, 200, 5):
        comparison = deeper(sys.getrecursionlimit() - used - left)
        assert comparison.agreement is not Agreement.match
        assert comparison.reason in (Reason.none, Reason.too_deep)


def test_a_fault_of_ours_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is incomparable, and named."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(comparing, "read_body", fail)
    one, other = json_answer(1), json_answer(2)
    assert compare(one, other, ComparisonRules()).reason is Reason.failed


def test_what_is_quick() -> None:
    """Small bodies; whether they are equal is asked before."""
    rules = ComparisonRules()
    large = answer(200, b"x" * 1_000_000)
    assert not is_quick(large, large, rules)
    assert not is_quick(large, answer(200, b"y"), rules)
    assert is_quick(json_answer(1), json_answer(2), rules)
    trying = ComparisonRules(unordered=["**"], absolute_tolerance=1)
    one, other = json_answer([1] * 500), json_answer([2] * 500)
    assert is_quick(one, other, rules)
    assert not is_quick(one, other, trying)
    zipped = Answer(200, [(b"content-encoding", b"gzip")], b"x" * 5000, 5000)
    assert not is_quick(zipped, answer(200, b"y"), rules)


@given(answers(), answers(), RULES)
def test_what_is_not_shown_counts_all_the_same(
    one: Answer, other: Answer, rules: ComparisonRules
) -> None:
    """Without values the same shape, count and agreement come out."""
    shown = compare(one, other, rules)
    counted = compare(one, other, rules, is_shown=False)
    assert counted == attrs.evolve(shown, differences=())
