"""Under uvloop, which uvicorn takes when it is installed, clients leave otherwise."""

import asyncio
import logging
import socket
import struct

import pytest
import uvloop

from daeploy_lib import Route, ShadowRouter
from daeploy_lib.testing import ScriptedUpstream, Wire, answer
from router_fronts import until, uvicorn_httptools

REQUEST = b"GET /hello/ HTTP/1.1\r\nhost: h\r\n\r\n"
CLIENTS = 50


async def slowly(wire: Wire) -> None:
    """Answer in many parts, so that there is always one under way."""
    while True:
        await wire.request()
        for part in (answer(b"x" * 1000)[n : n + 100] for n in range(0, 1200, 100)):
            await wire.send(part)
            await asyncio.sleep(0)


async def leave_at_once(port: int, pause: float) -> None:
    """Make a request and cut the connection, with data unread."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST + REQUEST)
    await asyncio.sleep(pause)
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()
    del reader


async def clients_leave() -> ShadowRouter:
    """Let many clients leave at all moments of an exchange."""
    async with ScriptedUpstream(slowly) as main:
        router = ShadowRouter({"hello": Route({"1": main.address}, main="1")})
        async with uvicorn_httptools(router) as port:
            for n in range(CLIENTS):
                await leave_at_once(port, n * 0.0001)
            await until(lambda: router.stats()["in_flight"] == 0)
        await router.aclose()
    return router


def test_clients_that_leave_are_no_errors(caplog: pytest.LogCaptureFixture) -> None:
    """
    Nothing is raised, and nothing is held, whenever they do it.

    uvicorn itself logs a line for a pipelined request that it began to serve after
    the connection was lost.
    """
    with (
        caplog.at_level(logging.WARNING),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        router = runner.run(clients_leave())
    assert "Traceback" not in caplog.text
    assert {record.name for record in caplog.records} <= {"uvicorn.error"}
    stats = router.stats()
    assert (stats["in_flight"], stats["connections"], stats["broken"]) == (0, 0, 0)
