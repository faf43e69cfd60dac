"""WebSockets through every server: messages, subprotocols, ends, refusals."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response

from daeploy_lib.domain.route import Route
from daeploy_lib.shadow_router import ShadowRouter
from router_fronts import until
from router_sockets import WS_FRONTS

SERVERS = sorted(WS_FRONTS)

MESSAGES: list[str | bytes] = [
    "",
    b"",
    "h\u00e9llo",
    b"\x00\xff",
    "x" * 200_000,
    b"y" * 200_000,
]


class Version:
    """A version that echoes; words make it end in a special way."""

    def __init__(self, *, is_main: bool) -> None:
        self._is_main = is_main
        self.received: list[str | bytes] = []
        self.closes: list[tuple[int | None, str | None]] = []
        self.requests: list[Request] = []

    async def __call__(self, connection: ServerConnection) -> None:
        """Serve one WebSocket."""
        assert connection.request is not None
        self.requests.append(connection.request)
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                self.received.append(message)
                if message == "close":
                    await connection.close(4001, "tsch\u00fc\u00df")
                elif message == "die" and self._is_main:
                    connection.transport.abort()
                else:
                    await connection.send(message)
        await connection.wait_closed()
        self.closes.append((connection.close_code, connection.close_reason))

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse a handshake to /no with a body."""
        if not request.path.startswith("/no"):
            return None
        response = connection.respond(401, "who are you?")
        response.headers["X-Why"] = "because"
        return response


class Routed:
    """A served router, with a main and a shadow."""

    def __init__(self, port: int, router: ShadowRouter) -> None:
        self.port = port
        self.router = router
        self.main = Version(is_main=True)
        self.shadow = Version(is_main=False)

    def connect(self, path: str = "/hello/", **options: Any) -> connect:
        """Return a client to be entered."""
        return connect(f"ws://127.0.0.1:{self.port}{path}", **options)

    def shadow_stats(self) -> dict[str, Any]:
        """Return what is known of the shadow."""
        shadows: Any = self.router.stats()["shadows"]
        found: dict[str, Any] = shadows["hello"]["2"]
        return found

    async def quiet(self) -> None:
        """Wait until nothing is held any more, and check the sums."""
        await until(lambda: self.router.stats()["in_flight"] == 0, "main at rest")
        await until(lambda: not self.shadow_stats()["in_flight"], "copies at rest")
        await until(lambda: self.router.stats()["connections"] == 0, "no connection")
        stats = self.shadow_stats()
        assert stats["requests"] == sum(stats["outcomes"].values())
        assert self.router.stats()["held_bytes"] == 0


@contextlib.asynccontextmanager
async def routed(server: str) -> AsyncIterator[Routed]:
    """Serve /hello with a main and a shadow that speak WebSocket."""
    found = Routed(0, ShadowRouter({}))
    options: Any = {"subprotocols": ["b", "c"], "select_subprotocol": _choose}
    async with contextlib.AsyncExitStack() as stack:
        addresses = []
        for version in (found.main, found.shadow):
            serving = serve(
                version, "127.0.0.1", 0, process_request=version.refuse, **options
            )
            listening = await stack.enter_async_context(serving)
            port = next(iter(listening.sockets)).getsockname()[1]
            addresses.append(f"http://127.0.0.1:{port}")
        route = Route({"1": addresses[0], "2": addresses[1]}, main="1")
        found.router = ShadowRouter({"hello": route})
        found.port = await stack.enter_async_context(WS_FRONTS[server](found.router))
        yield found
        await found.router.aclose()


def _choose(_: ServerConnection, offered: Any) -> Any:
    return "b" if "b" in offered else None


async def _end_of(client: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed):
        await client.recv()
    assert client.close_code is not None
    return client.close_code, client.close_reason or ""


@pytest.mark.parametrize("server", SERVERS)
async def test_messages_pass_both_ways_and_are_copied(server: str) -> None:
    """Text stays text, bytes stay bytes, empties and order are kept."""
    async with routed(server) as found:
        async with found.connect(subprotocols=["a", "b"]) as client:
            assert client.subprotocol == "b"
            for message in MESSAGES:
                await client.send(message)
                assert await client.recv() == message
            await client.send(iter(["frag", "ment", "ed"]))
            assert await client.recv() == "fragmented"
            await until(lambda: len(found.shadow.received) == 7, "copies")
        await found.quiet()
        assert found.main.received == [*MESSAGES, "fragmented"]
        assert found.shadow.received == found.main.received
        assert found.shadow_stats()["messages"] == 7
        (main,), (shadow,) = found.main.requests, found.shadow.requests
        assert main.headers["x-forwarded-prefix"] == "/hello"
        assert main.headers["x-forwarded-proto"] == "http"
        assert "x-daeploy-role" not in main.headers
        assert shadow.headers["x-daeploy-role"] == "shadow"
        assert shadow.headers["x-daeploy-version"] == "2"
        assert "sec-websocket-extensions" not in main.headers
        assert main.headers["sec-websocket-key"] != shadow.headers["sec-websocket-key"]


@pytest.mark.parametrize("server", SERVERS)
async def test_the_clients_end_reaches_main_and_the_shadow(server: str) -> None:
    """
    Code and reason of the client's close are passed on.

    hypercorn reports every close of a client as 1006, which is told as 1011;
    granian reports no reason.
    """
    async with routed(server) as found:
        async with found.connect() as client:
            await client.send("x")
            await client.recv()
            await until(lambda: found.shadow.received, "copy")
            await client.close(3001, "enough")
        await found.quiet()
        await until(lambda: found.main.closes and found.shadow.closes, "closes")
        if server == "hypercorn":
            assert found.main.closes == [(1011, "")]
            assert found.shadow_stats()["outcomes"] == {"client_gone": 1}
        else:
            reason = "" if server == "granian" else "enough"
            assert found.main.closes == [(3001, reason)]
            assert found.shadow.closes == [(3001, reason)]
            assert found.shadow_stats()["outcomes"] == {"incomparable": 1}


@pytest.mark.parametrize("server", SERVERS)
async def test_mains_end_reaches_the_client(server: str) -> None:
    """Code and reason of main's close are passed on."""
    async with routed(server) as found:
        async with found.connect() as client:
            await client.send("close")
            assert await _end_of(client) == (4001, "tsch\u00fc\u00df")
        await found.quiet()
        assert found.router.stats()["relayed"] == 1


@pytest.mark.parametrize("server", SERVERS)
async def test_a_main_that_dies_is_an_internal_error(server: str) -> None:
    """The client is told 1011, never that all is well."""
    async with routed(server) as found:
        async with found.connect() as client:
            await client.send("die")
            assert (await _end_of(client))[0] == 1011
        await found.quiet()
        assert found.router.stats()["broken"] == 1
        assert found.shadow_stats()["outcomes"] == {"main_failed": 1}


@pytest.mark.parametrize("server", SERVERS)
async def test_a_client_that_vanishes_is_not_a_normal_end(server: str) -> None:
    """
    Main is told so, and nothing is held.

    uvicorn's sans-io implementation reports 1005, a close without a code.
    """
    async with routed(server) as found:
        async with found.connect() as client:
            await client.send("x")
            await client.recv()
            client.transport.abort()
        await found.quiet()
        await until(lambda: found.main.closes, "main's end")
        assert found.main.closes[0][0] in (1005, 1006, 1011)


@pytest.mark.parametrize("server", SERVERS)
async def test_mains_refusal_reaches_the_client_whole(server: str) -> None:
    """Status, headers and body are main's; shadows are not asked."""
    async with routed(server) as found:
        with pytest.raises(InvalidStatus) as caught:
            await found.connect("/hello/no")
        response = caught.value.response
        assert response.status_code == 401
        assert response.body == b"who are you?"
        assert response.headers["x-why"] == "because"
        await found.quiet()
        assert found.shadow.requests == []
        assert found.shadow_stats()["outcomes"] == {"main_failed": 1}


@pytest.mark.parametrize("server", SERVERS)
async def test_one_version_can_be_reached_alone(server: str) -> None:
    """A route with a version copies nothing."""
    async with routed(server) as found:
        async with found.connect("/hello_2/x?y=1") as client:
            await client.send("x")
            assert await client.recv() == "x"
        assert found.main.requests == []
        assert [request.path for request in found.shadow.requests] == ["/x?y=1"]
        await until(lambda: found.router.stats()["connections"] == 0, "no connection")


@pytest.mark.parametrize("server", SERVERS)
async def test_draining_closes_with_service_restart(server: str) -> None:
    """Open WebSockets are told 1012 at once, and main as well."""
    async with routed(server) as found:
        async with found.connect() as client:
            await client.send("x")
            await client.recv()
            draining = asyncio.ensure_future(found.router.aclose(drain=5.0))
            assert (await _end_of(client))[0] == 1012
            await draining
        await until(lambda: found.main.closes, "main's end")
        assert found.main.closes[0][0] == 1012
        await found.quiet()
