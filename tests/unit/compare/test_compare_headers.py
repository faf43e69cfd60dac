"""Status and headers."""

from typing import Any

import pytest

from answers import found
from daeploy_lib import ComparisonRules
from daeploy_lib.compare import Answer, Kind, answer, compare

Pairs = list[tuple[bytes, bytes]]


def headers(main: Pairs, shadow: Pairs, rules: ComparisonRules) -> list[str]:
    """Compare answers that differ in their headers."""
    return found(compare(Answer(200, main, b"", 0), Answer(200, shadow, b"", 0), rules))


DEFAULT = ComparisonRules()
EVERY = ComparisonRules(headers=["*"])


@pytest.mark.parametrize(
    ("main", "shadow", "rules", "expected"),
    [
        ([(b"date", b"1"), (b"x-a", b"1")], [(b"date", b"2")], DEFAULT, []),
        (
            [(b"content-type", b"text/html")],
            [(b"content-type", b"text/plain")],
            DEFAULT,
            ['header:content-type header: "text/html" -> "text/plain"'],
        ),
        (
            [(b"content-type", b"Text/HTML;Charset=UTF-8; a=b")],
            [(b"content-type", b'text/html; a="b"; charset="utf-8"')],
            DEFAULT,
            [],
        ),
        (
            [(b"content-type", b"text/html; a=B")],
            [(b"content-type", b"text/html; a=b")],
            DEFAULT,
            ['header:content-type header: "text/html; a=B" -> "text/html; a=b"'],
        ),
        (
            [(b"location", b"/a")],
            [],
            DEFAULT,
            ['header:location header: "/a" -> (nothing)'],
        ),
        (
            [],
            [(b"location", b"")],
            DEFAULT,
            ['header:location header: (nothing) -> ""'],
        ),
        ([(b"x-a", b" 1\t")], [(b"x-a", b"1")], EVERY, []),
        ([(b"x-a", b"1"), (b"x-b", b"2")], [(b"x-b", b"2"), (b"x-a", b"1")], EVERY, []),
        (
            [(b"x-a", b"1"), (b"x-a", b"2")],
            [(b"x-a", b"2"), (b"x-a", b"1")],
            EVERY,
            ['header:x-a header: "1, 2" -> "2, 1"'],
        ),
        (
            [(b"date", b"1"), (b"etag", b"1"), (b"set-cookie", b"1")],
            [(b"date", b"2"), (b"x-request-id", b"2")],
            EVERY,
            [],
        ),
        (
            [(b"etag", b"1"), (b"x-a", b"1")],
            [(b"etag", b"2"), (b"x-a", b"2")],
            ComparisonRules(headers=["*", "!X-A", "ETag"]),
            ['header:etag header: "1" -> "2"'],
        ),
        (
            [(b"x-a", b"\xff\x00")],
            [(b"x-a", b"")],
            EVERY,
            ['header:x-a header: "\u00ff\\u0000" -> ""'],
        ),
    ],
)
def test_headers(
    main: Pairs, shadow: Pairs, rules: ComparisonRules, expected: list[str]
) -> None:
    """Selected ones, all their lines in order, whatever the order of names."""
    assert headers(main, shadow, rules) == expected
    assert len(headers(shadow, main, rules)) == len(expected)


def test_a_status_that_differs_is_all_that_is_said() -> None:
    """Bodies and headers of different statuses have little in common."""
    one = answer(200, b'{"a": 1}', content_type="application/json")
    other = answer(404, b"not found", content_type="text/plain")
    comparison = compare(one, other, DEFAULT)
    assert found(comparison) == ["status status: 200 -> 404"]
    assert str(comparison.shape) == "status status"


def test_equal_statuses_leave_the_body() -> None:
    """It is compared."""
    rules = ComparisonRules(equal_statuses=[(200, 201)])
    one = answer(200, b"1", content_type="application/json")
    assert compare(one, one._replace(status=201), rules).is_match
    other = answer(201, b"2", content_type="application/json")
    assert [d.kind for d in compare(one, other, rules).differences] == [Kind.value]


@pytest.mark.parametrize(
    "content_type",
    [
        *(b"", b";", b";;=", b"a" * 100_000, b"application/json;" * 10_000),
        *(b'text/html; a="', b'a/b; c="\\', b"text/html; charset=" + b"x" * 9000),
        b"\xff/\xfe",
    ],
)
def test_odd_content_types(content_type: bytes) -> None:
    """They are read as far as they can be."""
    headers: Any = [(b"content-type", content_type)]
    one, other = Answer(200, headers, b"a", 1), Answer(200, headers, b"b", 1)
    assert len(compare(one, other, DEFAULT).differences) == 1
