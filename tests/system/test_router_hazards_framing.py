"""Requests that two readers could take for different ones, on every server."""

import asyncio
import contextlib
from functools import partial
from typing import Any

import pytest

from daeploy_lib.domain.route import Route
from daeploy_lib.router.policy import Timeouts
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.testing import ScriptedUpstream, Wire
from router_fronts import FRONTS, Echo, connected, get, until
from router_served import ByPath, served


@pytest.fixture(params=sorted(FRONTS))
def front(request: pytest.FixtureRequest) -> Any:
    """Every server that is installed, one after another."""
    return FRONTS[request.param]


GET = b"GET /hello/ HTTP/1.1\r\nHost: h\r\n"
POST = b"POST /hello/ HTTP/1.1\r\nHost: h\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

# No second reader may find a request of its own in what is left of these.
SMUGGLED = b"GET /hello/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

REFUSED = {
    "hexadecimal length": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "negative length": POST + b"Content-Length: -3\r\n\r\nabc",
    "list of lengths": POST + b"Content-Length: 3, 4\r\n\r\nabcd",
    "lengths apart": POST + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
    "coding identity": POST + b"Transfer-Encoding: identity\r\n\r\n" + SMUGGLED,
    "coding xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + SMUGGLED,
    "chunked, gzip": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + SMUGGLED,
    "length and coding": POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "coding behind tab": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "coding in 1.0": POST.replace(b"1.1", b"1.0") + CHUNKED + b"\r\n0\r\n\r\n",
    "bare CR in value": GET + b"X-A: a\rX-B: b\r\n\r\n",
    "control in value": GET + b"X-A: a\x01b\r\n\r\n",
    "delete in value": GET + b"X-A: a\x7fb\r\n\r\n",
    "name with a bracket": GET + b"X(A): b\r\n\r\n",
    "name with a space": GET + b"X A: b\r\n\r\n",
    "no name": GET + b": b\r\n\r\n",
    "host with a user": GET.replace(b": h", b": a@h") + b"\r\n",
    "host with a space": GET.replace(b": h", b": a h") + b"\r\n",
    "empty host": GET.replace(b": h", b":") + b"\r\n",
    "host twice alike": GET + b"Host: h\r\n\r\n",
    "bad chunk size": POST + CHUNKED + b"\r\nzz\r\nabc\r\n0\r\n\r\n",
    "chunk too long": POST + CHUNKED + b"\r\n3\r\nabcdef\r\n0\r\n\r\n",
    "huge chunk size": POST + CHUNKED + b"\r\n" + b"f" * 40 + b"\r\nabc\r\n0\r\n\r\n",
}

# What a server makes into an ordinary request before the router sees it. Its
# framing is made anew, so it has one meaning only.
MADE_PLAIN = {("granian", "length and coding")}


@pytest.mark.parametrize("server", sorted(FRONTS))
async def test_nothing_ambiguous_is_forwarded(server: str) -> None:
    """It is refused, the connection ends, and no version sees a whole request."""
    main = ByPath({})
    wanted = 0
    async with served(FRONTS[server], main) as it:
        for kind, request in REFUSED.items():
            async with connected(it.port) as client:
                with contextlib.suppress(ConnectionError):
                    await client.send(request)
                got = await asyncio.wait_for(client.answer(), 5)
                if (server, kind) in MADE_PLAIN:
                    wanted += got.status == 200
                else:
                    # granian has no word for a body that it cannot read.
                    bad_body = (500,) if "chunk" in kind else ()
                    assert got.status in (0, 400, 404, 501, *bad_body), kind
                    rest = await asyncio.wait_for(client.reader.read(), 5)
                    assert b"HTTP/1.1 200" not in rest, kind
            assert len(main.requests) == wanted, kind
    assert not any(b"smuggled" in request.line for request in main.requests)


async def test_equal_lengths_are_one_or_none(front: Any) -> None:
    """A length that is repeated is merged or refused; never forwarded twice."""
    main = Echo()
    lengths = b"Content-Length: 3\r\nContent-Length: 3\r\n"
    async with served(front, main) as it, connected(it.port) as client:
        await client.send(POST + lengths + b"\r\nabc")
        got = await asyncio.wait_for(client.answer(), 5)
        assert got.status in (0, 200, 400)
        assert len(main.requests) == (got.status == 200)
        for request in main.requests:
            assert request.header(b"content-length") == [b"3"]
            assert request.body == b"abc"


@pytest.mark.parametrize("framing", [b"Content-Length: 3", CHUNKED.strip()])
async def test_what_follows_a_body_is_the_next_request(
    front: Any, framing: bytes
) -> None:
    """Bytes beyond a length, or after the last chunk, belong to no body."""
    main, shadow = ByPath({}), ByPath({})
    body = b"abc" if b"Length" in framing else b"3\r\nabc\r\n0\r\n\r\n"
    async with served(front, main, shadow) as it, connected(it.port) as client:
        second = get(b"/hello/second")
        await client.send(POST + framing + b"\r\n\r\n" + body + second)
        for _ in range(2):
            got = await asyncio.wait_for(client.answer(), 5)
            assert got.status == 200
        await until(lambda: len(shadow.requests) == 2)
        await it.settled()
    for version in (main, shadow):
        bodies = {request.line.split()[1]: request.body for request in version.requests}
        assert bodies == {b"/": b"abc", b"/second": b""}


async def test_junk_after_a_body_reaches_nobody(front: Any) -> None:
    """What is no request is cut off with its connection."""
    main = ByPath({})
    async with served(front, main) as it, connected(it.port) as client:
        await client.send(POST + b"Content-Length: 3\r\n\r\nabc\x00\xffjunk\r\n\r\n")
        await asyncio.wait_for(client.answer(), 5)
        assert [request.body for request in main.requests] in ([], [b"abc"])
        assert all(b"junk" not in wire.received for wire in it.main.wires)


async def test_trailers_of_a_request_go_nowhere(front: Any) -> None:
    """Neither into the headers of this request nor of the next one."""
    main, shadow = ByPath({}), ByPath({})
    async with served(front, main, shadow) as it, connected(it.port) as client:
        await client.send(
            POST + b"Trailer: X-Role\r\n" + CHUNKED + b"\r\n3\r\nabc\r\n0\r\n"
            b"X-Role: admin\r\nHost: evil\r\nContent-Length: 9\r\n\r\n"
        )
        first = await asyncio.wait_for(client.answer(), 5)
        assert first.status in (200, 400)
        if first.status == 200:
            await client.send(get(b"/hello/second"))
            assert (await asyncio.wait_for(client.answer(), 5)).status == 200
            await until(lambda: len(shadow.requests) == 2)
    for request in main.requests + shadow.requests:
        assert request.header(b"x-role") == []
        assert request.header(b"trailer") == []
        assert len(request.header(b"host")) == 1
        assert b"9" not in request.header(b"content-length")
    for wire in it.main.wires + it.shadow.wires:
        assert b"admin" not in wire.received


def has_received(upstream: ScriptedUpstream, part: bytes) -> bool:
    """Return whether the first connection has got this last."""
    return bool(upstream.wires) and upstream.wires[0].received.endswith(part)


@pytest.mark.parametrize("framing", [b"Content-Length: 10", CHUNKED.strip()])
async def test_a_broken_upload_is_an_aborted_request(
    front: Any, framing: bytes
) -> None:
    """Versions see the connection end, never a body that looks complete."""

    async def reading(wire: Wire) -> None:
        await wire.until_closed()

    part = b"abc" if b"Length" in framing else b"3\r\nabc\r\n"
    async with served(front, reading, reading) as it:
        async with connected(it.port) as client:
            await client.send(POST + framing + b"\r\n\r\n" + part)
            for upstream in (it.main, it.shadow):
                await until(partial(has_received, upstream, part))
        for upstream in (it.main, it.shadow):
            await until(lambda: upstream.wires[0].has_ended)  # noqa: B023
            assert upstream.wires[0].received.endswith(part)
        await it.settled()
        assert it.outcomes() == {"client_gone": 1}


async def test_an_upload_that_stops_is_408(front: Any) -> None:
    """A client that sends nothing more for the idle time is told so, and cut."""

    async def reading(wire: Wire) -> None:
        await wire.until_closed()

    timeouts = Timeouts(idle=0.2)
    async with (
        served(front, reading, reading, timeouts=timeouts) as it,
        connected(it.port) as client,
    ):
        await client.send(POST + b"Content-Length: 10\r\n\r\nabc")
        got = await asyncio.wait_for(client.answer(), 5)
        assert got.status == 408
        await until(lambda: it.main.wires[0].has_ended)
        await it.settled()
        assert it.outcomes() == {"main_failed": 1}


async def test_expect_is_not_answered_for_a_main_that_is_not_there(front: Any) -> None:
    """The client hears of the failure before it has sent its body for nothing."""
    async with ScriptedUpstream(Echo()) as gone:
        address = gone.address
    router = ShadowRouter({"hello": Route({"1": address}, main="1")})
    async with front(router) as port, connected(port) as client:
        await client.send(POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        status, _ = await asyncio.wait_for(client.head(), 5)
        # hypercorn answers Expect by itself, before the application runs.
        assert status == 502 or (front is FRONTS.get("hypercorn") and status == 100)
        await router.aclose()
