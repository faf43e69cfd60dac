"""Bodies: what they are, their codings, and those that were not kept whole."""

import gzip
import hashlib
import json
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers import JSON, found
from daeploy_lib import ComparisonRules
from daeploy_lib.compare import (
    Agreement,
    Answer,
    Comparison,
    Kind,
    Reason,
    answer,
    compare,
)

RULES = ComparisonRules(headers=[])
TEXT = "text/plain; charset=utf-8"


def bodies(
    main: bytes, shadow: bytes, content_type: str, other_type: str | None = None
) -> Comparison:
    """Compare two bodies of one type, or of two."""
    other_type = content_type if other_type is None else other_type
    one = answer(200, main, content_type=content_type)
    return compare(one, answer(200, shadow, content_type=other_type), RULES)


def encoded(body: bytes, coding: bytes, content_type: str = JSON) -> Answer:
    """Return an answer with a body in a coding."""
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-encoding", coding),
    ]
    return Answer(200, headers, body, len(body))


def raw_deflate(content: bytes) -> bytes:
    """Return deflate without zlib's header."""
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(content) + deflater.flush()


def test_text_is_compared_to_the_character() -> None:
    """Shown from shortly before the first difference."""
    [difference] = bodies(b"hello", b"hello ", TEXT).differences
    assert str(difference) == '$ value: "hello" -> "hello "'
    long, other = b"x" * 1000 + b"a" * 500, b"x" * 1000 + b"b" * 500
    [difference] = bodies(long, other, TEXT).differences
    assert difference.main == f'…"{"x" * 30}{"a" * 170}"…'
    assert difference.shadow == f'…"{"x" * 30}{"b" * 170}"…'


def test_text_is_decoded() -> None:
    """By its charset; what cannot be is bytes."""
    latin = "text/plain; charset=ISO-8859-1"
    assert bodies("é".encode(), b"\xe9", TEXT, latin).is_match
    assert bodies(b"\xe9", b"\xe9 ", TEXT).differences[0].kind is Kind.length
    unknown = bodies(b"a", b"b", "text/plain; charset=no-such")
    assert "digest" in str(unknown.differences[0].main)


@pytest.mark.parametrize(
    "charset", ["idna", "rot13", "hex", "unicode_escape", "utf-7", "punycode", "mbcs"]
)
def test_odd_charsets_are_bytes(charset: str) -> None:
    """Codecs that are slow, or none of text, are not asked."""
    kind = f"text/plain; charset={charset}"
    assert "digest" in str(bodies(b"a", b"b", kind).differences[0].main)


def test_bytes_are_not_shown() -> None:
    """Length and digest are."""
    [difference] = bodies(b"\x89PNG1", b"\x89PNG2", "image/png").differences
    assert difference.kind is Kind.value
    digest = hashlib.blake2s(b"\x89PNG1", digest_size=6).hexdigest()
    assert difference.main == f"image/png, 5 bytes, digest {digest}"
    assert bodies(b"a", b"ab", "image/png").differences[0].kind is Kind.length


def test_an_empty_body_is_missing_or_extra() -> None:
    """Whatever its type."""
    assert bodies(b"{}", b"", JSON).differences[0].kind is Kind.missing
    assert bodies(b"", b"a", TEXT).differences[0].kind is Kind.extra
    assert bodies(b"", b"", JSON).is_match


@pytest.mark.parametrize(
    ("main", "shadow", "types", "kind"),
    [
        (b'{"a": 1}', b"<html>", (JSON, JSON), Kind.type),
        (b'{"a": 1}', b"<html>", (JSON, "text/html"), Kind.type),
        (b"<html>1", b'{"a": 1}', (JSON, "text/html"), Kind.type),
        (b"<html>1", b"<html>2", (JSON, JSON), Kind.value),
        (b"\xff1", b"\xff23", (JSON, JSON), Kind.length),
        (b'{"a": 1}', b'{"a": 2}', (JSON, "text/plain"), Kind.value),
        (b'{"a": 1}', b'{"a": 2', (JSON, JSON), Kind.type),
        (b'{"a":\xff}', b"{}", (JSON, JSON), Kind.type),
        (
            b"data: 1\n\n",
            b"data: 2\n\n",
            ("text/event-stream", "text/plain"),
            Kind.value,
        ),
        (b"{}\n{}", b"{}\n{", ("application/jsonl", "application/jsonl"), Kind.type),
        (b"{}", b"1", ("application/problem+json", JSON), Kind.type),
        (b"a", b"b", ("", ""), Kind.value),
    ],
)
def test_types_that_lie(
    main: bytes, shadow: bytes, types: tuple[str, str], kind: Kind
) -> None:
    """Never an error: a body is what it turns out to be."""
    comparison = bodies(main, shadow, *types)
    assert [difference.kind for difference in comparison.differences] == [kind]
    back = compare(
        answer(200, shadow, content_type=types[1]),
        answer(200, main, content_type=types[0]),
        RULES,
    )
    assert back.count == 1


def test_json_that_says_it_is_text() -> None:
    """It is text if both say so, and JSON if one of them says JSON."""
    one, other = b'{"a": 1, "b": 2}', b'{"b": 2, "a": 1}'
    assert not bodies(one, other, TEXT).is_match
    assert bodies(one, other, TEXT, JSON).is_match
    assert bodies(one, other, "").is_match


def test_json_lines() -> None:
    """A list of the values of the lines."""
    kind = "application/x-ndjson"
    one, other = b'{"a": 1}\n{"b": 1}\n', b'{"a":1}\r\n\r\n{"b":2}'
    assert found(bodies(one, other, kind)) == ["$[1].b value: 1 -> 2"]
    assert found(bodies(one, one + b"1", kind)) == ["$ length: 2 -> 3"]


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        (b"gzip", gzip.compress),
        (b"X-GZip", gzip.compress),
        (b"deflate", zlib.compress),
        (b"deflate", raw_deflate),
        (b"gzip, gzip", lambda c: gzip.compress(gzip.compress(c), mtime=0)),
        (
            b"deflate, identity, gzip",
            lambda c: gzip.compress(zlib.compress(c), mtime=0),
        ),
        (
            b"gzip",
            lambda c: gzip.compress(c[:3], mtime=0) + gzip.compress(c[3:], mtime=0),
        ),
        (b"identity", bytes),
        (b"", bytes),
    ],
)
def test_codings_are_undone(coding: bytes, encode: object) -> None:
    """Content is compared, not how it travels."""
    assert callable(encode)
    content = json.dumps({"a": 1, "b": [1, 2, 3]}).encode()
    one = answer(200, content, content_type=JSON)
    assert compare(one, encoded(encode(content), coding), RULES).is_match
    other = encoded(encode(content.replace(b"3", b"4")), coding)
    assert found(compare(one, other, RULES)) == ["$.b[2] value: 3 -> 4"]


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (b"not gzip", b"gzip"),
        (gzip.compress(b"{}", mtime=0)[:-3], b"gzip"),
        (gzip.compress(b"{}", mtime=0) + b"junk", b"gzip"),
        (b"", b"gzip"),
        (b"\x1f\x8b", b"deflate"),
        (b"br", b"br"),
        (b"zstd", b"gzip, zstd"),
        (b"x", b"no such, \xff"),
        (gzip.compress(b"{}", mtime=0) * 20, b"gzip"),
        (gzip.compress(b"{}", mtime=0), b"gzip, gzip, gzip, gzip"),
    ],
)
def test_what_cannot_be_decoded_is_bytes(body: bytes, coding: bytes) -> None:
    """The coding is named; the same bytes are the same."""
    one, other = encoded(body, coding), encoded(body + b"x", coding)
    assert compare(one, encoded(body, coding), RULES).is_match
    comparison = compare(one, other, RULES)
    assert comparison.differences[0].kind in (Kind.length, Kind.extra)
    assert str(comparison.differences[0].shadow).startswith("not decoded from ")


def test_the_same_bytes_in_another_coding_are_not_the_same() -> None:
    """They do not mean the same."""
    body = gzip.compress(b"{}", mtime=0)
    plain = answer(200, body, content_type=JSON)
    assert not compare(plain, encoded(body, b"gzip"), RULES).is_match
    assert not compare(encoded(body, b"br"), encoded(body, b"zstd"), RULES).is_match


@pytest.mark.parametrize("layers", [1, 2])
def test_compression_bombs(layers: int) -> None:
    """What comes out is bounded while it comes out."""
    bomb, coding = bytes(50_000_000), b"gzip"
    for _ in range(layers):
        bomb = gzip.compress(bomb, mtime=0)
    one = encoded(bomb, b", ".join([coding] * layers))
    other = encoded(bomb + b"x", b", ".join([coding] * layers))
    tracemalloc.start()
    comparison = compare(one, other, ComparisonRules(max_decoded_bytes=100_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert comparison.reason is Reason.decoded_too_large
    assert peak < 2_000_000


def test_as_much_as_allowed_may_come_out() -> None:
    """And not one byte more."""
    content = b'"' + b"a" * 98 + b'"'
    one = encoded(gzip.compress(content, mtime=0), b"gzip")
    other = answer(200, content.replace(b"aa", b"ab"), content_type=JSON)
    enough = ComparisonRules(max_decoded_bytes=100)
    assert compare(one, other, enough).agreement is Agreement.differ
    little = ComparisonRules(max_decoded_bytes=99)
    assert compare(one, other, little).reason is Reason.decoded_too_large


def cut(content: bytes, kept: int, *, is_whole: bool = True) -> Answer:
    """Return an answer of which only the first bytes were kept."""
    digest = hashlib.sha256(content).digest()
    headers = [(b"content-type", JSON.encode())]
    return Answer(200, headers, content[:kept], len(content), digest, is_whole)


def test_long_bodies_are_equal_to_the_byte() -> None:
    """By length and digest, however much of each was kept."""
    content = b"[" + b"1, " * 5000 + b"1]"
    assert compare(cut(content, 10), cut(content, 10), RULES).is_match
    assert compare(cut(content, 10), cut(content, 99), RULES).is_match
    whole = answer(200, content, content_type=JSON)
    assert compare(cut(content, 10), whole, RULES).reason is Reason.no_digest
    assert compare(cut(content, 10), cut(content, len(content)), RULES).is_match
    other = content[:-2] + b"2]"
    comparison = compare(cut(content, 10), cut(other, 10), RULES)
    assert [d.kind for d in comparison.differences] == [Kind.value]
    comparison = compare(cut(content, 10), cut(content + b" ", 10), RULES)
    assert found(comparison) == ["$ length: 15003 bytes -> 15004 bytes"]


def test_a_missing_digest_is_no_equality() -> None:
    """It can only be said of bodies whose lengths differ."""
    bare = cut(b"x" * 100, 10)._replace(digest=b"")
    assert compare(bare, bare, RULES).reason is Reason.no_digest
    longer = cut(b"x" * 101, 10)._replace(digest=b"")
    assert compare(bare, longer, RULES).agreement is Agreement.differ


def test_answers_that_did_not_end() -> None:
    """They differ if one is longer already, else nothing can be said."""
    short = answer(200, b"[1]", content_type=JSON)
    endless = cut(b"[1, 2, 3", 8, is_whole=False)
    broken = cut(b"[1", 2, is_whole=False)
    assert found(compare(short, endless, RULES)) == [
        "$ length: 3 bytes -> 8 bytes or more"
    ]
    assert found(compare(endless, short, RULES)) == [
        "$ length: 8 bytes or more -> 3 bytes"
    ]
    assert compare(short, broken, RULES).reason is Reason.not_whole
    assert compare(broken, broken, RULES).reason is Reason.not_whole
    other = broken._replace(status=500)
    assert compare(broken, other, RULES).agreement is Agreement.differ


def test_a_body_may_be_ignored() -> None:
    """All of it, whatever it is."""
    rules = ComparisonRules(ignored=["$"])
    one, other = cut(b"x" * 99, 9), answer(200, b"[", content_type=JSON)
    assert compare(one, other, rules).is_match
    assert not compare(one, other._replace(status=201), rules).is_match


@given(st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 60))
def test_any_cut_gives_the_verdict_of_the_bytes(
    one: bytes, other: bytes, kept: int
) -> None:
    """Where something was cut off on both sides."""
    comparison = compare(
        cut(one + b"x" * 61, kept), cut(other + b"x" * 61, kept), RULES
    )
    assert comparison.is_match is (one == other) or one + b"x" * 61 == other + b"x" * 61
