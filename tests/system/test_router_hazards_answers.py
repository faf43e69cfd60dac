"""Answers that must not be believed, or must stay whole, on every server."""

import asyncio
from typing import Any

import pytest

from daeploy_lib.domain.route import Route
from daeploy_lib.router import pool
from daeploy_lib.router.policy import Timeouts
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.testing import ReceivedRequest, ScriptedUpstream, Wire, answer
from router_fronts import FRONTS, Echo, connected, fetch, get, unaccepting, until
from router_served import ByPath, replying, say, served


@pytest.fixture(params=sorted(FRONTS))
def front(request: pytest.FixtureRequest) -> Any:
    """Every server that is installed, one after another."""
    return FRONTS[request.param]


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
BAD = {
    "two lengths": OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nSECR",
    "length and coding": OK + b"Content-Length: 3\r\n" + CHUNKED + b"\r\nSECRET",
    "signed length": OK + b"Content-Length: +3\r\n\r\nSECRET",
    "unknown coding": OK + b"Transfer-Encoding: gzip\r\n\r\nSECRET",
    "coding twice": OK + CHUNKED + CHUNKED + b"\r\n6\r\nSECRET\r\n0\r\n\r\n",
    "gzip, chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "nul": OK + b"X-A: SECRET\0b\r\nContent-Length: 0\r\n\r\n",
    "bare CR": OK + b"X-A: SECRET\rSet-Cookie: x\r\nContent-Length: 0\r\n\r\n",
    "control": OK + b"X-A: SECRET\x01\r\nContent-Length: 0\r\n\r\n",
    "space before colon": OK + b"X-A : SECRET\r\nContent-Length: 0\r\n\r\n",
    "no colon": OK + b"SECRET\r\nContent-Length: 0\r\n\r\n",
    "folded": OK + b"X-A: b\r\n SECRET\r\nContent-Length: 0\r\n\r\n",
    "status 99": b"HTTP/1.1 099 SECRET\r\nContent-Length: 0\r\n\r\n",
    "status 600": b"HTTP/1.1 600 SECRET\r\nContent-Length: 0\r\n\r\n",
    "status 1000": b"HTTP/1.1 1000 SECRET\r\nContent-Length: 0\r\n\r\n",
    "unasked 101": b"HTTP/1.1 101 SECRET\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "only 1xx": b"HTTP/1.1 103 SECRET\r\n\r\n",
    "many 1xx": b"HTTP/1.1 103 SECRET\r\n\r\n" * 100,
    "HTTP/2": b"HTTP/2.0 200 OK\r\nContent-Length: 6\r\n\r\nSECRET",
    "junk": b"SECRET\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03SECRET",
    "nothing": b"",
    "half a head": OK + b"X-A: SECRET\r\n",
}


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_bad_answers_become_502(front: Any, end: str) -> None:
    """Nothing of them is relayed, and their connections are not used again."""
    paths = {b"/%d" % i: replying(bad, then=end) for i, bad in enumerate(BAD.values())}
    main = ByPath(paths)
    async with served(front, main) as it, connected(it.port) as client:
        for number, kind in enumerate(BAD):
            await client.send(get(b"/hello/%d" % number))
            got = await asyncio.wait_for(client.answer(), 5)
            assert (got.status, got.is_whole) == (502, True), kind
            assert b"SECRET" not in got.body
            assert b"127.0.0.1" not in got.body
            assert not any(b"SECRET" in value for _, value in got.headers)
        await it.settled()
        assert it.outcomes() == {"main_failed": len(BAD)}
        # One request each: an answer that broke off is no reason to ask again.
        assert len(main.requests) == len(it.main.wires) == len(BAD)


HALF = {
    "length": OK + b"Content-Length: 100\r\n\r\nabc",
    "chunks": OK + CHUNKED + b"\r\n3\r\nabc\r\n",
    "half a chunk": OK + CHUNKED + b"\r\n9\r\nabc",
    "bad chunk": OK + CHUNKED + b"\r\n3\r\nabc\r\nzz\r\n",
}


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_broken_answers_look_broken(front: Any, end: str) -> None:
    """The client of a main that breaks off is never told that this was the end."""
    halves = dict(HALF)
    if end == "reset":
        halves["until close"] = OK + b"\r\nabc"
    replies = {}
    for number, half in enumerate(halves.values()):
        taken = asyncio.Event()

        async def reply(
            wire: Wire,
            request: ReceivedRequest,
            half: bytes = half,
            taken: asyncio.Event = taken,
        ) -> None:
            del request
            await wire.send(half)
            await taken.wait()
            await say(wire, then=end)

        replies[b"/%d" % number] = (reply, taken)
    main = ByPath({path: reply for path, (reply, _) in replies.items()})
    async with served(front, main) as it:
        for path, (_, taken) in replies.items():
            async with connected(it.port) as client:
                await client.send(get(b"/hello" + path))
                status, headers = await asyncio.wait_for(client.head(), 5)
                assert status == 200
                taken.set()
                rest = await asyncio.wait_for(_until_end(client), 5)
                assert b"\r\n0\r\n\r\n" not in rest
                if (b"content-length", b"100") in headers:
                    assert len(rest) < 100
                else:
                    assert (b"transfer-encoding", b"chunked") in headers
        assert it.router.stats()["broken"] == len(replies)
        await it.settled()
        assert it.outcomes() == {"main_failed": len(replies)}


async def _until_end(client: Any) -> bytes:
    content = b""
    try:
        while part := await client.reader.read(65536):
            content += part
    except ConnectionError:
        pass
    return content


async def test_an_answer_ends_where_it_says(front: Any) -> None:
    """Surplus is cut; HEAD, 204 and 304 have no body; a FIN ends what has no length."""
    main = ByPath(
        {
            b"/surplus": replying(OK + b"Content-Length: 3\r\n\r\nabcdef", then="stay"),
            b"/fin": replying(OK + b"X-A: 1\r\n\r\nabc", b"def"),
            b"/fin10": replying(b"HTTP/1.0 200 OK\r\n\r\nabc"),
            b"/204": replying(
                b"HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n", then="serve"
            ),
            b"/304": replying(
                b"HTTP/1.1 304 No\r\nContent-Length: 3\r\n\r\n", then="serve"
            ),
            b"/head": replying(OK + b"Content-Length: 3\r\n\r\n", then="serve"),
            b"/headbody": replying(OK + b"Content-Length: 3\r\n\r\nabc", then="stay"),
            b"/headchunked": replying(OK + CHUNKED + b"\r\n", then="serve"),
            b"/empty": replying(OK + CHUNKED + b"\r\n0\r\n\r\n", then="serve"),
            b"/hints": replying(
                b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"final"),
                then="serve",
            ),
            b"/trailers": replying(
                OK
                + b"Trailer: X-T\r\n"
                + CHUNKED
                + b"\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
                then="serve",
            ),
        }
    )
    wanted = [
        (b"GET", b"/surplus", 200, b"abc"),
        (b"GET", b"/fin", 200, b"abcdef"),
        (b"GET", b"/fin10", 200, b"abc"),
        (b"GET", b"/204", 204, b""),
        (b"GET", b"/304", 304, b""),
        (b"HEAD", b"/head", 200, b""),
        (b"HEAD", b"/headbody", 200, b""),
        (b"HEAD", b"/headchunked", 200, b""),
        (b"GET", b"/empty", 200, b""),
        (b"GET", b"/hints", 200, b"final"),
        (b"GET", b"/trailers", 200, b"abc"),
        (b"GET", b"/after", 200, b"ok"),
    ]
    # All on one connection: a byte too many or too few would shift the next.
    async with served(front, main) as it, connected(it.port) as client:
        for method, path, status, body in wanted:
            await client.send(get(b"/hello" + path, method=method))
            got = await asyncio.wait_for(client.answer(method=method), 5)
            found = (got.status, got.body, got.is_whole)
            assert found == (status, body, True), path
            assert got.header(b"x-t") == got.header(b"link") == []
            if path == b"/head":
                assert got.header(b"content-length") == [b"3"]
            if status == 204:
                assert got.header(b"content-length") == []


async def test_a_surplus_answer_is_never_somebody_elses(front: Any) -> None:
    """Two answers to one request: the second one reaches nobody."""

    async def main(wire: Wire) -> None:
        request = await wire.request()
        name = request.line.split()[1]
        await wire.send(answer(name) + answer(b"STRANGER"))
        await wire.until_closed()

    async with served(front, main, main) as it, connected(it.port) as client:
        for number in range(20):
            await client.send(get(b"/hello/%d" % number))
            got = await asyncio.wait_for(client.answer(), 5)
            assert got.body == b"/%d" % number
        await until(lambda: all(wire.has_ended for wire in it.main.wires))
        await it.settled()
        assert len(it.main.wires) == len(it.shadow.wires) == 20


class Dying:
    """A version that answers once on a connection and then closes on a request."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    async def __call__(self, wire: Wire) -> None:
        """Serve one request and read another."""
        self.lines.append((await wire.request()).line)
        await wire.send(answer(b"ok"))
        self.lines.append((await wire.request()).line)
        wire.close()


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        (b"GET", b"", 200),
        (b"HEAD", b"", 200),
        (b"DELETE", b"", 200),
        (b"POST", b"", 502),
        (b"PATCH", b"", 502),
        (b"PUT", b"x", 502),
    ],
)
async def test_only_main_and_only_what_is_harmless_is_retried(
    front: Any, method: bytes, body: bytes, status: int
) -> None:
    """A reused connection that dies costs a GET nothing; shadows are asked once."""
    main, shadow = Dying(), Dying()
    async with served(front, main, shadow) as it:
        await fetch(it.port, get(b"/hello/first"))
        await it.settled()
        got = await fetch(it.port, get(b"/hello/second", method=method, body=body))
        assert got.status == status
        await it.settled()
        sent = [line for line in main.lines if b"/second" in line]
        assert len(sent) == (2 if status == 200 else 1)
        copied = [line for line in shadow.lines if b"/second" in line]
        assert len(copied) == 1
        counted = {"incomparable": 1, "shadow_error": 1}
        if status != 200:
            counted = {"incomparable": 1, "main_failed": 1}
        # A shadow may have been seen to end before main did.
        assert it.outcomes() in (counted, {"incomparable": 1, "shadow_error": 1})


async def test_an_idle_connection_is_given_up_before_its_version_does(
    front: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the pool's idle time, below every server's, the next one is new."""
    monkeypatch.setattr(pool, "MAX_IDLE_SECONDS", 0.05)
    assert pool.MAX_IDLE_SECONDS < 5
    main = Echo()
    async with served(front, main, main) as it:
        assert (await fetch(it.port, get(b"/hello/"))).status == 200
        await until(lambda: it.router.stats()["connections"] == 0)
        assert (await fetch(it.port, get(b"/hello/"))).status == 200
        assert len(it.main.wires) == 2


async def test_every_failure_before_the_answer_has_its_status(front: Any) -> None:
    """Refused 502, not accepting 504, silent 504, no main 503; no address is told."""
    async with ScriptedUpstream(Echo()) as upstream:
        gone = upstream.address

    async def silent(wire: Wire) -> None:
        await wire.until_closed()

    async with ScriptedUpstream(silent) as hung:
        with unaccepting() as full:
            routes = {
                "refused": Route({"1": gone}, main="1"),
                "full": Route({"1": full}, main="1"),
                "silent": Route({"1": hung.address}, main="1"),
                "mainless": Route({"1": hung.address}),
            }
            timeouts = Timeouts(connect=0.1, first_byte=0.1)
            router = ShadowRouter(routes, timeouts=timeouts)
            async with front(router) as port:
                for name, status in (
                    (b"refused", 502),
                    (b"full", 504),
                    (b"silent", 504),
                    (b"mainless", 503),
                    (b"unknown", 404),
                ):
                    got = await fetch(port, get(b"/%b/" % name))
                    assert (got.status, got.is_whole) == (status, True), name
                    assert b"127.0.0.1" not in got.body
                await router.aclose()
                assert router.stats()["connections"] == 0


async def test_an_answer_that_stands_still_is_broken_off(front: Any) -> None:
    """After the idle time the client's connection ends, before the body's end."""

    async def main(wire: Wire) -> None:
        await wire.request()
        await wire.send(OK + b"Content-Length: 100\r\n\r\nabc")
        await wire.until_closed()

    async with served(front, main, timeouts=Timeouts(idle=0.1)) as it:
        got = await asyncio.wait_for(fetch(it.port, get(b"/hello/")), 5)
        assert (got.status, got.is_whole) == (200, False)
        await until(lambda: it.main.wires[0].has_ended)
