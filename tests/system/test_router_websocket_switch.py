"""WebSockets that are open while main changes, and while their version is killed."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from daeploy_lib import Deployer, VersionNotFoundError
from daeploy_lib.runtimes import memory
from daeploy_lib.runtimes.memory import MemoryRuntime
from daeploy_lib.shadow_router import ShadowRouter
from router_fronts import until, uvicorn_httptools

GRACE = 20.0


class SocketServer:
    """An instance of the in-memory runtime that answers messages with its version."""

    def __init__(
        self, name: str, version: str, *, log: Callable[[str], None], **_: Any
    ) -> None:
        del name
        self._version = version
        self._log = log
        self._open: set[ServerConnection] = set()
        self._server = serve(
            self._serve, "127.0.0.1", 0, process_request=self._probe, compression=None
        )
        self.port = int(self._server.socket.getsockname()[1])
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _probe(self, connection: ServerConnection, request: Request) -> Response | None:
        is_probe = "upgrade" not in request.headers
        return connection.respond(200, "ready") if is_probe else None

    def _serve(self, connection: ServerConnection) -> None:
        self._open.add(connection)
        with contextlib.suppress(ConnectionClosed):
            for message in connection:
                self._log(str(message))
                connection.send(self._version)
        self._open.discard(connection)

    def close(self) -> None:
        """Say that it is going away, as a service does that is asked to end."""
        for connection in tuple(self._open):
            connection.close(1001)
        self._server.shutdown()
        self._thread.join()


class Switched:
    """A router over two deployed versions."""

    def __init__(self, deployer: Deployer, router: ShadowRouter, port: int) -> None:
        self.deployer = deployer
        self.router = router
        self.port = port

    def connect(self, name: str = "hello") -> connect:
        """Return a client to be entered."""
        return connect(f"ws://127.0.0.1:{self.port}/{name}/", compression=None)

    def heard(self, version: str) -> list[str]:
        """Return the messages that a version got."""
        return [line.text for line in self.deployer.logs("hello", version)][1:]

    def kill(self, version: str, grace: float = GRACE) -> "asyncio.Future[Any]":
        """Begin to kill a version."""
        work = asyncio.to_thread(self.deployer.kill, "hello", version, grace=grace)
        return asyncio.ensure_future(work)

    async def unrouted(self, version: str) -> None:
        """Wait until nobody reaches a version by its own name."""
        for _ in range(500):
            if not await self._reaches(version):
                return
            await asyncio.sleep(0.01)
        pytest.fail(f"{version} can still be reached")

    async def _reaches(self, version: str) -> bool:
        try:
            async with self.connect(f"hello_{version}"):
                return True
        except InvalidStatus:
            return False

    async def quiet(self) -> None:
        """Wait until the router holds nothing."""

        def is_quiet() -> bool:
            stats: Any = self.router.stats()
            versions = stats["shadows"].get("hello", {}).values()
            held = (stats["in_flight"], stats["connections"], stats["held_bytes"])
            return not any(held) and not any(v["in_flight"] for v in versions)

        await until(is_quiet, "nothing held")
        shadows: Any = self.router.stats()["shadows"]
        for shadow in shadows.get("hello", {}).values():
            assert shadow["requests"] == sum(shadow["outcomes"].values())


@pytest.fixture
async def switched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Switched]:
    """Main 1.0.0 and its shadow 2.0.0 behind a router."""
    monkeypatch.setattr(memory, "MemoryServer", SocketServer)
    source = tmp_path / "source"
    source.mkdir()
    (source / "service.py").write_text("")
    runtime = MemoryRuntime()
    with Deployer(runtime, state=tmp_path / "state") as deployer:
        for version in ("1.0.0", "2.0.0"):
            await asyncio.to_thread(deployer.deploy, "hello", version, source)
        router = ShadowRouter(deployer)
        async with uvicorn_httptools(router) as port:
            yield Switched(deployer, router, port)
            await router.aclose(drain=1.0)
        await asyncio.to_thread(deployer.kill_all, grace=0.0)


async def said(client: Any) -> str:
    """Return which version answers."""
    await client.send("who")
    answer: str = await client.recv()
    return answer


async def test_an_open_websocket_stays_where_it_began(switched: Switched) -> None:
    """After assign the open one goes on as before; a new one goes to the new main."""
    async with switched.connect() as before:
        assert await said(before) == "1.0.0"
        await asyncio.to_thread(switched.deployer.assign, "hello", "2.0.0")
        async with switched.connect() as after:
            assert await said(after) == "2.0.0"
            assert [await said(before) for _ in range(3)] == ["1.0.0"] * 3
        # Each message went to both versions, whichever was main.
        await until(lambda: len(switched.heard("1.0.0")) == 5, "5 at 1.0.0")
        await until(lambda: len(switched.heard("2.0.0")) == 5, "5 at 2.0.0")
    await switched.quiet()
    assert switched.router.stats()["relayed"] == 2


async def test_many_websockets_stay_while_main_flips(switched: Switched) -> None:
    """Whatever is assigned meanwhile, no answer comes from another version."""
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for number in range(20):
            client = await stack.enter_async_context(switched.connect())
            clients.append((client, await said(client)))
            main = ("2.0.0", "1.0.0")[number % 2]
            await asyncio.to_thread(switched.deployer.assign, "hello", main)
        versions = [version for _, version in clients]
        assert versions == ["1.0.0", "2.0.0"] * 10
        for client, version in clients:
            assert await said(client) == version
    await switched.quiet()
    assert switched.router.stats()["relayed"] == 20


async def test_a_kill_waits_for_an_open_websocket(switched: Switched) -> None:
    """The version goes on answering what is open, until the client has ended it."""
    async with switched.connect() as client:
        assert await said(client) == "1.0.0"
        await asyncio.to_thread(switched.deployer.assign, "hello", "2.0.0")
        killing = switched.kill("1.0.0")
        await switched.unrouted("1.0.0")
        assert await said(client) == "1.0.0"
        async with switched.connect() as other:
            assert await said(other) == "2.0.0"
        assert not killing.done()
    await asyncio.wait_for(killing, GRACE / 2)
    with pytest.raises(VersionNotFoundError):
        switched.deployer.logs("hello", "1.0.0")
    await switched.quiet()
    assert switched.router.stats()["refused"] == {404: 1}


async def test_a_kill_ends_what_outlasts_its_grace(switched: Switched) -> None:
    """The version says goodbye, the client hears it, and the router holds nothing."""
    async with switched.connect() as client:
        assert await said(client) == "1.0.0"
        await asyncio.to_thread(switched.deployer.assign, "hello", "2.0.0")
        await switched.kill("1.0.0", grace=0.1)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1001
    await switched.quiet()
    assert switched.router.stats()["relayed"] == 1


async def test_a_shadow_can_be_killed_under_an_open_websocket(
    switched: Switched,
) -> None:
    """Main's side notices nothing, and the shadow's share ends with one outcome."""
    async with switched.connect() as client:
        assert await said(client) == "1.0.0"
        await switched.kill("2.0.0", grace=0.1)
        assert await said(client) == "1.0.0"
    await switched.quiet()
    assert switched.router.stats()["relayed"] == 1


async def test_a_lone_main_that_is_killed_leaves_nothing(switched: Switched) -> None:
    """Client and router are told; the next handshake gets 404."""
    await switched.kill("2.0.0", grace=0.0)
    async with switched.connect() as client:
        assert await said(client) == "1.0.0"
        await switched.kill("1.0.0", grace=0.1)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1001
    await switched.quiet()
    with pytest.raises(InvalidStatus) as caught:
        await switched.connect()
    assert caught.value.response.status_code == 404
