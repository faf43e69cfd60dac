"""A kept request is sent to one version again: as it was, or not at all."""

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import httpcore
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daeploy_lib.compare.answer import answer as answer_of
from daeploy_lib.compare.comparing import compare
from daeploy_lib.compare.rules import ComparisonRules
from daeploy_lib.evidence.examples import Example, example_of
from daeploy_lib.evidence.redaction import Body
from daeploy_lib.evidence.sample import Request, Sample
from daeploy_lib.router.replay import MAX_BODY, Replayed, replay
from daeploy_lib.testing import ScriptedUpstream, Wire, answer
from router_fronts import Echo

ADDRESS = "http://127.0.0.1:9"
BODY = b'{"n": [1, 2.50, "\xc3\xa9"]}'


def example(**changes: Any) -> Example:
    """Return an example of a request."""
    request = Request(
        "POST",
        "/a%2Fb//c;x=%zz",
        "q=%20&q=+&=",
        (
            ("content-type", "application/json"),
            ("x-two", "1"),
            ("x-two", "2"),
            ("x-latin", "\xe9"),
            ("x-empty", ""),
            ("authorization", "Bearer abcdefgh12345678"),
            ("host", "example.org"),
            ("content-length", str(len(BODY))),
            ("via", "1.1 daeploy-1"),
        ),
        BODY,
        len(BODY),
    )
    one, two = answer_of(200, b"1"), answer_of(200, b"2")
    made = example_of(
        Sample(
            "differ",
            1.0,
            comparison=compare(one, two, ComparisonRules()),
            request=request,
            main_answer=one,
            shadow_answer=two,
        )
    )
    assert made is not None
    return attrs.evolve(made, **changes)


async def replayed(
    one: Example, script: Any, path: str = "", **options: Any
) -> Replayed:
    """Replay to a version with a script."""
    async with ScriptedUpstream(script) as version:
        return await asyncio.to_thread(replay, one, version.address + path, **options)


async def test_the_request_is_what_it_was() -> None:
    """Byte for byte: method, path, query, headers in their order, body."""
    echo = Echo(b"hi")
    found = await replayed(example(), echo)
    [request] = echo.requests
    assert request.line == b"POST /a%2Fb//c;x=%zz?q=%20&q=+&= HTTP/1.1"
    names = [name for name, _ in request.headers]
    assert names[:2] == [b"host", b"content-length"]
    assert request.headers[2:] == [
        (b"content-type", b"application/json"),
        (b"x-two", b"1"),
        (b"x-two", b"2"),
        (b"x-latin", b"\xe9"),
        (b"x-empty", b""),
        (b"x-daeploy-role", b"shadow"),
    ]
    assert request.header(b"host")[0].startswith(b"127.0.0.1:")
    assert request.body == BODY
    assert (found.status, found.body, found.is_whole) == (200, b"hi", True)
    assert ("x-version", "hi") in found.headers
    assert found.elapsed_s > 0


async def test_other_methods_are_sent_as_they_are() -> None:
    """Without a body, in the case they came in; HEAD has no answer's body."""
    empty = Body("", 0, "")
    for method, length in (("HEAD", []), ("purge", []), ("PATCH", [b"0"])):
        echo = Echo(b"hi")
        found = await replayed(example(method=method, body=empty), echo, "/base/")
        [request] = echo.requests
        assert request.line.startswith(f"{method} /base/a%2Fb//c".encode())
        assert request.header(b"content-length") == length
        assert found.body == (b"" if method == "HEAD" else b"hi")


async def test_what_is_never_kept_may_be_added() -> None:
    """A header of the caller's replaces kept ones of its name."""
    echo = Echo()
    more = [("Authorization", "Bearer x"), ("X-Two", "3")]
    await replayed(example(), echo, headers=more)
    [request] = echo.requests
    assert request.header(b"authorization") == [b"Bearer x"]
    assert request.header(b"x-two") == [b"3"]
    for name, value in (("content-length", "3"), ("a b", "1"), ("a", "1\r\nb: 2")):
        with pytest.raises(ValueError, match="cannot be sent"):
            replay(example(), ADDRESS, headers=[(name, value)])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"body": Body(None, 5000, "d")}, "the body of 5000 bytes is not kept"),
        ({"body": Body("{}", 9, "d", is_redacted=True)}, "the body is redacted"),
        ({"body": Body("\ud800", 3, "d")}, "is not kept"),
        ({"query": "token=[redacted]"}, "the query is redacted"),
        ({"path": "/" + "a" * 2047}, "the query is cut"),
        ({"path": "a"}, "cannot be sent"),
        ({"path": "/a b"}, "cannot be sent"),
        ({"path": "/a HTTP/1.1\r\nx: y"}, "cannot be sent"),
        ({"path": "/a#b"}, "cannot be sent"),
        ({"path": "/\xe9"}, "no URL may have"),
        ({"path": "/\u20ac"}, "cannot be sent"),
        ({"query": "a\nb"}, "cannot be sent"),
        ({"query": "\0"}, "cannot be sent"),
        ({"method": ""}, "method"),
        ({"method": "GET / HTTP/1.1\r\nx: y\r\n\r\n"}, "method"),
        ({"method": "CONNECT"}, "method"),
    ],
)
def test_what_is_not_known_in_full_is_not_sent(
    changes: Mapping[str, Any], why: str
) -> None:
    """The message says what is missing; nothing was connected to."""
    with pytest.raises(ValueError, match=why):
        replay(example(**changes), ADDRESS)


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1:9", "ftp://h", "http://", "http://h:x", "http://h/a b"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match=r".+"):
        replay(example(), address)


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_is_finite(timeout: float) -> None:
    """A replay waits for nobody for ever."""
    with pytest.raises(ValueError, match="timeout"):
        replay(example(), ADDRESS, timeout=timeout)


async def test_headers_that_cannot_be_sent_are_left_out() -> None:
    """What was kept may be anything; it never becomes another header."""
    echo = Echo()
    hostile = (
        ("x-fine", "1"),
        ("x-break", "1\r\nx-injected: 1"),
        ("x-zero", "a\0b"),
        ("x injected", "1"),
        ("x-injected: 1\r\nx", "1"),
        ("x-wide", "\u20ac"),
        ("x-hidden", "[redacted]"),
        ("content-length", "1000"),
        ("Transfer-Encoding", "chunked"),
        ("host", "elsewhere"),
        ("x-daeploy-role", "main"),
    )
    await replayed(example(headers=hostile), echo)
    [request] = echo.requests
    names = [name for name, _ in request.headers]
    assert names == [b"host", b"content-length", b"x-fine", b"x-daeploy-role"]
    assert request.body == BODY


async def test_an_answer_is_bounded() -> None:
    """Of a long one a mebibyte is read, also of one without end."""

    async def endless(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                await wire.send(b"x" * 65536)

    found = await replayed(example(), endless)
    assert (len(found.body), found.is_whole) == (MAX_BODY, False)


async def test_a_redirect_is_an_answer() -> None:
    """It may lead anywhere, and is not followed."""

    async def elsewhere(wire: Wire) -> None:
        await wire.request()
        location = (b"location", b"http://127.0.0.1:1/")
        await wire.send(answer(b"", status=b"302 Found", headers=[location]))

    assert (await replayed(example(), elsewhere)).status == 302


async def _hang(wire: Wire) -> None:
    await wire.until_closed()


async def _trickle(wire: Wire) -> None:
    await wire.request()
    await wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            await wire.send(b"x", pause=0.01)


async def _reset(wire: Wire) -> None:
    await wire.request()
    wire.reset()


async def _garbage(wire: Wire) -> None:
    await wire.request()
    await wire.send(b"\x00\xff" * 100)
    wire.close()


async def _short(wire: Wire) -> None:
    await wire.request()
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    wire.close()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (_hang, TimeoutError),
        (_trickle, TimeoutError),
        (_reset, ConnectionError),
        (_garbage, ConnectionError),
        (_short, ConnectionError),
    ],
)
async def test_a_version_that_does_not_answer(
    script: Any, error: type[Exception]
) -> None:
    """Late, or not at all: two errors that need no library to be caught."""
    with pytest.raises(error, match=r"127\.0\.0\.1:\d+"):
        await replayed(example(), script, timeout=0.3)


def test_a_version_that_is_not_there() -> None:
    """Nobody listens on a port that was just free."""
    with pytest.raises(ConnectionError, match="gave no answer"):
        replay(example(), ADDRESS, timeout=5.0)


def _errors(of: type[Exception]) -> Iterator[type[Exception]]:
    yield of
    for below in of.__subclasses__():
        yield from _errors(below)


@pytest.mark.parametrize("kind", [*_errors(httpx.RequestError), httpx.StreamClosed])
def test_no_error_of_httpx_escapes(kind: type[Exception]) -> None:
    """Each is one of two."""

    def fail(request: httpx.Request) -> httpx.Response:
        del request
        raise kind("oh") if kind is not httpx.StreamClosed else httpx.StreamClosed

    expected = ConnectionError
    if issubclass(kind, httpx.TimeoutException):
        expected = TimeoutError  # type: ignore[assignment]
    with pytest.raises(expected):
        replay(example(), ADDRESS, transport=httpx.MockTransport(fail))


def test_a_transport_gets_the_same_request() -> None:
    """It is not closed, and an answer that is there at once will do."""
    seen = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.extensions["target"], request.read()))
        return httpx.Response(201, json={"a": 1}, headers=[("x-a", "1"), ("x-a", "2")])

    transport = httpx.MockTransport(handle)
    found = replay(example(), "https://model.example/v1", transport=transport)
    assert (found.status, json.loads(found.body)) == (201, {"a": 1})
    assert [value for name, value in found.headers if name == "x-a"] == ["1", "2"]
    assert seen == [("POST", b"/v1/a%2Fb//c;x=%zz?q=%20&q=+&=", BODY)]


TEXTS = (
    st.text("ab%/", max_size=12)
    | st.text(max_size=12)
    | st.text("ab/%?#: \t\r\n\0@\\'\"$`é", max_size=12)
)


class Tape(httpcore.NetworkBackend, httpcore.NetworkStream):
    """A network that keeps what it gets, and answers all with 204."""

    def __init__(self) -> None:
        self.sent = bytearray()

    def connect_tcp(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """Connect to the tape."""
        return self

    def read(self, *_: Any, **__: Any) -> bytes:
        """Return an answer."""
        return b"HTTP/1.1 204 No Content\r\n\r\n"

    def write(self, buffer: bytes, *_: Any, **__: Any) -> None:
        """Keep it."""
        self.sent += buffer

    def close(self) -> None:
        """Do nothing."""

    def get_extra_info(self, *_: Any, **__: Any) -> Any:
        """Know nothing."""


@settings(max_examples=200)
@given(
    method=st.sampled_from(["GET", "POST", "x"]) | TEXTS,
    path=TEXTS.map(lambda text: f"/{text}"),
    query=TEXTS,
    headers=st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(tuple),
    body=TEXTS,
)
def test_whatever_was_kept_one_request_is_sent_or_none(
    method: str,
    path: str,
    query: str,
    headers: tuple[tuple[str, str], ...],
    body: str,
) -> None:
    """The bytes on the wire are one request with the headers that were kept."""
    network = httpx.HTTPTransport(verify=False)
    wire = Tape()
    network._pool._network_backend = wire
    one = example(
        method=method, path=path, query=query, headers=headers, body=Body(body, 0, "")
    )
    try:
        with network:
            replay(one, "http://h", transport=network)
    except ValueError:
        assert not wire.sent
        return
    head, _, content = bytes(wire.sent).partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    assert len(line.split(b" ")) == 3
    assert content == body.encode()
    names = {line.partition(b":")[0].lower() for line in lines}
    ours = {b"host", b"content-length", b"x-daeploy-role"}
    assert names - ours <= {name.lower().encode() for name, _ in headers}
