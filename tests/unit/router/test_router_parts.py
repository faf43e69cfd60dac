"""The smaller parts: policy, tee, deadlines, connection parsing."""

import asyncio
import itertools
import socket
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daeploy_lib.router.connection import Connection
from daeploy_lib.router.deadlines import DeadlineQueue
from daeploy_lib.router.failure import Failure
from daeploy_lib.router.framing import Header
from daeploy_lib.router.policy import Limits, MirrorPolicy, Timeouts
from daeploy_lib.router.tee import BodyMismatchError, Tee
from daeploy_lib.router.upstream import Call


@given(st.floats(0, 1), st.integers(0, 300))
def test_a_sample_is_exact(rate: float, count: int) -> None:
    """N requests give n times the rate, to within one."""
    policy = MirrorPolicy(sample_rate=rate)
    taken = sum(policy.samples(place) for place in range(count))
    assert abs(taken - count * rate) < 1


def test_everything_and_nothing_are_exact() -> None:
    """The ends of the scale leave nothing to chance."""
    assert all(MirrorPolicy().samples(place) for place in range(1000))
    assert not any(MirrorPolicy(sample_rate=0).samples(place) for place in range(1000))


def test_methods_by_word_and_by_name() -> None:
    """All by default; 'safe' is three; a collection is itself."""
    assert MirrorPolicy().copies("PURGE")
    assert [m for m in ("GET", "POST") if MirrorPolicy(methods="safe").copies(m)] == [
        "GET"
    ]
    assert MirrorPolicy(methods=["post"]).copies("POST")
    assert not MirrorPolicy(methods=["post"]).copies("GET")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"sample_rate": 1.1}, ValueError),
        ({"sample_rate": "1"}, TypeError),
        ({"sample_rate": True}, TypeError),
        ({"methods": "some"}, ValueError),
        ({"methods": 7}, TypeError),
        ({"methods": [7]}, TypeError),
        ({"withhold": "cookie"}, TypeError),
    ],
)
def test_a_wrong_policy_raises(
    options: dict[str, object], error: type[Exception]
) -> None:
    """At construction, with the value in the message."""
    with pytest.raises(error):
        MirrorPolicy(**options)


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_deadlines_are_finite(value: float) -> None:
    """Nothing waits for ever, and nothing is late before it begins."""
    with pytest.raises(ValueError, match="above 0"):
        Timeouts(connect=value)


@pytest.mark.parametrize("value", [1.5, "1", None, True])
def test_limits_are_whole_numbers(value: object) -> None:
    """Half a copy is none."""
    with pytest.raises(TypeError):
        Limits(max_in_flight=value)  # type: ignore[arg-type]


def test_frozen_values_cannot_be_changed() -> None:
    """A policy in use stays what it was."""
    with pytest.raises(AttributeError):
        MirrorPolicy().sample_rate = 0.5  # type: ignore[misc]


class Reader:
    """Keeps what it gets."""

    def __init__(self, *, fails: bool = False) -> None:
        self.content = b""
        self.is_finished = False
        self.has_given_up = False
        self._fails = fails

    def send(self, content: bytes) -> None:
        """Take bytes."""
        if self._fails:
            raise RuntimeError("broken")
        self.content += content

    def finish(self) -> None:
        """Note the end."""
        self.is_finished = True

    def give_up(self) -> None:
        """Note that it has to end."""
        self.has_given_up = True


def dechunked(content: bytes) -> bytes:
    """Return the body of a chunked message."""
    body = b""
    while True:
        size, _, content = content.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            assert content == b"\r\n"
            return body
        assert content[length : length + 2] == b"\r\n"
        body, content = body + content[:length], content[length + 2 :]


@given(st.lists(st.binary(max_size=50)), st.booleans(), st.booleans())
def test_any_chunking_gives_the_same_body(
    parts: list[bytes], is_chunked: bool, ends_alone: bool
) -> None:
    """Main and copies get one body, however the client cut it."""
    whole = b"".join(parts)
    tee = Tee(None if is_chunked else len(whole), is_chunked=is_chunked)
    main, copy = Reader(), Reader()
    events = [(part, False) for part in parts]
    if ends_alone or not events:
        events.append((b"", True))
    else:
        events[-1] = (events[-1][0], True)
    for body, is_last in events:
        if not tee.is_complete:
            tee.feed(body, is_last=is_last, main=main, copies=[copy])
    assert tee.is_complete
    if not is_chunked and not whole:
        return  # complete before it began
    assert main.is_finished
    assert copy.is_finished
    assert main.content == copy.content
    got = dechunked(main.content) if is_chunked else main.content
    assert got == whole


def test_a_body_of_the_wrong_length_goes_to_nobody() -> None:
    """Neither the chunk that is too long nor the end that is too early."""
    for body, is_last in ((b"abcd", False), (b"ab", True)):
        tee, main = Tee(3, is_chunked=False), Reader()
        with pytest.raises(BodyMismatchError):
            tee.feed(body, is_last=is_last, main=main, copies=[])
        assert main.content == b""
        assert not main.is_finished


def test_a_broken_copy_hurts_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    """It is told to give up; main and the others go on."""
    tee, main, other = Tee(None, is_chunked=True), Reader(), Reader()
    broken = Reader(fails=True)
    tee.feed(b"abc", is_last=True, main=main, copies=[broken, other])
    assert main.content == other.content == b"3\r\nabc\r\n0\r\n\r\n"
    assert broken.has_given_up
    assert "a copy failed" in caplog.text


async def test_deadlines_ring_in_order_and_once() -> None:
    """Stopped ones do not ring, started ones anew ring later."""
    loop = asyncio.get_running_loop()
    queue = DeadlineQueue(loop, 0.05)
    rung: list[str] = []
    done = asyncio.Event()
    for key in "abcd":
        queue.start(key, lambda key=key: rung.append(key))  # type: ignore[misc]
    queue.stop("b")
    queue.stop("never started")
    await asyncio.sleep(0.03)
    queue.start("a", lambda: (rung.append("a"), done.set()))  # type: ignore[func-returns-value, arg-type]
    await asyncio.wait_for(done.wait(), 5)
    assert rung == ["c", "d", "a"]
    assert len(queue) == 0
    queue.start("e", lambda: rung.append("e"))
    queue.close()
    assert len(queue) == 0


class Heard(Call):
    """A call that writes down what it is told."""

    def __init__(self, method: bytes) -> None:
        self.method = method
        self.is_aborted = False
        self.is_sent = True
        self.connection = None
        self.status = 0
        self.headers: list[Header] = []
        self.body = b""
        self.end: str = ""

    def answer_began(self, status: int, headers: Sequence[Header]) -> None:
        """Note the head."""
        assert not self.status
        self.status, self.headers = status, list(headers)

    def answer_went_on(self, body: bytes) -> None:
        """Note body bytes."""
        assert self.status
        assert body
        self.body += body

    def answer_ended(self) -> None:
        """Note the end."""
        self.end += "whole"

    def failed(self, failure: Failure) -> None:
        """Note the failure."""
        self.end += str(failure)


class Line(asyncio.Transport):
    """A transport that only remembers."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__({"socket": sock})
        self.is_open = True

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """Nothing is buffered."""

    def get_write_buffer_size(self) -> int:
        """Nothing is buffered."""
        return 0

    def is_closing(self) -> bool:
        """Return whether it was aborted."""
        return not self.is_open

    def abort(self) -> None:
        """End."""
        self.is_open = False


class Shelf:
    """A pool that only counts."""

    def __init__(self) -> None:
        self.taken_back = 0

    def take_back(self, connection: Connection, seconds: int | None = None) -> None:
        """Count."""
        del connection, seconds
        self.taken_back += 1

    def forget(self, connection: Connection) -> None:
        """Ignore."""


def hear(method: bytes, parts: Sequence[bytes], *, ends: bool) -> tuple[Heard, bool]:
    """Feed a connection; return what was heard and whether it may be reused."""
    call, shelf = Heard(method), Shelf()
    here, there = socket.socketpair()
    with here, there:
        connection = Connection(shelf, call, 100_000)  # type: ignore[arg-type]
        connection._transport = Line(here)
        connection.begin(call)
        for part in parts:
            if part and not connection.has_closed:
                connection.data_received(part)
        if ends and not connection.has_closed:
            connection.eof_received()
    return call, bool(shelf.taken_back) and not connection.has_closed


def cut(content: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at places."""
    edges = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
    return [content[a:b] for a, b in itertools.pairwise(edges)]


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nA: 1\r\n"

ANSWERS = [
    (b"GET", OK + b"Content-Length: 5\r\n\r\nhello"),
    (
        b"GET",
        OK + CHUNKED + b"2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nT: x\r\n\r\n",
    ),
    (
        b"GET",
        b"HTTP/1.1 100 C\r\nX: y\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
    ),
    (b"HEAD", OK + b"Content-Length: 5\r\n\r\n"),
    (b"GET", b"HTTP/1.1 304 Not\r\nA: 1\r\nContent-Length: 5\r\n\r\n"),
]


@settings(max_examples=300)
@given(st.sampled_from(ANSWERS), st.lists(st.integers(0, 200), max_size=8))
def test_any_cutting_gives_the_same_answer(
    pair: tuple[bytes, bytes], places: list[int]
) -> None:
    """Status, headers, body and reuse do not depend on how the bytes came."""
    method, content = pair
    call, is_reusable = hear(method, cut(content, places), ends=False)
    assert call.status in (200, 304)
    assert call.headers[0] == (b"a", b"1")
    assert call.body == (b"hello" if call.status == 200 and method == b"GET" else b"")
    assert (call.end, is_reusable) == ("whole", True)


@settings(max_examples=300)
@given(
    st.sampled_from(ANSWERS),
    st.binary(min_size=1, max_size=20),
    st.lists(st.integers(0, 200), max_size=4),
)
def test_a_surplus_is_never_carried_over(
    pair: tuple[bytes, bytes], surplus: bytes, places: list[int]
) -> None:
    """Bytes after the end close the connection and change nothing before."""
    method, content = pair
    parts = [*cut(content, places), surplus]
    call, is_reusable = hear(method, parts, ends=False)
    expected, _ = hear(method, [content], ends=False)
    assert (call.body, call.end, is_reusable) == (expected.body, "whole", False)
    call, is_reusable = hear(method, [content + surplus], ends=False)
    assert (call.body, call.end) == (expected.body, "whole")
    # Blank lines after an answer belong to nothing; the parser skips them.
    assert not is_reusable or not surplus.strip(b"\r\n")


@settings(max_examples=300)
@given(st.sampled_from(ANSWERS), st.integers(0, 200))
def test_an_early_end_is_never_whole(pair: tuple[bytes, bytes], place: int) -> None:
    """An answer cut anywhere is a failure, not a shorter answer."""
    method, content = pair
    place %= len(content)
    call, is_reusable = hear(method, [content[:place]], ends=True)
    assert not is_reusable
    assert call.end in ("closed", "garbage", "truncated")
    assert (call.end == "closed") == (place == 0)
    assert (call.end == "truncated") == bool(call.status)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=4))
def test_no_bytes_break_the_connection(content: bytes, places: list[int]) -> None:
    """Whatever comes, the call hears of at most one end."""
    call, _ = hear(b"GET", cut(b"HTTP/1.1 200 OK\r\n" + content, places), ends=True)
    assert call.end in ("whole", "garbage", "truncated")
