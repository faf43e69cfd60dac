"""What is never shown."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers import JSON, compare_values, found, json_answer
from daeploy_lib import ComparisonRules
from daeploy_lib.compare import Answer, answer, compare
from daeploy_lib.compare.showing import MAX_SHOWN

SECRET = "hunter2-secret"


@pytest.mark.parametrize(
    ("main", "shadow"),
    [
        ({"password": SECRET}, {"password": "x"}),
        ({"user": {"Access-Token": SECRET}}, {"user": {"Access-Token": None}}),
        ({"user": {"api_key": [SECRET]}}, {}),
        ({"user": {"api_key": [SECRET]}}, {"user": None}),
        ({}, {"session": [{"jwt": {"a": SECRET}}]}),
        ({"token": f"{SECRET}abc"}, {"token": f"{SECRET}def"}),
        ({"a": {"Token": f"{SECRET}abc"}}, {}),
        ({"client_secret": {"value": SECRET}}, {"client_secret": {"value": 1}}),
        ([{"email": SECRET}], [{"email": "x"}]),
        ([{"email": {"a": SECRET}}], [{}]),
        ([{"email": {"a": SECRET}}], {}),
        ({"deep": [[[{"email": SECRET}]]]}, {"deep": 1}),
        ({"list": [0, SECRET]}, {"list": [0]}),
        ({"list": [0, SECRET]}, {"list": 0}),
    ],
)
def test_secrets_by_name_and_path(main: Any, shadow: Any) -> None:
    """Whatever is different, and on whichever side; that they differ is told."""
    rules = ComparisonRules(redacted=["**.email", "$.list[1]"])
    for one, other in ((main, shadow), (shadow, main)):
        comparison = compare_values(one, other, rules)
        assert comparison.differences
        assert SECRET not in repr(comparison)
        fields = compare(json_answer(one), json_answer(one), rules, max_fields=50)
        assert SECRET not in repr(fields)


def test_a_redacted_value_is_named_so() -> None:
    """In place of the value, or inside of it."""
    rules = ComparisonRules(redacted=["user.mail"])
    one, other = {"user": {"mail": "a", "n": 1}}, {"user": {"mail": "b", "n": 1}}
    assert found(compare_values(one, other, rules)) == [
        "$.user.mail value: [redacted] -> [redacted]"
    ]
    assert found(compare_values(one, {}, rules)) == [
        '$.user missing: {"mail": "[redacted]", "n": 1} -> (nothing)'
    ]
    assert compare_values(one, one, rules).is_match


def test_headers_with_secrets() -> None:
    """They are compared if they are selected, and not shown."""
    rules = ComparisonRules(headers=["set-cookie", "Authorization", "x-access-token"])
    names = (b"set-cookie", b"authorization", b"x-access-token")
    one = Answer(200, [(name, SECRET.encode()) for name in names], b"", 0)
    comparison = compare(one, Answer(200, [], b"", 0), rules)
    assert [d.main for d in comparison.differences] == ["[redacted]"] * 3
    assert [d.shadow for d in comparison.differences] == [None] * 3


@pytest.mark.parametrize("content_type", [JSON, "application/jsonl"])
def test_json_that_cannot_be_read_is_not_shown(content_type: str) -> None:
    """No path leads to the secrets in it."""
    text = json.dumps({"password": SECRET}).encode()
    one = answer(200, text[:-1], content_type=content_type)
    for body in (text[:-2], text, b"x", b""):
        other = answer(200, body, content_type=content_type)
        comparison = compare(one, other, ComparisonRules())
        assert comparison.differences
        assert SECRET not in repr(comparison)


@given(
    st.integers(0, 300),
    st.integers(0, 300),
    st.sampled_from(["x", "ab", "\u00e9", "\\", '"']),
)
def test_the_callers_secrets_are_nowhere(before: int, after: int, filler: str) -> None:
    """Wherever they stand, also where a text is cut."""
    secrets = ("s3cret-token", "s3cret", "tok")
    text = f"{filler * before}{secrets[0]}{filler * after}"
    for one, other in ((text, text[::-1]), (text, ""), (text + "1", text + "2")):
        for body in (one, json.dumps(one), json.dumps({one: one}), f"data: {one}\n\n"):
            for kind in ("text/plain", JSON, "text/event-stream"):
                comparison = compare(
                    answer(200, body.encode(), content_type=kind),
                    answer(200, other.encode(), content_type=kind),
                    ComparisonRules(headers=["*"]),
                    secrets=secrets,
                    max_fields=10,
                )
                shown = repr(comparison)
                assert "s3cr" not in shown
                assert "oken" not in shown
    headers = [(b"x-echo", text.encode()), (secrets[0].encode(), b"1")]
    comparison = compare(
        Answer(200, headers, b"", 0),
        Answer(200, [], b"", 0),
        ComparisonRules(headers=["*"]),
        secrets=secrets,
    )
    assert comparison.count == 2
    assert "s3cr" not in repr(comparison)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**6,
        ["x" * 10**6] * 10,
        [0] * 10**5,
        {f"name{n}": n for n in range(10**4)},
        {"n" * 10**5: {"n" * 10**5: 1}},
        10**4000,
        "\ud800" * 500,
        [[[[[[[[[[1]]]]]]]]]],
        "\u0000" * 1000,
    ],
)
def test_what_is_shown_is_bounded(value: Any) -> None:
    """And can be encoded."""
    [difference] = compare_values({"a": value}, {}).differences
    assert len(str(difference.main)) <= 6 * MAX_SHOWN + 3
    repr(difference).encode()
    str(difference).encode()
