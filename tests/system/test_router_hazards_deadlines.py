"""Deadlines of copies, and that nothing is held after them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from daeploy_lib.domain.route import Route
from daeploy_lib.router.policy import Limits, Timeouts
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.testing import AsgiDriver, ScriptedUpstream, Wire
from router_fronts import FRONTS, connected, get, until
from router_served import ByPath, saying, served

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(params=sorted(FRONTS))
def front(request: pytest.FixtureRequest) -> Any:
    """Every server that is installed, one after another."""
    return FRONTS[request.param]


def shadows_of(router: ShadowRouter) -> dict[str, dict[str, Any]]:
    """Return what is known of each shadow."""
    stats: Any = router.stats()
    found: dict[str, dict[str, Any]] = stats["shadows"]["hello"]
    return found


async def dribbling(wire: Wire) -> None:
    """Answer one byte at a time, so slowly that it never ends."""
    await wire.request()
    await wire.send(OK + b"Content-Length: 1000\r\n\r\n")
    while True:
        await wire.send(b"x")
        await asyncio.sleep(0.02)


@pytest.mark.no_cover  # the same lines, thousands of times
async def test_ten_thousand_copies_to_a_hung_shadow_leave_nothing() -> None:
    """Drops and timeouts; afterwards no task, connection, timer or byte is held."""
    limits, timeouts = Limits(max_in_flight=50), Timeouts(shadow=0.3)
    async with (
        ScriptedUpstream(ByPath({})) as main,
        ScriptedUpstream(saying(then="stay"), backlog=512) as hung,
    ):
        route = Route({"1": main.address, "2": hung.address}, main="1")
        router = ShadowRouter(
            {"hello": route}, limits=limits, timeouts=timeouts, compare=None
        )
        driver = AsgiDriver(router)

        async def client() -> None:
            for _ in range(1000):
                call = driver.request("GET", b"/hello/")
                assert (await call.start())[0] == 200
                await call.body()

        await asyncio.gather(*(client() for _ in range(10)))
        await until(lambda: not shadows_of(router)["2"]["in_flight"])
        found = shadows_of(router)["2"]
        assert set(found["outcomes"]) == {"dropped_in_flight", "timeout"}
        assert sum(found["outcomes"].values()) == found["requests"] == 10_000
        await until(lambda: all(wire.has_ended for wire in hung.wires))
        # What is left are main's idle connections, and a task for each at main.
        await until(lambda: len(asyncio.all_tasks()) <= len(main.wires) + 1)
        assert router.stats()["held_bytes"] == 0
        (state,) = router._states.values()
        assert not any(map(len, (state.first_byte, state.idle, state.shadow)))
        await router.aclose()
        assert router.stats()["connections"] == 0


ECHOING_PROGRAM = """
import http.server, sys
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *arguments):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def program() -> Iterator[tuple[int, int]]:
    """Process id and port of a server that is a program of its own."""
    command = [sys.executable, "-c", ECHOING_PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        try:
            yield running.pid, int(running.stdout.readline())
        finally:
            running.kill()


async def test_a_stopped_shadow_is_dropped_and_comes_back(
    program: tuple[int, int],
) -> None:
    """SIGSTOP: clients notice nothing; after SIGCONT the shadow answers again."""
    pid, port = program
    async with ScriptedUpstream(ByPath({})) as main:
        addresses = {"1": main.address, "2": f"http://127.0.0.1:{port}"}
        timeouts = Timeouts(connect=0.2, shadow=0.2)
        router = ShadowRouter(
            {"hello": Route(addresses, main="1")}, timeouts=timeouts, compare=None
        )

        async def ask(count: int) -> dict[str, int]:
            for _ in range(count):
                call = AsgiDriver(router).request("GET", b"/hello/")
                assert (await call.start())[0] == 200
                assert await call.body() == b"ok"
            await until(lambda: not shadows_of(router)["2"]["in_flight"])
            return dict(shadows_of(router)["2"]["outcomes"])

        first = await ask(3)
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        stopped = await ask(20)
        assert stopped["timeout"] - first.get("timeout", 0) == 20
        os.kill(pid, signal.SIGCONT)
        # On a busy machine the first ones may still be late.
        before, asked = stopped.get("incomparable", 0), 23
        again = stopped
        while again.get("incomparable", 0) == before:
            again = await ask(1)
            asked += 1
            assert asked < 100
        assert sum(again.values()) == asked
        await router.aclose()


async def test_a_hung_shadow_is_let_go_while_main_streams_on(front: Any) -> None:
    """Its deadline counts from the end of the request, whatever main still sends."""
    done = asyncio.Event()

    async def main(wire: Wire) -> None:
        await wire.request()
        await wire.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        while not done.is_set():
            await wire.send(b"1\r\n.\r\n")
            await asyncio.sleep(0.02)
        await wire.send(b"0\r\n\r\n")

    hung = saying(then="stay")
    timeouts = Timeouts(shadow=0.2)
    async with (
        served(front, main, hung, timeouts=timeouts) as it,
        connected(it.port) as client,
    ):
        await client.send(get(b"/hello/"))
        await client.head()
        await until(lambda: it.outcomes() == {"timeout": 1})
        assert it.router.stats()["in_flight"] == 1
        done.set()
        while await client.chunk():
            pass


async def test_a_shadow_that_keeps_up_is_not_late(front: Any) -> None:
    """Neither with a long upload nor with a long answer, of several deadlines."""
    pauses = 8

    async def slowly(wire: Wire) -> None:
        await wire.head()
        got = 0
        async for chunk in wire.chunks():
            got += len(chunk)
        await wire.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(pauses):
            await wire.send(b"1\r\n.\r\n")
            await asyncio.sleep(0.05)
        await wire.send(b"0\r\n\r\n")
        await wire.until_closed()

    timeouts = Timeouts(shadow=0.25)
    async with (
        served(front, slowly, slowly, timeouts=timeouts) as it,
        connected(it.port) as client,
    ):
        await client.send(
            b"POST /hello/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        await client.send(b"1\r\nx\r\n")
        await until(lambda: it.shadow.wires)
        await asyncio.sleep(0.5)  # the client itself is slow, for two deadlines
        await client.send(b"1\r\nx\r\n0\r\n\r\n")
        got = await asyncio.wait_for(client.answer(), 5)
        assert got.body == b"." * pauses
        await it.settled()
        assert it.outcomes() == {"incomparable": 1}


async def test_no_shadow_outlives_main_by_more_than_its_deadline(front: Any) -> None:
    """Once main has ended, a byte now and then gives a shadow no more time."""
    timeouts = Timeouts(shadow=0.3)
    async with served(front, ByPath({}), dribbling, timeouts=timeouts) as it:
        async with connected(it.port) as client:
            await client.send(get(b"/hello/"))
            assert (await client.answer()).body == b"ok"
        await it.settled()
        assert it.outcomes() == {"timeout": 1}
        assert it.router.stats()["held_bytes"] == 0
