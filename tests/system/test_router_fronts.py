"""The router behind real servers: what goes in and out on the wire, on each."""

import asyncio
import contextlib
from typing import Any

import pytest

from daeploy_lib.domain.route import Route
from daeploy_lib.router.policy import Timeouts
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.testing import Script, ScriptedUpstream, Wire, answer
from router_fronts import (
    FRONTS,
    Echo,
    RawAnswer,
    connected,
    fetch,
    get,
    granian,
    until,
)
from router_served import saying, served


@pytest.fixture(params=sorted(FRONTS))
def front(request: pytest.FixtureRequest) -> Any:
    """Every server that is installed, one after another."""
    return FRONTS[request.param]


async def test_main_answers_and_the_shadow_gets_the_same(front: Any) -> None:
    """Both versions get the request; the client gets main's answer only."""
    main, shadow = Echo(), Echo(b"shadow")
    async with served(front, main, shadow) as it:
        request = get(
            b"/hello/a%2Fb;c?x=%zz&x=2;y",
            [(b"Cookie", b"a=b"), (b"X-Two", b"1"), (b"X-Two", b"2")],
            method=b"POST",
            body=b"body",
        )
        got = await fetch(it.port, request)
        await until(lambda: shadow.requests, "shadow asked")
        await until(it.outcomes, "settled")
        assert (got.status, got.body, got.is_whole) == (200, b"main", True)
        assert got.header(b"x-version") == [b"main"]
        first, second = main.requests[0], shadow.requests[0]
        assert first.line == b"POST /a%2Fb;c?x=%zz&x=2;y HTTP/1.1"
        assert first.body == second.body == b"body"
        assert first.line == second.line
        assert first.header(b"host") == [b"client.example"]
        assert first.header(b"x-two") == [b"1", b"2"]
        assert first.header(b"x-forwarded-prefix") == [b"/hello"]
        extra = [h for h in second.headers if h not in first.headers]
        assert [name for name, _ in extra] == [
            b"x-daeploy-role",
            b"x-daeploy-version",
            b"x-daeploy-exchange",
        ]
        assert [h for h in second.headers if h not in extra] == first.headers
        assert it.outcomes() == {"incomparable": 1}


async def test_a_chunked_upload_streams_through(front: Any) -> None:
    """A chunk reaches both versions before the client sends the next."""
    seen: list[bytes] = []
    copied: list[bytes] = []

    def reading(into: list[bytes]) -> Script:
        async def script(wire: Wire) -> None:
            await wire.head()
            async for chunk in wire.chunks():
                into.append(chunk)  # noqa: PERF401 - looked at meanwhile
            await wire.send(answer(b"done"))

        return script

    async with (
        served(front, reading(seen), reading(copied)) as it,
        connected(it.port) as client,
    ):
        await client.send(
            b"POST /hello/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for number in range(3):
            await client.send(b"2\r\n#%d\r\n" % number)
            await until(lambda: min(len(seen), len(copied)) > number, "chunk")  # noqa: B023
        await client.send(b"0\r\n\r\n")
        got = await client.answer()
        assert got.body == b"done"
        assert b"".join(seen) == b"".join(copied) == b"#0#1#2"


async def test_an_answer_streams_through(front: Any) -> None:
    """A chunk of the answer reaches the client before main makes the next."""
    turn = asyncio.Event()

    async def main(wire: Wire) -> None:
        await wire.request()
        await wire.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for number in range(3):
            await wire.send(b"9\r\ndata: %d\n\n\r\n" % number)
            await turn.wait()
            turn.clear()
        await wire.send(b"0\r\n\r\n")

    async with served(front, main) as it, connected(it.port) as client:
        await client.send(get(b"/hello/events"))
        status, headers = await client.head()
        assert status == 200
        assert (b"content-type", b"text/event-stream") in headers
        for number in range(3):
            chunk = await asyncio.wait_for(client.chunk(), 5)
            assert chunk == b"data: %d\n\n" % number
            turn.set()
        assert await client.chunk() == b""


async def test_a_truncated_answer_is_seen_as_such(front: Any) -> None:
    """The client of a main that breaks off notices, whatever the framing."""
    for head in (b"Content-Length: 100", b"Transfer-Encoding: chunked"):
        main = saying(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n5\r\nabc" % head)
        async with served(front, main) as it:
            got = await fetch(it.port, get(b"/hello/"))
            assert got.status == 200
            assert not got.is_whole
            assert it.router.stats()["broken"] == 1


async def test_a_close_delimited_answer_is_whole(front: Any) -> None:
    """The end of the connection ends an answer without a length."""
    main = saying(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nabc", b"def")
    async with served(front, main) as it:
        got = await fetch(it.port, get(b"/hello/"))
        assert (got.status, got.body, got.is_whole) == (200, b"abcdef", True)


async def test_answers_without_bodies(front: Any) -> None:
    """HEAD keeps the length; 204 and 304 have no body; none of them hangs."""
    for method, head, status in (
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", 200),
        (b"GET", b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", 204),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", 304),
    ):
        main = saying(head, then="stay")
        async with served(front, main) as it, connected(it.port) as client:
            await client.send(get(b"/hello/", method=method))
            got = await asyncio.wait_for(client.answer(method=method), 5)
            assert got.status == status
            if method == b"HEAD":
                assert got.header(b"content-length") == [b"7"]
            # The connection is fit for another request.
            await client.send(get(b"/unknown/"))
            again = await asyncio.wait_for(client.answer(), 5)
            assert again.status == 404


async def test_the_answer_keeps_order_and_duplicates(front: Any) -> None:
    """Headers come in main's order, repeated ones apart, hop-by-hop ones not."""
    main = saying(
        b"HTTP/1.1 418 Teapot\r\nSet-Cookie: a=1\r\nX-B: 2\r\nSet-Cookie: c=3\r\n"
        b"Connection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Alt-Svc: h3\r\nContent-Length: 2\r\n\r\nok"
    )
    async with served(front, main) as it:
        got = await fetch(it.port, get(b"/hello/"))
        assert got.status == 418
        names = [name for name, _ in got.headers if name not in (b"date", b"server")]
        expected = [b"set-cookie", b"x-b", b"set-cookie", b"content-length"]
        # granian groups repeated names, whatever the application sends.
        assert names == expected or (front is granian and set(names) == set(expected))
        assert got.header(b"set-cookie") == [b"a=1", b"c=3"]


async def test_a_client_that_leaves_ends_main_within_a_second(front: Any) -> None:
    """Main's connection ends, and the copy's, when the client goes away."""
    stay = saying(then="stay")
    async with served(front, stay, stay) as it:
        async with connected(it.port) as client:
            await client.send(get(b"/hello/"))
            await until(lambda: it.main.wires and it.main.wires[0].received)
        await until(lambda: it.main.wires[0].has_ended, "main ended", 1.0)
        await until(lambda: it.shadow.wires[0].has_ended, "shadow ended", 1.0)
        await until(lambda: it.outcomes() == {"client_gone": 1})
        assert it.router.stats()["client_gone"] == 1


async def test_an_upload_that_breaks_off_is_never_complete(front: Any) -> None:
    """Neither version sees a request that its client did not finish as one."""

    async def reading(wire: Wire) -> None:
        await wire.until_closed()

    async with served(front, reading, reading) as it:
        async with connected(it.port) as client:
            await client.send(
                b"POST /hello/ HTTP/1.1\r\nHost: h\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
            )
            await until(lambda: it.shadow.wires and it.shadow.wires[0].received)
        for upstream in (it.main, it.shadow):
            wire = upstream.wires[0]
            await until(lambda: wire.has_ended, "ended", 2.0)  # noqa: B023
            assert wire.received.endswith(b"3\r\nabc\r\n")
            assert b"\r\n0\r\n" not in wire.received


async def test_an_early_answer_is_relayed_at_once(front: Any) -> None:
    """A 413 before the upload has ended reaches the client, not a 502."""

    async def main(wire: Wire) -> None:
        await wire.head()
        await wire.send(answer(b"too big", status=b"413 Too Large"))
        wire.close()

    async with served(front, main) as it, connected(it.port) as client:
        await client.send(
            b"POST /hello/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
            + b"x" * 1000
        )
        got = await asyncio.wait_for(client.answer(), 5)
        assert (got.status, got.body) == (413, b"too big")
        await until(lambda: it.outcomes() == {"main_failed": 1})


async def test_expect_is_answered_once_main_is_there(front: Any) -> None:
    """100 Continue comes, and Expect does not go on to the version."""
    main = Echo()
    async with served(front, main) as it, connected(it.port) as client:
        await client.send(
            b"POST /hello/ HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        status, _ = await asyncio.wait_for(client.head(), 5)
        assert status == 100
        await client.send(b"ok")
        got = await client.answer()
        assert got.body == b"main"
        assert main.requests[0].header(b"expect") == []
        assert main.requests[0].body == b"ok"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/", 404),
        (b"/nothing", 404),
        (b"/hello_9/", 404),
        (b"/hello/../x", 400),
        (b"/hello/%2e%2E/x", 400),
    ],
)
async def test_what_is_not_routed(front: Any, target: bytes, status: int) -> None:
    """Unknown segments and dot segments get an answer of our own, in JSON."""
    async with served(front, Echo()) as it:
        got = await fetch(it.port, get(target))
        assert got.status == status
        assert got.header(b"content-type") == [b"application/json"]
        assert got.body.startswith(b'{"detail":"')
        assert b"127.0.0.1" not in got.body


async def test_failing_mains(front: Any) -> None:
    """A refused connection, garbage and silence become 502, 502 and 504."""
    garbage = saying(b"SSH-2.0-OpenSSH\r\n")
    silent = saying(then="stay")
    for main, status in ((garbage, 502), (silent, 504), (saying(), 502)):
        patience = Timeouts(first_byte=0.2)
        async with served(front, main, timeouts=patience) as it:
            got = await fetch(it.port, get(b"/hello/"))
            assert got.status == status
            assert b"127.0.0.1" not in got.body
            assert str(it.main.port).encode() not in got.body
            await until(lambda: it.outcomes() == {"main_failed": 1})
    async with ScriptedUpstream(Echo()) as gone:
        address = gone.address
    router = ShadowRouter({"hello": Route({"1": address}, main="1")})
    async with front(router) as port:
        assert (await fetch(port, get(b"/hello/"))).status == 502
        await router.aclose()


GET = b"GET /hello/ HTTP/1.1\r\nHost: h\r\n"
POST = b"POST /hello/ HTTP/1.1\r\nHost: h\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
NO_CHUNK = b"\r\n0\r\n\r\n"

HOSTILE = {
    "length and coding": POST + b"Content-Length: 3\r\n" + CHUNKED + NO_CHUNK,
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "signed length": POST + b"Content-Length: +3\r\n\r\nabc",
    "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n" + NO_CHUNK,
    "chunked twice": POST + 2 * CHUNKED + NO_CHUNK,
    "coding in 1.0": POST.replace(b"1.1", b"1.0") + CHUNKED + NO_CHUNK,
    "two hosts": GET + b"Host: b\r\n\r\n",
    "no host": b"GET /hello/ HTTP/1.1\r\nX-A: b\r\n\r\n",
    "bad host": b"GET /hello/ HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "space before colon": GET + b"X-A : b\r\n\r\n",
    "nul": GET + b"X-A: a\0b\r\n\r\n",
    "folded": GET + b"X-A: a\r\n b\r\n\r\n",
    "connect": b"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n",
    "trace": b"TRACE /hello/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "star": b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    "many headers": GET + b"A: b\r\n" * 1001 + b"\r\n",
    "large header": GET + b"A: %b\r\n\r\n" % (b"x" * 300_000),
    "long target": GET.replace(b"/hello/", b"/hello/?" + b"x" * 300_000) + b"\r\n",
}

# What a server makes harmless before the router sees it: it reaches main as an
# ordinary request, its framing made anew.
HARMLESS = {
    ("granian", "length and coding"),
    ("granian", "two lengths"),
    ("hypercorn", "folded"),
    ("uvicorn-h11", "folded"),
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
@pytest.mark.parametrize("server", sorted(FRONTS))
async def test_hostile_requests_do_not_reach_main(server: str, kind: str) -> None:
    """Malformed and ambiguous ones are refused, by the server or by us."""
    main = Echo()
    async with served(FRONTS[server], main) as it:
        async with connected(it.port) as client:
            with contextlib.suppress(ConnectionError):
                await client.send(HOSTILE[kind])
            got = await asyncio.wait_for(client.answer(), 5)
        if (server, kind) in HARMLESS:
            assert len(main.requests) <= 1
        else:
            assert got.status in (0, 400, 404, 405, 414, 431, 501)
            assert main.requests == []


def comparable(got: RawAnswer) -> tuple[object, ...]:
    """Return what must not differ between two answers."""
    headers = [h for h in got.headers if h[0] != b"date"]
    return got.status, headers, got.body, got.is_whole


async def endless(wire: Wire) -> None:
    """Answer without end."""
    await wire.request()
    await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await wire.send(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")


async def dribbling(wire: Wire) -> None:
    """Answer one byte at a time."""
    await wire.request()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
    await wire.send(*[head[i : i + 1] for i in range(len(head))], pause=0.05)


BAD_SHADOWS: dict[str, Script] = {
    "answers 500": saying(answer(b"shadow", status=b"500 Oops")),
    "hangs": saying(then="stay"),
    "closes": saying(),
    "resets": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", then="reset"),
    "garbage": saying(b"\x00\xff" * 1000),
    "endless": endless,
    "endless headers": saying(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000),
    "dribbles": dribbling,
    "answers twice": saying(answer(b"shadow") + answer(b"shadow"), then="stay"),
}


@pytest.mark.parametrize("kind", sorted(BAD_SHADOWS))
async def test_a_bad_shadow_changes_no_byte(front: Any, kind: str) -> None:
    """Status, headers and body are those of a run without shadows."""
    async with (
        served(front, Echo(), BAD_SHADOWS[kind]) as it,
        ScriptedUpstream(Echo()) as alone,
        connected(it.port) as client,
    ):
        router = ShadowRouter({"hello": Route({"1": alone.address}, main="1")})
        async with front(router) as port, connected(port) as other:
            for number in range(5):
                request = get(b"/hello/%d" % number, method=b"POST", body=b"x" * 5000)
                await client.send(request)
                await other.send(request)
                got = await asyncio.wait_for(client.answer(), 5)
                expected = await asyncio.wait_for(other.answer(), 5)
                assert comparable(got) == comparable(expected)
                assert b"shadow" not in got.body
            await router.aclose()


async def test_a_dead_shadow_changes_no_byte(front: Any) -> None:
    """A shadow that nobody listens for is counted as refused."""
    async with ScriptedUpstream(Echo()) as gone:
        address = gone.address
    async with ScriptedUpstream(Echo()) as main:
        route = Route({"1": main.address, "2": address}, main="1")
        router = ShadowRouter({"hello": route})
        async with front(router) as port:
            got = await fetch(port, get(b"/hello/"))
            assert got.body == b"main"
            await router.aclose()
            shadows: Any = router.stats()["shadows"]
            assert shadows["hello"]["2"]["outcomes"] == {"refused": 1}
