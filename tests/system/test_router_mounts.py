"""Where the router may stand, and what it does over event loops and lifespans."""

import asyncio
import contextlib
import gc
import threading
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

import pytest
from fastapi import FastAPI
from hypercorn.middleware.dispatcher import AsyncioDispatcherMiddleware
from quart import Quart
from starlette.applications import Starlette
from starlette.routing import Mount

from daeploy_lib.domain.route import Route
from daeploy_lib.router.policy import Limits
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.testing import AsgiDriver, Script, ScriptedUpstream, Wire
from router_fronts import FRONTS, Echo, fetch, get, until, uvicorn_httptools

App = Any


def in_fastapi(router: ShadowRouter) -> App:
    """Mount under a prefix of a FastAPI application."""
    app = FastAPI(lifespan=router.lifespan)
    app.mount("/services", router)
    return app


def in_starlette(router: ShadowRouter) -> App:
    """Mount under nested prefixes of a Starlette application."""
    inner = Starlette(routes=[Mount("/services", router)])
    return Starlette(routes=[Mount("/a/b", inner)])


def in_quart(router: ShadowRouter) -> App:
    """Dispatch a prefix to it, as Quart's documentation says, for it has no mounts."""
    mounts: dict[str, Any] = {"/services": router, "/": Quart("app")}
    return AsyncioDispatcherMiddleware(mounts)


def at_the_root(router: ShadowRouter) -> App:
    """Mount at the root of an application."""
    app = FastAPI()
    app.mount("/", router)
    return app


def bare(router: ShadowRouter) -> App:
    """Serve the router itself."""
    return router


PLACES = {
    "FastAPI": (in_fastapi, b"/services"),
    "nested Starlette": (in_starlette, b"/a/b/services"),
    "Quart": (in_quart, b"/services"),
    "root": (at_the_root, b""),
    "bare": (bare, b""),
}


@pytest.mark.parametrize("server", sorted(FRONTS))
@pytest.mark.parametrize("place", sorted(PLACES))
async def test_the_router_works_wherever_it_is_mounted(place: str, server: str) -> None:
    """Path and query arrive byte for byte; the prefix is what was stripped."""
    wrap, prefix = PLACES[place]
    main = Echo()
    async with ScriptedUpstream(main) as upstream:
        router = ShadowRouter({"hello": Route({"1": upstream.address}, main="1")})
        async with FRONTS[server](wrap(router)) as port:
            for rest in (b"/a%2Fb//c%20%C3%A9;x=1?q=%zz&q=+", b"/", b""):
                got = await fetch(port, get(prefix + b"/hello" + rest))
                assert got.status == 200
                request = main.requests[-1]
                assert request.line == b"GET " + (rest or b"/") + b" HTTP/1.1"
                seen = request.header(b"x-forwarded-prefix")
                assert seen == [prefix + b"/hello"]
            assert (await fetch(port, get(prefix + b"/no/"))).status == 404
            await router.aclose()


@pytest.mark.parametrize("server", sorted(FRONTS))
async def test_a_mount_is_matched_byte_by_byte(server: str) -> None:
    """An encoded prefix is walked; an encoded slash in its place is refused."""
    main = Echo()
    async with ScriptedUpstream(main) as upstream:
        router = ShadowRouter({"hello": Route({"1": upstream.address}, main="1")})
        async with FRONTS[server](in_fastapi(router)) as port:
            for target in (b"/%73ervices/hello/x", b"/services/%68ello/x"):
                assert (await fetch(port, get(target))).status == 200
                assert main.requests[-1].line == b"GET /x HTTP/1.1"
                prefix = main.requests[-1].header(b"x-forwarded-prefix")
                assert prefix == [b"/services/hello"]
            for target in (
                b"/services%2Fhello/x",
                b"/services/../hello/x",
                b"/services/hello/..",
            ):
                assert (await fetch(port, get(target))).status in (400, 404)
            assert len(main.requests) == 2
            await router.aclose()


@pytest.mark.parametrize("target", [b"/outer/services/hello/x", b"/services/hello/x"])
async def test_a_root_path_of_the_server_is_in_the_prefix(target: bytes) -> None:
    """Whether or not the proxy in front has taken its prefix off the path."""
    main = Echo()
    async with ScriptedUpstream(main) as upstream:
        router = ShadowRouter({"hello": Route({"1": upstream.address}, main="1")})
        driver = AsgiDriver(in_fastapi(router), root_path="/outer")
        call = driver.request("GET", target)
        assert (await call.start())[0] == 200
        await call.body()
        request = main.requests[0]
        assert request.line == b"GET /x HTTP/1.1"
        assert request.header(b"x-forwarded-prefix") == [b"/outer/services/hello"]
        await router.aclose()


async def test_a_websocket_is_refused_in_order() -> None:
    """A handshake to what is not there gets an HTTP answer with the reason."""
    router = ShadowRouter({})
    async with uvicorn_httptools(router) as port:
        handshake = get(
            b"/hello/",
            [
                (b"Upgrade", b"websocket"),
                (b"Connection", b"Upgrade"),
                (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
                (b"Sec-WebSocket-Version", b"13"),
            ],
        )
        got = await fetch(port, handshake)
        assert got.status == 404
        assert b"No service" in got.body


async def test_a_server_without_denial_answers_gets_a_close() -> None:
    """The handshake fails all the same; and other scopes are an error."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(event: Any) -> None:
        sent.append(event)

    router = ShadowRouter({})
    scope = {"type": "websocket", "path": "/hello/", "headers": [(b"host", b"h")]}
    await router(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1013}]
    with pytest.raises(ValueError, match="scope type"):
        await router({"type": "telepathy"}, receive, send)


async def test_the_lifespan_drains() -> None:
    """As a bare application and as a lifespan, shutting down frees everything."""
    events: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    sent: list[str] = []

    async def send(event: Mapping[str, Any]) -> None:
        sent.append(event["type"])

    async with ScriptedUpstream(Echo()) as upstream:
        router = ShadowRouter({"hello": Route({"1": upstream.address}, main="1")})
        living = asyncio.ensure_future(router({"type": "lifespan"}, events.get, send))
        events.put_nowait({"type": "lifespan.startup"})
        await until(lambda: sent)
        call = AsgiDriver(router).request("GET", b"/hello/")
        await call.start()
        await call.body()
        assert router.stats()["connections"] == 1
        events.put_nowait({"type": "lifespan.shutdown"})
        await living
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert router.stats()["connections"] == 0
        async with router.lifespan(None):
            call = AsgiDriver(router).request("GET", b"/hello/")
            await call.start()
            await call.body()
        assert router.stats()["connections"] == 0


@contextlib.contextmanager
def elsewhere(*scripts: Script) -> Iterator[list[str]]:
    """Yield the addresses of upstreams that outlive the loops of a test."""
    ready, done = threading.Event(), threading.Event()
    addresses: list[str] = []

    async def serve() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for script in scripts:
                upstream = await stack.enter_async_context(ScriptedUpstream(script))
                addresses.append(upstream.address)
            ready.set()
            await asyncio.get_running_loop().run_in_executor(None, done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    try:
        yield addresses
    finally:
        done.set()
        thread.join()


def test_one_router_serves_one_loop_after_another() -> None:
    """Connections end with their loop, without aclose() and without a warning."""
    with elsewhere(Echo()) as (address,), warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        router = ShadowRouter({"hello": Route({"1": address}, main="1")})
        for _ in range(3):
            assert asyncio.run(ask(router)) == b"main"
            assert router.stats()["connections"] == 0
        gc.collect()
    assert [str(warning.message) for warning in seen] == []


def test_a_loop_that_ends_takes_its_copies_along() -> None:
    """Copies under way when their loop ends are not in flight for ever."""

    async def stay(wire: Wire) -> None:
        await wire.until_closed()

    with elsewhere(Echo(), stay) as (main, shadow):
        route = Route({"1": main, "2": shadow}, main="1")
        router = ShadowRouter({"hello": route})
        for _ in range(3):
            asyncio.run(ask(router))
        stats: Any = router.stats()
        version = stats["shadows"]["hello"]["2"]
        assert version["outcomes"] == {"timeout": 3}
        assert version["in_flight"] == 0


class FakeRegistry:
    """A source of routes like the registry's, in memory."""

    def __init__(self, routes: dict[str, Route]) -> None:
        self.last: Mapping[str, Route] = MappingProxyType(routes)
        self.entered: list[tuple[str, str]] = []
        self.left: list[tuple[str, str]] = []
        self.blind = 0
        self.on_enter: Any = None

    def poll(self) -> Mapping[str, Route] | None:
        """Return the routes, or None so many times."""
        if self.blind:
            self.blind -= 1
            return None
        return self.last

    def assign(self, routes: dict[str, Route]) -> None:
        """Commit other routes."""
        self.last = MappingProxyType(routes)

    def enter(self, name: str, version: str) -> tuple[str, str]:
        """Note a request in flight."""
        self.entered.append((name, version))
        if self.on_enter is not None:
            on_enter, self.on_enter = self.on_enter, None
            on_enter()
        return name, version

    def leave(self, slot: tuple[str, str]) -> None:
        """Note its end."""
        self.left.append(slot)


@contextlib.asynccontextmanager
async def registered() -> AsyncIterator[tuple[FakeRegistry, ShadowRouter, list[str]]]:
    """Route from a fake registry with two versions, 1 being main."""
    async with ScriptedUpstream(Echo(b"1")) as a, ScriptedUpstream(Echo(b"2")) as b:
        addresses = [a.address, b.address]
        both = {"1": a.address, "2": b.address}
        registry = FakeRegistry({"hello": Route(both, main="1")})
        router = ShadowRouter(registry)  # type: ignore[arg-type]
        yield registry, router, addresses
        await router.aclose()


async def ask(router: ShadowRouter) -> bytes:
    """Return the body of one request."""
    call = AsgiDriver(router).request("GET", b"/hello/")
    await call.start()
    return await call.body()


async def test_requests_are_counted_in_and_out() -> None:
    """Every version's request is noted as in flight, and as ended."""
    async with registered() as (registry, router, _):
        for _ in range(5):
            await ask(router)
        await until(lambda: len(registry.left) == 10)
        assert sorted(registry.entered) == sorted(registry.left)
        assert registry.entered.count(("hello", "2")) == 5


async def test_a_change_that_cannot_be_read_yet_is_waited_for() -> None:
    """Polling goes on for a moment, and not for ever."""
    async with registered() as (registry, router, _):
        registry.blind = 20
        assert await ask(router) == b"1"
        assert registry.blind == 0
        registry.blind = 10**9
        started = asyncio.get_running_loop().time()
        assert await ask(router) == b"1"
        assert asyncio.get_running_loop().time() - started < 2


async def test_a_version_taken_away_while_entering_is_not_asked() -> None:
    """A change between looking and being counted is noticed."""
    async with registered() as (registry, router, (one, two)):
        registry.on_enter = lambda: registry.assign(
            {"hello": Route({"1": one, "2": two}, main="2")}
        )
        assert await ask(router) == b"2"
        await until(lambda: len(registry.left) == len(registry.entered))


async def test_dropped_copies_are_counted_out() -> None:
    """A copy that is not sent for want of a place leaves at once."""

    async def stay(wire: Wire) -> None:
        await wire.until_closed()

    async with ScriptedUpstream(Echo()) as main, ScriptedUpstream(stay) as shadow:
        route = Route({"1": main.address, "2": shadow.address}, main="1")
        registry = FakeRegistry({"hello": route})
        router = ShadowRouter(
            registry,  # type: ignore[arg-type]
            limits=Limits(max_in_flight=1),
        )
        for _ in range(3):
            await ask(router)
        assert len(registry.entered) - len(registry.left) == 1
        await router.aclose(drain=0.0)
        assert sorted(registry.entered) == sorted(registry.left)


async def test_refused_requests_are_counted_out() -> None:
    """A main that is gone, and a client that leaves, free their slots too."""

    async def stay(wire: Wire) -> None:
        await wire.until_closed()

    async with registered() as (registry, router, (one, _)):
        registry.assign(
            {"hello": Route({"1": "http://127.0.0.1:1", "2": one}, main="1")}
        )
        assert b"refused" in await ask(router)
        async with ScriptedUpstream(stay) as silent:
            registry.assign({"hello": Route({"1": silent.address}, main="1")})
            call = AsgiDriver(router).request("GET", b"/hello/")
            await until(lambda: silent.wires)
            call.disconnect()
            await call.done()
        assert sorted(registry.entered) == sorted(registry.left)


def test_wrong_arguments_raise_at_construction() -> None:
    """Before anything happens, with a message that says what is allowed."""
    good = {"hello": Route({"1": "http://127.0.0.1:1"}, main="1")}
    with pytest.raises(TypeError, match="Deployer or a mapping"):
        ShadowRouter(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be a Route"):
        ShadowRouter({"hello": "http://127.0.0.1:1"})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="taken by"):
        ShadowRouter({**good, "hello_1": good["hello"]})
    with pytest.raises(ValueError, match="plain http"):
        ShadowRouter({"hello": Route({"1": "https://127.0.0.1"}, main="1")})
    with pytest.raises(ValueError, match="trusted_proxies"):
        ShadowRouter(good, trusted_proxies=["everybody"])
    with pytest.raises(TypeError, match="Limits"):
        ShadowRouter(good, limits=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="MirrorPolicy"):
        ShadowRouter(good, mirror={"hello": 1})  # type: ignore[dict-item]
