"""What requests and answers may look like before anything is relayed."""

import pytest

from daeploy_lib.router.framing import (
    Header,
    check_answer,
    check_method,
    check_query,
    check_request,
)
from daeploy_lib.router.refusal import Refusal

HOST: Header = (b"host", b"h")
LIMIT = 10_000


def refused(headers: list[Header], http_version: str = "1.1") -> int:
    """Return the status that a request is refused with."""
    with pytest.raises(Refusal) as caught:
        check_request(headers, http_version=http_version, limit=LIMIT)
    return caught.value.status


def test_a_length_is_believed() -> None:
    """One number, or the same one repeated, is a length."""
    length = (b"content-length", b"5")
    framing = check_request([HOST, length, length], http_version="1.1", limit=LIMIT)
    assert (framing.length, framing.is_chunked, framing.has_body) == (5, False, True)


def test_no_framing_is_no_body() -> None:
    """Without a length and a coding, HTTP/1 has no body."""
    framing = check_request([HOST], http_version="1.1", limit=LIMIT)
    assert (framing.length, framing.has_body) == (None, False)
    empty = [HOST, (b"content-length", b"0")]
    framing = check_request(empty, http_version="1.1", limit=LIMIT)
    assert (framing.length, framing.has_body) == (0, False)


def test_a_chunked_body_is_one() -> None:
    """Case and surrounding blanks of the coding do not matter."""
    coding = (b"transfer-encoding", b" Chunked ")
    framing = check_request([HOST, coding], http_version="1.1", limit=LIMIT)
    assert (framing.length, framing.is_chunked, framing.has_body) == (None, True, True)


def test_http_2_may_have_a_body_without_saying_so() -> None:
    """Then it goes on in chunks; a length stays a length."""
    assert check_request([HOST], http_version="2", limit=LIMIT).is_chunked
    length = [HOST, (b"content-length", b"5")]
    assert not check_request(length, http_version="2", limit=LIMIT).is_chunked


@pytest.mark.parametrize("value", [b"", b"+5", b"-5", b"0x5", b"5, 5", b"5 5", b"\xb2"])
def test_a_length_that_is_no_number_is_refused(value: bytes) -> None:
    """Signs, other bases, lists and other digits are 400 (hazard 3)."""
    assert refused([HOST, (b"content-length", value)]) == 400


def test_two_lengths_are_refused() -> None:
    """Unequal ones cannot both be right."""
    lengths = [(b"content-length", b"5"), (b"content-length", b"6")]
    assert refused([HOST, *lengths]) == 400


def test_a_length_beside_a_coding_is_refused() -> None:
    """The classic of request smuggling is 400, and the connection ends."""
    headers = [HOST, (b"content-length", b"5"), (b"transfer-encoding", b"chunked")]
    with pytest.raises(Refusal) as caught:
        check_request(headers, http_version="1.1", limit=LIMIT)
    assert (caught.value.status, caught.value.is_final) == (400, True)


@pytest.mark.parametrize(
    "values",
    [[b"gzip, chunked"], [b"chunked", b"chunked"], [b"xchunked"], [b""], [b"identity"]],
)
def test_other_codings_are_refused(values: list[bytes]) -> None:
    """Exactly one 'chunked' is understood (hazard 4)."""
    assert refused([HOST, *((b"transfer-encoding", value) for value in values)]) == 501


def test_a_coding_in_http_1_0_is_refused() -> None:
    """HTTP/1.0 knows no codings (hazard 5)."""
    assert refused([HOST, (b"transfer-encoding", b"chunked")], "1.0") == 400


@pytest.mark.parametrize(
    "hosts", [[], [b"a", b"a"], [b"a b"], [b"a/b"], [b"u@h"], [b""]]
)
def test_one_well_formed_host_is_needed(hosts: list[bytes]) -> None:
    """None, two or a strange one is 400 (hazard 10)."""
    assert refused([(b"host", host) for host in hosts]) == 400


@pytest.mark.parametrize("host", [b"h", b"h.example:8000", b"127.0.0.1", b"[::1]:80"])
def test_hosts_go_on_as_they_are(host: bytes) -> None:
    """Names, addresses and ports are fine."""
    framing = check_request([(b"host", host)], http_version="1.1", limit=LIMIT)
    assert framing.host == host


@pytest.mark.parametrize("name", [b"", b"a b", b"a:b", b"a\r\nb", b"\xe9"])
def test_names_are_tokens(name: bytes) -> None:
    """Anything else is 400 (hazard 7)."""
    assert refused([HOST, (name, b"v")]) == 400


@pytest.mark.parametrize("value", [b"a\rb", b"a\nb", b"a\0b", b"a\x7fb", b"a\r\n b"])
def test_values_have_no_controls(value: bytes) -> None:
    """Neither controls nor folded lines pass (hazards 7 and 8)."""
    assert refused([HOST, (b"x-a", value)]) == 400


def test_tabs_and_bytes_beyond_ascii_are_values() -> None:
    """What the grammar allows goes on."""
    headers = [HOST, (b"x-a", b"a\tb\xe9")]
    assert check_request(headers, http_version="1.1", limit=LIMIT).host == b"h"


def test_headers_have_a_size_and_a_number() -> None:
    """Too many bytes or lines are 431 (hazard 21)."""
    assert refused([HOST, (b"x-a", b"x" * LIMIT)]) == 431
    assert refused([HOST, *[(b"a", b"")] * 1001]) == 431


def test_targets_have_a_size() -> None:
    """A longer target is 414; a query with blanks or fragments is 400."""
    check_query(b"a=%zz&b=+;c", 10, 100)
    with pytest.raises(Refusal, match="414"):
        check_query(b"x" * 91, 10, 100)
    for query in (b"a b", b"a#b", b"a\nb"):
        with pytest.raises(Refusal, match="400"):
            check_query(query, 10, 100)


def test_methods_are_tokens() -> None:
    """CONNECT and TRACE are 405, what is no token is 400, the rest passes."""
    assert check_method("PROPFIND") == b"PROPFIND"
    assert check_method("get") == b"get"
    for method, status in (("CONNECT", 405), ("TRACE", 405), ("A B", 400), ("é", 400)):
        with pytest.raises(Refusal) as caught:
            check_method(method)
        assert caught.value.status == status


@pytest.mark.parametrize(
    ("status", "method", "headers", "expected"),
    [
        (200, b"GET", [(b"content-length", b"5")], (True, False, True)),
        (200, b"GET", [(b"transfer-encoding", b"chunked")], (True, False, True)),
        (200, b"GET", [], (True, True, False)),
        (200, b"HEAD", [], (False, False, True)),
        (204, b"GET", [], (False, False, True)),
        (304, b"GET", [(b"content-length", b"5")], (False, False, True)),
        (
            200,
            b"HEAD",
            [(b"connection", b"x"), (b"connection", b"y, Close")],
            (False, False, False),
        ),
    ],
)
def test_how_answers_end(
    status: int, method: bytes, headers: list[Header], expected: tuple[bool, ...]
) -> None:
    """Body, end by the end of the connection, and reuse follow RFC 9112, 6.3."""
    framing = check_answer(status, headers, method=method, http_version="1.1")
    assert (framing.has_body, framing.until_close, framing.keeps_alive) == expected


def test_http_1_0_answers_end_their_connection() -> None:
    """Unless they say otherwise."""
    length = (b"content-length", b"5")
    plain = check_answer(200, [length], method=b"GET", http_version="1.0")
    assert not plain.keeps_alive
    kept = [length, (b"connection", b"Keep-Alive")]
    assert check_answer(200, kept, method=b"GET", http_version="1.0").keeps_alive


def test_how_long_a_version_keeps_a_connection() -> None:
    """A number in Keep-Alive is taken, anything else is not."""
    for value, seconds in ((b"timeout=5, max=9", 5), (b"max=9", None)):
        headers = [(b"keep-alive", value)]
        framing = check_answer(204, headers, method=b"GET", http_version="1.1")
        assert framing.idle_seconds == seconds


@pytest.mark.parametrize(
    ("status", "headers", "http_version"),
    [
        (199, [], "1.1"),
        (600, [], "1.1"),
        (200, [], "2.0"),
        (200, [(b"transfer-encoding", b"gzip")], "1.1"),
        (200, [(b"transfer-encoding", b"chunked")], "1.0"),
        (200, [(b"x-a", b"a\x01b")], "1.1"),
        (200, [(b"x-a", b"")] * 1001, "1.1"),
    ],
)
def test_answers_that_are_not_relayed(
    status: int, headers: list[Header], http_version: str
) -> None:
    """They are errors of the version, and become 502 (hazard 31)."""
    with pytest.raises(ValueError, match=r".+"):
        check_answer(status, headers, method=b"GET", http_version=http_version)
