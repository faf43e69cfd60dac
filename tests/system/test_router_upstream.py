"""Connections to versions: reuse, retries, bad answers, bounds, deadlines."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from daeploy_lib.domain.route import Route
from daeploy_lib.router.failure import AnswerBrokenError
from daeploy_lib.router.policy import Timeouts
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.testing import (
    AsgiDriver,
    Script,
    ScriptedUpstream,
    Wire,
    answer,
)
from router_carriers import carry
from router_fronts import (
    Echo,
    connected,
    get,
    unaccepting,
    until,
    uvicorn_httptools,
)

HOST = (b"host", b"h")


@pytest.fixture(params=["own", "httpx"], autouse=True)
def carrier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test over our own connections, and over a transport of httpx."""
    carry(request, monkeypatch)


@contextlib.asynccontextmanager
async def routed(
    main: Script, **options: Any
) -> AsyncIterator[tuple[AsgiDriver, ScriptedUpstream, ShadowRouter]]:
    """Drive a router with one version."""
    async with ScriptedUpstream(main) as upstream:
        route = Route({"1": upstream.address}, main="1")
        router = ShadowRouter({"hello": route}, **options)
        yield AsgiDriver(router), upstream, router
        await router.aclose(drain=0.0)


async def ask(driver: AsgiDriver, method: str = "GET", body: bytes = b"") -> Any:
    """Return status and body of one request."""
    headers = [HOST]
    if body:
        headers.append((b"content-length", b"%d" % len(body)))
    call = driver.request(method, b"/hello/", headers=headers, body=body)
    status, _ = await call.start()
    return status, await call.body()


async def test_connections_are_reused() -> None:
    """One request after another goes over one connection, HEAD included."""
    async with routed(Echo()) as (driver, upstream, router):
        for method in ("GET", "HEAD", "POST", "GET"):
            status, _ = await ask(driver, method)
            assert status == 200
        assert len(upstream.wires) == 1
        assert router.stats()["connections"] == 1


async def test_requests_at_once_do_not_share_a_connection(
    request: pytest.FixtureRequest,
) -> None:
    """Each request gets its own answer, however many are under way."""
    # Which connection is used again is httpcore's affair: it may close one that has
    # just come free. That it uses them again at all can be asked of it.
    is_ours = request.node.callspec.params["carrier"] == "own"

    async def main(wire: Wire) -> None:
        while True:
            asked = await wire.request()
            await asyncio.sleep(0.001)
            await wire.send(answer(asked.body * 100))

    async with routed(main) as (driver, upstream, _):
        for _ in range(5):
            bodies = [b"<%d>" % number for number in range(40)]
            got = await asyncio.gather(*(ask(driver, "POST", body) for body in bodies))
            assert got == [(200, body * 100) for body in bodies]
        assert len(upstream.wires) <= (40 if is_ours else 100)


async def first_then(wire: Wire, surplus: bytes) -> None:
    """Answer properly, and add bytes that nobody asked for."""
    await wire.request()
    await wire.send(answer(b"first") + surplus)
    await wire.until_closed()


@pytest.mark.parametrize(
    "surplus",
    [answer(b"for nobody"), b"H", b"x" * 100, b"HTTP/1.1 200 OK\r\n\r\n", b"0\r\n\r\n"],
)
async def test_surplus_bytes_never_reach_the_next_request(surplus: bytes) -> None:
    """Bytes after an answer close the connection; the next one has its own."""

    async def main(wire: Wire) -> None:
        await first_then(wire, surplus)

    async with routed(main) as (driver, upstream, _):
        for number in range(1, 4):
            assert await ask(driver) == (200, b"first")
            assert len(upstream.wires) == number
        await until(lambda: all(wire.has_ended for wire in upstream.wires))


async def test_a_surplus_answer_that_comes_late_closes_the_connection() -> None:
    """An answer to nobody on an idle connection is thrown away with it."""
    late = asyncio.Event()

    async def main(wire: Wire) -> None:
        await wire.request()
        await wire.send(answer(b"first"))
        await late.wait()
        await wire.send(answer(b"for nobody"))
        await wire.until_closed()

    async with routed(main) as (driver, upstream, router):
        assert await ask(driver) == (200, b"first")
        late.set()
        await until(lambda: router.stats()["connections"] == 0)
        assert await ask(driver) == (200, b"first")
        assert len(upstream.wires) == 2


async def test_a_surplus_answer_not_yet_read_is_seen_before_reuse() -> None:
    """What is still in the socket is found when the connection is taken."""
    loop = asyncio.get_running_loop()
    bodies: list[bytes] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event: Any) -> None:
        bodies.append(event.get("body", b""))

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)  # noqa: FBT003 - the standard library's own
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        router = ShadowRouter({"hello": Route({"1": address}, main="1")})

        async def serve(body: bytes) -> socket.socket:
            wire, _ = await loop.sock_accept(server)
            await loop.sock_recv(wire, 65536)
            await loop.sock_sendall(wire, answer(body))
            return wire

        first = asyncio.ensure_future(serve(b"first"))
        scope = AsgiDriver(router).scope("GET", b"/hello/")
        await router(scope, receive, send)
        second = asyncio.ensure_future(serve(b"second"))
        wire = await first
        await asyncio.sleep(0)  # the second server waits for a connection
        # In one turn of the loop: it cannot read this before it is too late.
        wire.send(answer(b"for nobody"))
        await router(scope, receive, send)
        assert b"".join(bodies) == b"firstsecond"
        wire.close()
        (await second).close()
        await router.aclose()


async def test_an_answer_before_the_upload_ends_uses_up_the_connection() -> None:
    """What is left of a request must not become the beginning of the next."""

    async def main(wire: Wire) -> None:
        await wire.head()
        await wire.send(answer(b"enough"))
        await wire.until_closed()

    async with routed(main) as (driver, upstream, _):
        for number in (1, 2):
            call = driver.request(
                "POST", b"/hello/", headers=[HOST, (b"content-length", b"9")], body=None
            )
            call.send(b"abc", more=True)
            assert (await call.start())[0] == 200
            assert await call.body() == b"enough"
            assert len(upstream.wires) == number


async def test_a_client_that_leaves_in_an_endless_answer_ends_it() -> None:
    """Also while main sends as fast as it can."""

    async def main(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await wire.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    async with routed(main) as (driver, _, router):
        call = driver.request("GET", b"/hello/")
        await call.start()
        await call.event()
        call.disconnect()
        await asyncio.wait_for(call.done(), 5)
        assert router.stats()["client_gone"] == 1
        await until(lambda: router.stats()["connections"] == 0)


async def test_a_body_beyond_its_length_is_cut() -> None:
    """The client gets the announced bytes; the connection is not used again."""

    async def main(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef")
        await wire.until_closed()

    async with routed(main) as (driver, upstream, _):
        assert await ask(driver) == (200, b"abc")
        assert await ask(driver) == (200, b"abc")
        assert len(upstream.wires) == 2


@pytest.mark.parametrize(
    "head",
    [
        b"Connection: close\r\n",
        b"Connection: Keep-Alive, Close\r\n",
        b"Keep-Alive: timeout=1\r\n",
    ],
)
async def test_connections_that_a_version_gives_up_are_not_reused(head: bytes) -> None:
    """What the version says of its connection is believed."""

    async def main(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(
                b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 1\r\n\r\nx"
            )

    async with routed(main) as (driver, upstream, _):
        assert await ask(driver) == (200, b"x")
        assert await ask(driver) == (200, b"x")
        assert len(upstream.wires) == 2


def closing_second(seen: list[bytes]) -> Script:
    """Return a script that answers the first request and closes on the second."""

    async def script(wire: Wire) -> None:
        seen.append((await wire.request()).line)
        await wire.send(answer(b"ok"))
        seen.append((await wire.request()).line)
        wire.close()

    return script


async def test_an_idempotent_request_is_retried_once() -> None:
    """A connection that dies as it is reused does not cost a GET its answer."""
    seen: list[bytes] = []
    async with routed(closing_second(seen)) as (driver, upstream, _):
        assert await ask(driver) == (200, b"ok")
        assert await ask(driver) == (200, b"ok")
        assert len(upstream.wires) == 2
        assert len(seen) == 3


@pytest.mark.parametrize(("method", "body"), [("POST", b""), ("PUT", b"x")])
async def test_other_requests_are_never_sent_twice(method: str, body: bytes) -> None:
    """The same for a POST, or with a body, is a 502: it may have been acted upon."""
    seen: list[bytes] = []
    async with routed(closing_second(seen)) as (driver, upstream, _):
        assert await ask(driver, method, body) == (200, b"ok")
        status, _ = await ask(driver, method, body)
        assert status == 502
        assert len(upstream.wires) == 1


async def test_a_new_connection_is_not_retried() -> None:
    """A version that closes without an answer has seen the request."""

    async def main(wire: Wire) -> None:
        await wire.request()
        wire.close()

    async with routed(main) as (driver, upstream, _):
        status, _ = await ask(driver)
        assert status == 502
        assert len(upstream.wires) == 1


async def test_a_retry_is_not_retried() -> None:
    """A version that closes every connection is asked twice at most."""
    count = 0

    async def main(wire: Wire) -> None:
        nonlocal count
        await wire.request()
        count += 1
        if count == 1:
            await wire.send(answer(b"ok"))
            await wire.request()
            count += 1
        wire.close()

    async with routed(main) as (driver, _, _):
        assert await ask(driver) == (200, b"ok")
        status, _ = await ask(driver)
        assert status == 502
        assert count == 3


async def test_interim_answers_are_skipped() -> None:
    """100 and 103 before the answer are not the answer."""

    async def main(wire: Wire) -> None:
        await wire.request()
        await wire.send(
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(b"final"),
        )
        await wire.until_closed()

    async with routed(main) as (driver, _, _):
        call = driver.request("GET", b"/hello/")
        assert await call.start() == (200, [(b"content-length", b"5")])
        assert await call.body() == b"final"


BAD_ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + 2 * b"Transfer-Encoding: chunked\r\n" + b"\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-A: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
    b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000,
    b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 1001 + b"Content-Length: 0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"HTTP/1.1",
]


@pytest.mark.parametrize("bad", BAD_ANSWERS, ids=range(len(BAD_ANSWERS)))
async def test_a_bad_answer_becomes_502(bad: bytes) -> None:
    """Nothing of it is relayed, and its connection is closed."""

    async def main(wire: Wire) -> None:
        await wire.request()
        await wire.send(bad)
        wire.close()

    async with routed(main) as (driver, _, router):
        status, body = await ask(driver)
        assert status == 502
        assert body.startswith(b"{\"detail\":\"Version '1' of 'hello'")
        await until(lambda: router.stats()["connections"] == 0)


@pytest.mark.parametrize(
    "parts",
    [
        [b"Content-Length: 9\r\n\r\nabc"],
        [b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"],
        [b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"zz\r\n"],
        [
            b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            b"0\r\n" + b"T: x\r\n" * 50_000,
        ],
        [b"\r\nabc"],
    ],
    ids=["length", "chunked", "bad chunk", "endless trailers", "close-delimited"],
)
async def test_a_broken_answer_is_raised(parts: list[bytes]) -> None:
    """Truncation leaves the application as an error, never as a last event."""
    taken = asyncio.Event()

    async def main(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\n" + parts[0])
        await taken.wait()
        for part in parts[1:]:
            await wire.send(part)
        wire.reset()

    async with routed(main) as (driver, _, router):
        call = driver.request("GET", b"/hello/")
        await call.start()
        assert (await call.event())["body"] == b"abc"
        taken.set()
        with pytest.raises(AnswerBrokenError):
            await call.body()
        assert all(event.get("more_body", True) for event in call.sent)
        assert router.stats()["broken"] == 1


async def test_trailers_are_dropped() -> None:
    """Trailers of an answer end up nowhere, and do not break it."""

    async def main(wire: Wire) -> None:
        await wire.request()
        await wire.send(
            b"HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
        )
        await wire.until_closed()

    async with routed(main) as (driver, _, _):
        call = driver.request("GET", b"/hello/")
        assert await call.start() == (200, [])
        assert await call.body() == b"abc"


async def test_a_slow_client_slows_main_and_not_the_memory() -> None:
    """A large answer stays with the version while nobody takes it."""
    written = 0

    async def main(wire: Wire) -> None:
        nonlocal written
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
        for _ in range(1024):
            await wire.send(b"x" * 65536)
            written += 65536

    async with routed(main) as (driver, _, _):
        call = driver.request("GET", b"/hello/")
        await call.start()
        last = -1
        while last != written:  # until nothing moves any more
            last = written
            await asyncio.sleep(0.2)
        # The kernel's socket buffers hold some MiB; the router little.
        assert written < 16 * 1024 * 1024
        assert len(await call.body()) == 67108864


async def test_a_main_that_does_not_read_stops_the_client() -> None:
    """Upload events stay with the server while main takes none."""
    go = asyncio.Event()
    total = 0

    async def main(wire: Wire) -> None:
        nonlocal total
        await wire.head()
        await go.wait()
        async for chunk in wire.chunks():
            total += len(chunk)
        await wire.send(answer(b"ok"))

    async with routed(main) as (driver, _, _):
        call = driver.request(
            "POST",
            b"/hello/",
            headers=[HOST, (b"transfer-encoding", b"chunked")],
            body=None,
        )
        for _ in range(512):
            call.send(b"x" * 65536, more=True)
        call.send(b"")
        last = -1
        while last != call.unread:
            last = call.unread
            await asyncio.sleep(0.2)
        assert call.unread > 256
        go.set()
        assert (await call.start())[0] == 200
        assert await call.body() == b"ok"
        assert total == 512 * 65536


async def test_a_version_may_answer_while_it_reads() -> None:
    """An answer that begins before the upload ends does not cut the upload."""

    async def main(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        async for chunk in wire.chunks():
            await wire.send(b"%x\r\n%b\r\n" % (len(chunk), chunk.upper()))
        await wire.send(b"0\r\n\r\n")

    async with routed(main) as (driver, _, _):
        call = driver.request(
            "POST",
            b"/hello/",
            headers=[HOST, (b"transfer-encoding", b"chunked")],
            body=None,
        )
        assert (await call.start())[0] == 200
        for word in (b"one", b"two", b"three"):
            call.send(word, more=True)
            assert (await call.event())["body"] == word.upper()
        call.send(b"")
        assert await call.body() == b""


async def test_connecting_has_a_deadline() -> None:
    """A version that does not accept is a 504 in time, and leaves no task."""
    with unaccepting() as address:
        router = ShadowRouter(
            {"hello": Route({"1": address}, main="1")}, timeouts=Timeouts(connect=0.2)
        )
        status, _ = await ask(AsgiDriver(router))
        assert status == 504
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await router.aclose()


async def test_a_client_may_leave_while_main_is_being_reached() -> None:
    """The attempt to connect ends with it."""
    with unaccepting() as address:
        router = ShadowRouter({"hello": Route({"1": address}, main="1")})
        call = AsgiDriver(router).request("GET", b"/hello/")
        await until(lambda: router.stats()["in_flight"])
        call.disconnect()
        await asyncio.wait_for(call.done(), 2)
        assert router.stats()["client_gone"] == 1
        await router.aclose()


async def test_a_main_that_stops_reading_is_given_up() -> None:
    """An upload that main does not take for the idle time is a 504."""

    async def main(wire: Wire) -> None:
        await wire.head()
        await asyncio.sleep(60)

    async with routed(main, timeouts=Timeouts(idle=0.3)) as (driver, _, _):
        call = driver.request(
            "POST",
            b"/hello/",
            headers=[HOST, (b"transfer-encoding", b"chunked")],
            body=None,
        )
        for _ in range(512):
            call.send(b"x" * 65536, more=True)
        assert (await call.start())[0] == 504
        assert b"stopped in the middle" in await call.body()


@pytest.mark.parametrize("broken", ["send", "receive"])
async def test_servers_may_say_by_an_error_that_the_client_left(broken: str) -> None:
    """An OSError of send(), or any error of receive(), is a disconnect."""
    async with routed(Echo()) as (driver, _, router):

        async def receive() -> Any:
            if broken == "receive":
                raise RuntimeError("no such stream")
            return {"type": "http.request", "body": b"abc", "more_body": False}

        async def send(event: Any) -> None:
            if broken == "send":
                raise OSError(f"gone before {event['type']}")

        headers = [HOST, (b"content-length", b"3")]
        await router(driver.scope("POST", b"/hello/", headers), receive, send)
        assert router.stats()["client_gone"] == 1


async def test_an_answer_that_stops_moving_is_broken_off() -> None:
    """Between two parts of an answer no more than the idle time may pass."""

    async def main(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        await wire.until_closed()

    async with routed(main, timeouts=Timeouts(idle=0.2)) as (driver, _, _):
        call = driver.request("GET", b"/hello/")
        await call.start()
        with pytest.raises(AnswerBrokenError, match="idle_timeout"):
            await call.body()


async def test_an_upload_that_stops_moving_is_408() -> None:
    """A client that sends nothing for the idle time is told so."""
    patience = Timeouts(idle=0.2)
    async with routed(Echo(), timeouts=patience) as (driver, upstream, _):
        call = driver.request(
            "POST", b"/hello/", headers=[HOST, (b"content-length", b"9")], body=None
        )
        call.send(b"abc", more=True)
        status, headers = await call.start()
        assert status == 408
        assert (b"connection", b"close") in headers
        await call.body()
        await until(lambda: upstream.wires[0].has_ended)


@pytest.mark.parametrize("body", [b"12", b"1234"])
async def test_a_body_of_another_length_is_aborted(body: bytes) -> None:
    """A server that hands over the wrong number of bytes does not fool main."""
    async with routed(Echo()) as (driver, upstream, _):
        call = driver.request(
            "POST", b"/hello/", headers=[HOST, (b"content-length", b"3")], body=body
        )
        assert (await call.start())[0] == 400
        await call.body()
        await until(lambda: upstream.wires[0].has_ended)
        assert not upstream.wires[0].received.endswith(b"123")


async def test_host_names_are_resolved() -> None:
    """A name is as good as an address; an unknown one is a 502."""
    async with ScriptedUpstream(Echo()) as upstream:
        address = f"http://localhost:{upstream.port}/base/"
        routes = {
            "hello": Route({"1": address}, main="1"),
            "lost": Route({"1": "http://no-such-host.invalid"}, main="1"),
        }
        router = ShadowRouter(routes)
        driver = AsgiDriver(router)
        assert await ask(driver) == (200, b"main")
        assert upstream.wires[0].received.startswith(b"GET /base/ HTTP/1.1\r\n")
        call = driver.request("GET", b"/lost/")
        assert (await call.start())[0] == 502
        assert b"no-such" not in await call.body()
        await router.aclose()


async def test_http_2_requests_go_out_as_http_1() -> None:
    """A body without a length is chunked; none is none; cookies are joined."""
    main = Echo()
    async with routed(main) as (driver, _, _):
        headers = [HOST, (b"cookie", b"a=1"), (b"x-a", b"1"), (b"cookie", b"b=2")]
        for body in (b"", b"abc"):
            call = driver.request(
                "POST", b"/hello/", headers=headers, body=body, http_version="2"
            )
            assert (await call.start())[0] == 200
            await call.body()
        empty, full = main.requests
        assert empty.header(b"transfer-encoding") == []
        assert (full.header(b"transfer-encoding"), full.body) == ([b"chunked"], b"abc")
        assert full.headers[1] == (b"cookie", b"a=1; b=2")


async def test_cancelling_leaves_nothing_behind() -> None:
    """A server that shuts down ends connections, copies and tasks."""

    async def stay(wire: Wire) -> None:
        await wire.until_closed()

    async with ScriptedUpstream(stay) as main, ScriptedUpstream(stay) as shadow:
        route = Route({"1": main.address, "2": shadow.address}, main="1")
        router = ShadowRouter({"hello": route})
        call = AsgiDriver(router).request("GET", b"/hello/")
        await until(lambda: shadow.wires and shadow.wires[0].received)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call.done()
        await until(lambda: main.wires[0].has_ended and shadow.wires[0].has_ended)
        stats: Any = router.stats()
        assert stats["in_flight"] == 0
        assert stats["shadows"]["hello"]["2"]["in_flight"] == 0
        assert stats["connections"] == 0


async def test_a_route_may_change_between_two_requests() -> None:
    """On one client connection, each request goes to the main of its time."""
    async with ScriptedUpstream(Echo(b"one")) as a, ScriptedUpstream(Echo(b"two")) as b:
        both = {"1": a.address, "2": b.address}
        routes = {"hello": Route(both, main="1")}
        router = ShadowRouter(routes)
        async with uvicorn_httptools(router) as port, connected(port) as client:
            for main, body in (("1", b"one"), ("2", b"two"), ("1", b"one")):
                routes["hello"] = Route(both, main=main)
                await client.send(get(b"/hello/"))
                assert (await client.answer()).body == body
            del routes["hello"]
            await client.send(get(b"/hello/"))
            assert (await client.answer()).status == 404
            await router.aclose()


async def test_a_body_that_is_there_goes_out_with_its_head() -> None:
    """Each version gets both in one read, once there is a connection to it."""
    reads: list[bytes] = []

    class Reads(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: Any = transport

        def data_received(self, data: bytes) -> None:
            reads.append(data)
            self.transport.write(answer(b"ok"))

    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Reads, "127.0.0.1", 0) for _ in range(2)]
    first, second = (
        f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers
    )
    router = ShadowRouter({"hello": Route({"1": first, "2": second}, main="1")})
    driver = AsgiDriver(router)
    for _ in range(3):
        assert await ask(driver, "POST", b"body") == (200, b"ok")
        await until(lambda: not router.stats()["shadows"]["hello"]["2"]["in_flight"])  # type: ignore[index]
    await router.aclose(drain=0.0)
    for server in servers:
        server.close()
    assert len(reads) == 6
    assert all(read.endswith(b"\r\n\r\nbody") for read in reads)


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_head_does_not_wait_for_its_body(*, is_chunked: bool) -> None:
    """Versions see the request at once, however long the client waits with a body."""
    heads: list[str] = []

    def script(name: str) -> Script:
        async def serve(wire: Wire) -> None:
            await wire.head()
            heads.append(name)
            await wire.read(4)
            await wire.send(answer(b"ok"))

        return serve

    length = (
        (b"transfer-encoding", b"chunked") if is_chunked else (b"content-length", b"4")
    )
    async with (
        ScriptedUpstream(script("main")) as main,
        ScriptedUpstream(script("shadow")) as shadow,
    ):
        route = Route({"1": main.address, "2": shadow.address}, main="1")
        router = ShadowRouter({"hello": route})
        driver = AsgiDriver(router)
        call = driver.request("POST", b"/hello/", headers=[HOST, length], body=None)
        await until(lambda: sorted(heads) == ["main", "shadow"])
        call.send(b"body")
        assert (await call.start())[0] == 200
        assert await call.body() == b"ok"
        await router.aclose(drain=5.0)
