"""Streaming, back-pressure and clients that leave, on every server."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from daeploy_lib.router.policy import Timeouts
from daeploy_lib.testing import Script, Wire, answer
from router_fronts import FRONTS, Echo, connected, fetch, get, until
from router_served import served

MIB = 1024 * 1024
CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"
POST = b"POST /hello/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(params=sorted(FRONTS))
def front(request: pytest.FixtureRequest) -> Any:
    """Every server that is installed, one after another."""
    return FRONTS[request.param]


async def standing_still(count: Callable[[], int]) -> int:
    """Wait until a count that has begun does not grow any more; return it."""
    await until(count)
    last, same = -1, 0
    while same < 20:
        same = same + 1 if count() == last else 0
        last = count()
        await asyncio.sleep(0.01)
    return last


async def test_a_client_that_does_not_read_stops_main(front: Any) -> None:
    """An endless answer stays with main; what is in between is bounded."""
    sent = 0

    async def main(wire: Wire) -> None:
        nonlocal sent
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await wire.send(CHUNK)
            sent += 65536

    async with served(front, main) as it, connected(it.port) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(get(b"/hello/"))
        # The sockets of both hops, and a buffer of ours and the server's each.
        assert await standing_still(lambda: sent) < 32 * MIB
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        stopped = sent
        await client.head()
        while sent < stopped + 8 * MIB:
            await client.chunk()
        client.close()
        await until(lambda: it.router.stats()["client_gone"] == 1)
        await it.settled()


async def test_a_main_that_does_not_read_stops_the_client(front: Any) -> None:
    """An endless upload stays with the client, and so it does for the copy."""
    sent = 0

    async def deaf(wire: Wire) -> None:
        await wire.head()
        await asyncio.Event().wait()

    async def taking(wire: Wire) -> None:
        await wire.head()
        async for _ in wire.chunks():
            pass

    timeouts = Timeouts(idle=0.5)
    async with (
        served(front, deaf, taking, timeouts=timeouts) as it,
        connected(it.port) as client,
    ):

        async def upload() -> None:
            nonlocal sent
            await client.send(POST)
            while True:
                await client.send(CHUNK)
                sent += 65536

        uploading = asyncio.ensure_future(upload())
        assert await standing_still(lambda: sent) < 32 * MIB
        uploading.cancel()
        await asyncio.gather(uploading, return_exceptions=True)
        assert it.router.stats()["held_bytes"] == 0
        client.close()
        # Nobody reads from the client now, so that it left shows at the latest when
        # main has taken nothing for the idle time. (hypercorn then keeps waiting
        # to write to it, with nothing of the exchange left.)
        await until(it.outcomes)
        assert set(it.outcomes()) <= {"client_gone", "main_failed"}
        await until(lambda: it.router.stats()["connections"] == 0)


async def test_a_deaf_shadow_does_not_slow_an_upload(front: Any) -> None:
    """Main gets all of it; the copy is aborted past its lag, and counted."""
    size = 0

    async def main(wire: Wire) -> None:
        nonlocal size
        await wire.head()
        async for chunk in wire.chunks():
            size += len(chunk)
        await wire.send(answer(b"ok"))

    async def deaf(wire: Wire) -> None:
        await wire.head()
        await asyncio.Event().wait()

    async with served(front, main, deaf) as it, connected(it.port) as client:
        await client.send(POST)
        for _ in range(512):
            await client.send(CHUNK)
        await client.send(b"0\r\n\r\n")
        got = await asyncio.wait_for(client.answer(), 10)
        assert (got.body, size) == (b"ok", 32 * MIB)
        await it.settled()
        assert it.outcomes() == {"dropped_bytes": 1}
        assert it.router.stats()["held_bytes"] == 0


async def test_events_come_one_by_one_whatever_the_shadow_does(front: Any) -> None:
    """Each event is with the client before main makes the next one."""
    turn = asyncio.Event()

    async def main(wire: Wire) -> None:
        await wire.request()
        await wire.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for number in range(5):
            await wire.send(b"9\r\ndata: %d\n\n\r\n" % number)
            await turn.wait()
            turn.clear()
        await wire.send(b"0\r\n\r\n")

    async def hung(wire: Wire) -> None:
        await wire.until_closed()

    async with served(front, main, hung) as it, connected(it.port) as client:
        await client.send(get(b"/hello/events"))
        status, _ = await client.head()
        assert status == 200
        for number in range(5):
            chunk = await asyncio.wait_for(client.chunk(), 5)
            assert chunk == b"data: %d\n\n" % number
            turn.set()
        assert await client.chunk() == b""


@pytest.mark.parametrize("when", ["before", "within"])
async def test_a_client_that_leaves_leaves_nothing(front: Any, when: str) -> None:
    """Main and copy end at once, nothing is reused, and no error is logged."""

    async def main(wire: Wire) -> None:
        await wire.request()
        if when == "within":
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        await wire.until_closed()

    async with served(front, main, main) as it:
        async with connected(it.port) as client:
            await client.send(get(b"/hello/"))
            await until(lambda: it.shadow.wires and it.shadow.wires[0].received)
            if when == "within":
                await client.head()
        for upstream in (it.main, it.shadow):
            await until(lambda: upstream.wires[0].has_ended, "ended", 1.0)  # noqa: B023
        await it.settled()
        assert it.outcomes() == {"client_gone": 1}
        assert it.router.stats()["client_gone"] == 1
        await until(lambda: it.router.stats()["connections"] == 0)
        # Nothing is left that the next client could get.
        async with connected(it.port) as client:
            await client.send(get(b"/unknown/"))
            assert (await asyncio.wait_for(client.answer(), 5)).status == 404


async def test_a_half_closed_client_is_as_its_server_sees_it(front: Any) -> None:
    """Its answer comes, or nothing does: never half of one."""
    go = asyncio.Event()

    async def main(wire: Wire) -> None:
        await wire.request()
        await go.wait()
        await wire.send(answer(b"whole"))

    async with served(front, main) as it, connected(it.port) as client:
        await client.send(get(b"/hello/"))
        await until(lambda: it.main.wires and it.main.wires[0].received)
        client.writer.write_eof()
        if front is FRONTS.get("hypercorn"):
            go.set()
            got = await asyncio.wait_for(client.answer(), 5)
            assert got.body == b"whole"
        else:  # uvicorn and granian take it for one that has left
            await until(lambda: it.router.stats()["client_gone"] == 1)
            assert await asyncio.wait_for(client.reader.read(), 5) == b""


async def test_an_early_answer_ends_the_upload(front: Any) -> None:
    """A 413 is relayed while the client sends; main gets no more of the body."""

    async def main(wire: Wire) -> None:
        await wire.head()
        await wire.send(answer(b"too big", status=b"413 Too Large"))
        await wire.until_closed()  # a reset could overtake the answer

    async with served(front, main, Echo()) as it, connected(it.port) as client:
        await client.send(POST + CHUNK)
        got = await asyncio.wait_for(client.answer(), 5)
        assert (got.status, got.body) == (413, b"too big")
        await until(lambda: it.main.wires[0].has_ended)
        await it.settled()
        assert it.outcomes() == {"main_failed": 1}
        assert (await fetch(it.port, get(b"/unknown/"))).status == 404


def counted(into: list[int]) -> Script:
    """Return a script that counts bytes of uploads."""

    async def script(wire: Wire) -> None:
        await wire.head()
        async for chunk in wire.chunks():
            into.append(len(chunk))  # noqa: PERF401 - looked at meanwhile
        await wire.send(answer(b"ok"))
        await wire.until_closed()

    return script


async def test_both_ways_at_once(front: Any) -> None:
    """A version that answers while it reads gets the whole upload."""
    got: list[int] = []

    async def main(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        async for chunk in wire.chunks():
            got.append(len(chunk))
            await wire.send(b"1\r\n.\r\n")
        await wire.send(b"0\r\n\r\n")
        await wire.until_closed()

    async with served(front, main, counted([])) as it, connected(it.port) as client:
        await client.send(POST)
        for number in range(20):
            await client.send(b"2\r\nab\r\n")
            await until(lambda: len(got) > number)  # noqa: B023
        await client.send(b"0\r\n\r\n")
        answered = await asyncio.wait_for(client.answer(), 5)
        assert (answered.status, answered.is_whole) == (200, True)
        assert answered.body == b"." * len(got)
        assert sum(got) == 40
