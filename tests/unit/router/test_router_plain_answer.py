"""The short way for plain answers gives what the parser gives, or nothing."""

import socket
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daeploy_lib.router import connection as connecting
from daeploy_lib.router.connection import Connection
from daeploy_lib.router.framing import Header
from daeploy_lib.router.headers import for_client
from daeploy_lib.router.plain_answer import plain_answer
from daeploy_lib.router.seen import Seen
from daeploy_lib.router.upstream import Call

FIRST_LINES = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 404 Not Found"),
        *(b"HTTP/1.1 200", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 No Content"),
        *(b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 100 Continue", b"HTTP/1.1 600 x"),
        *(b"HTTP/1.1 200 \x00", b"HTTP/2.0 200 OK", b"http/1.1 200 OK", b""),
        *(b"HTTP/1.1  200 OK", b"HTTP/1.1 200 \xe4", b"HTTP/1.1 200 a\tb"),
    ]
)
LINES = st.sampled_from(
    [
        *(b"content-length: 2", b"Content-Length: 2", b"content-length: 02"),
        *(b"content-length: 0", b"content-length:2", b"content-length:  2"),
        *(b"content-length: 2 ", b"content-length: +2", b"content-length: 2, 2"),
        *(b"connection: keep-alive", b"Connection: Keep-Alive", b"connection: close"),
        *(b"connection: x-own", b"keep-alive: timeout=5", b"upgrade: h2c"),
        *(b"transfer-encoding: chunked", b"Transfer-Encoding: gzip", b"trailer: a"),
        *(b"x-own: 1", b"X-Own: \xff", b"x-own:", b"x-own: ", b"x own: 1", b": 1"),
        *(b"x-own: a\x00b", b"x-own: a\rb", b"x-own: a\nb", b"x-own: \ta", b" folded"),
        *(b"x-own: content-length: 2", b"alt-svc: h3", b"x: " + b"y" * 300, b"no"),
        *(b"set-cookie: a=1", b"set-cookie: b=2", b"x-own: a b", b"server: x"),
    ]
)
KEEP_ALIVE = b"connection: keep-alive"
USUAL = (b"content-length: 2", b"server: x")
BODIES = st.sampled_from(
    [b"hi", b"", b"h", b"hi!", b"hiHTTP/1.1 200 OK\r\n\r\n", b"\n"]
)


class Transport:
    """Stands for an open socket; nothing is sent."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.is_aborted = False

    def get_extra_info(self, name: str) -> socket.socket:
        """Return the socket."""
        del name
        return self._sock

    def set_write_buffer_limits(self, high: int) -> None:
        """Take any limit."""

    def get_write_buffer_size(self) -> int:
        """Return that all has gone out."""
        return 0

    def write(self, content: bytes) -> None:
        """Send nothing."""

    def resume_reading(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """Note the end."""
        self.is_aborted = True


class Pool:
    """Notes whether the connection may be used again."""

    def __init__(self) -> None:
        self.has_taken_back = False

    def take_back(self, connection: object, seconds: int | None = None) -> None:
        """Note it."""
        del connection, seconds
        self.has_taken_back = True

    def forget(self, connection: object) -> None:
        """Forget nothing."""


class Heard(Call):
    """A call that notes what becomes of it."""

    def __init__(self, pool: Any) -> None:
        super().__init__(pool, b"GET", b"")
        self.is_sent = True
        self.answer: tuple[int, list[Header]] | None = None
        self.body = b""
        self.end = ""

    def answer_began(self, status: int, headers: Sequence[Header]) -> None:
        """Note what the client would get."""
        self.answer = (status, for_client(headers, status=status))

    def answer_went_on(self, body: bytes) -> None:
        """Note the body."""
        self.body += body

    def answer_ended(self) -> None:
        """Note the end."""
        self.end = "ended"

    def failed(self, failure: Any) -> None:
        """Note the failure."""
        self.end = str(failure)


@pytest.fixture(name="sock", scope="module")
def _sock() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours


def heard(data: bytes, sock: socket.socket) -> tuple[object, ...]:
    """Return what a call and its pool hear of an answer."""
    pool = Pool()
    call = Heard(pool)
    connection = Connection(pool, call, 65536)  # type: ignore[arg-type]
    transport = Transport(sock)
    connection.connection_made(transport)  # type: ignore[arg-type]
    connection.data_received(data)
    ends = (pool.has_taken_back, transport.is_aborted)
    return call.answer, call.body, call.end, ends


@given(first=FIRST_LINES, lines=st.lists(LINES, max_size=5), body=BODIES)
@example(first=b"HTTP/1.1 200 OK", lines=[*USUAL], body=b"hi")
@example(
    first=b"HTTP/1.1 200 OK", lines=[*USUAL, b"connection: keep-alive"], body=b"hi"
)
@example(first=b"HTTP/1.1 200 OK", lines=[*USUAL, *USUAL], body=b"hi")
def test_both_ways_hear_alike(
    first: bytes, lines: list[bytes], body: bytes, sock: socket.socket
) -> None:
    """The same answer, or the same failure, and the same end of the connection."""
    data = b"\r\n".join([first, *lines, b"", body])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connecting, "plain_answer", lambda _: None)
        parsed = heard(data, sock)
    assert heard(data, sock) == parsed
    assert heard(data, sock) == parsed  # from memory


def test_plain_answers_take_the_short_way() -> None:
    """What servers mostly send is plain."""
    lines = [b"HTTP/1.1 200 OK", *USUAL, b"Connection: keep-alive", b"", b"hi"]
    answer = plain_answer(b"\r\n".join(lines))
    assert answer == (200, [(b"content-length", b"2"), (b"server", b"x")], b"hi")


def test_what_is_remembered_is_bounded() -> None:
    """Neither many lines nor long ones fill the memory."""
    seen = Seen(bytes.lower, len)
    for number in range(10_000):
        assert seen[b"A%d" % number] == b"a%d" % number
    assert len(seen) <= 2048
    before = len(seen)
    assert seen[b"A" * 300] == b"a" * 300
    assert len(seen) == before
