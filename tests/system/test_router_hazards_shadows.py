"""Shadows that misbehave, and what main's clients see of it, on every server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest

from daeploy_lib.domain.route import Route
from daeploy_lib.router.policy import Limits, Timeouts
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.testing import (
    ReceivedRequest,
    Script,
    ScriptedUpstream,
    Wire,
    answer,
)
from router_fronts import FRONTS, Echo, connected, get, until
from router_served import ByPath, saying, served

MIB = 1024 * 1024
MARKER = b"OF-A-SHADOW"
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(params=sorted(FRONTS))
def front(request: pytest.FixtureRequest) -> Any:
    """Every server that is installed, one after another."""
    return FRONTS[request.param]


async def endless(wire: Wire) -> None:
    """Answer without end."""
    await wire.request()
    await wire.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        await wire.send(b"1000\r\n" + MARKER.ljust(0x1000) + b"\r\n")


async def endless_headers(wire: Wire) -> None:
    """Begin an answer without end."""
    await wire.request()
    await wire.send(OK)
    while True:
        await wire.send(b"X-Marker: %b\r\n" % MARKER * 100)


async def dribbling(wire: Wire) -> None:
    """Answer one byte at a time, so slowly that it never ends."""
    await wire.request()
    await wire.send(OK + b"Content-Length: 1000\r\n\r\n")
    while True:
        await wire.send(b"x")
        await asyncio.sleep(0.02)


async def deaf(wire: Wire) -> None:
    """Accept and do nothing at all."""
    del wire
    await asyncio.Event().wait()


async def marked(wire: Wire) -> None:
    """Answer well, with the marker everywhere."""
    while True:
        await wire.request()
        fields = [(b"Set-Cookie", MARKER), (b"X-Marker", MARKER)]
        await wire.send(answer(MARKER, status=b"418 " + MARKER, headers=fields))


MISBEHAVING: dict[str, Script] = {
    "answers otherwise": marked,
    "never reads": deaf,
    "never answers": saying(then="stay"),
    "closes": saying(),
    "resets": saying(OK + b"Content-Length: 99\r\n\r\n" + MARKER, then="reset"),
    "garbage": saying(MARKER * 1000, then="stay"),
    "endless": endless,
    "endless headers": endless_headers,
    "endless interim": saying(b"HTTP/1.1 103 A\r\n\r\n" * 1000, then="stay"),
    "dribbles": dribbling,
    "answers twice": saying(answer(MARKER) + answer(MARKER), then="stay"),
    "answers before the body": saying(answer(MARKER), then="close"),
}


@contextlib.asynccontextmanager
async def surrounded(
    front: Any, main: Script, *, shadows: bool = True, **options: Any
) -> AsyncIterator[tuple[int, ShadowRouter]]:
    """Serve /hello with a main and every misbehaving shadow at once, or none."""
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(ScriptedUpstream(main))
        addresses = {"main": first.address}
        for number, script in enumerate(MISBEHAVING.values() if shadows else ()):
            upstream = ScriptedUpstream(script, backlog=512)
            await stack.enter_async_context(upstream)
            addresses[f"s{number}"] = upstream.address
        router = ShadowRouter(
            {"hello": Route(addresses, main="main")}, **{"compare": None, **options}
        )
        port = await stack.enter_async_context(front(router))
        yield port, router
        await router.aclose(drain=0.0)


def shadows_of(router: ShadowRouter) -> dict[str, dict[str, Any]]:
    """Return what is known of each shadow."""
    stats: Any = router.stats()
    found: dict[str, dict[str, Any]] = stats["shadows"]["hello"]
    return found


async def echoing(wire: Wire, request: ReceivedRequest) -> None:
    """Answer with the request's own body, in chunks."""
    body = request.body
    await wire.send(OK + b"X-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
    await wire.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))


async def asked(port: int) -> list[tuple[object, ...]]:
    """Return what a client gets for a series of requests on one connection."""
    got: list[tuple[object, ...]] = []
    async with connected(port) as client:
        for number in range(15):
            body = b"%d" % number * 3000
            await client.send(get(b"/hello/echo", method=b"POST", body=body))
            await client.send(get(b"/hello/%d" % number))
            for _ in range(2):
                one = await asyncio.wait_for(client.answer(), 5)
                fields = [field for field in one.headers if field[0] != b"date"]
                got.append((one.status, fields, one.body, one.is_whole))
    return got


async def test_no_shadow_changes_a_byte_or_outlives_its_deadline(front: Any) -> None:
    """All at once: main's bytes are the same, and every pair is counted."""
    main = ByPath({b"/echo": echoing})
    async with surrounded(front, main, shadows=False) as (port, _):
        expected = await asked(port)
    limits = Limits(max_in_flight=8, max_capture_bytes=64 * 1024)
    timeouts = Timeouts(shadow=0.4)
    process = psutil.Process()
    async with surrounded(front, main, limits=limits, timeouts=timeouts) as it:
        port, router = it
        before = process.memory_info().rss
        assert await asked(port) == expected
        assert await asked(port) == expected
        found = shadows_of(router)
        assert all(one["in_flight"] <= 8 for one in found.values())
        await until(
            lambda: not any(one["in_flight"] for one in shadows_of(router).values())
        )
        for version, one in shadows_of(router).items():
            assert sum(one["outcomes"].values()) == one["requests"] == 60, version
        assert router.stats()["held_bytes"] == 0
        assert router.stats()["in_flight"] == 0
        # The shadows that send without end live in the same process.
        assert process.memory_info().rss - before < 192 * MIB
    assert MARKER not in repr(expected).encode()


async def test_nothing_of_a_shadow_reaches_a_client(front: Any) -> None:
    """However many requests, connections and kinds: the marker is never seen."""

    async def client(port: int) -> bytes:
        async with connected(port) as one:
            seen = b""
            for number in range(50):
                await one.send(get(b"/hello/%d" % number))
                got = await asyncio.wait_for(one.answer(), 10)
                assert got.status == 200
                seen += got.body + b"".join(b"".join(field) for field in got.headers)
            return seen

    async with served(front, ByPath({}), marked) as it:
        for seen in await asyncio.gather(*(client(it.port) for _ in range(10))):
            assert MARKER not in seen
        await it.settled()
        assert it.outcomes() == {"incomparable": 500}


async def test_shadows_do_not_wait_for_one_another(front: Any) -> None:
    """A shadow gets its copies although another one has taken none of its own."""
    healthy = Echo(b"shadow")
    async with (
        ScriptedUpstream(ByPath({})) as main,
        ScriptedUpstream(deaf) as first,
        ScriptedUpstream(healthy) as second,
    ):
        addresses = {"1": main.address, "2": first.address, "3": second.address}
        router = ShadowRouter({"hello": Route(addresses, main="1")})
        async with front(router) as port, connected(port) as client:
            for number in range(10):
                await client.send(get(b"/hello/%d" % number))
                assert (await asyncio.wait_for(client.answer(), 5)).status == 200
            await until(lambda: len(healthy.requests) == 10)
            assert shadows_of(router)["2"]["in_flight"] == 10
            await router.aclose(drain=0.0)
