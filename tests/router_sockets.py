"""Versions and clients that speak WebSocket byte by byte, and every server for them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from wsproto.utilities import generate_accept_token

import router_fronts
from daeploy_lib.domain.route import Route
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.testing import Script, ScriptedUpstream, Wire
from router_fronts import FRONTS, Front, RawClient, until, uvicorn_httptools

WS_FRONTS: dict[str, Front] = {
    **{name: front for name, front in FRONTS.items() if name != "uvicorn-h11"},
    **{
        f"uvicorn-{ws}": partial(router_fronts._uvicorn, http="h11", ws=ws)
        for ws in ("websockets-sansio", "wsproto")
    },
}

FIN_TEXT, FIN_BYTES, FIN_CLOSE, FIN_PING, FIN_PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
MASKED = 0x80


async def accepted(
    wire: Wire, *more: bytes, after: asyncio.Event | None = None
) -> dict[bytes, bytes]:
    """Read a handshake and accept it; more header lines may be given."""
    _, headers = await wire.head()
    fields = dict(headers)
    if after is not None:
        await after.wait()
    token = generate_accept_token(fields[b"sec-websocket-key"])
    lines = b"".join(line + b"\r\n" for line in more)
    await wire.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n"
        b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: %b\r\n%b\r\n"
        % (token, lines)
    )
    return fields


async def frame(wire: Wire) -> tuple[int, bytes]:
    """Read one frame of a client, which must be masked; return its first byte too."""
    first, length = await wire.read(2)
    assert length & MASKED
    length &= 0x7F
    if length > 125:
        size = 2 if length == 126 else 8
        length = int.from_bytes(await wire.read(size))
    mask = await wire.read(4)
    content = await wire.read(length)
    return first, bytes(byte ^ mask[i % 4] for i, byte in enumerate(content))


def framed(first: int, content: bytes) -> bytes:
    """Return a frame as a server sends it."""
    if len(content) < 126:
        return bytes((first, len(content))) + content
    return bytes((first, 126)) + len(content).to_bytes(2) + content


def opening(target: bytes = b"/hello/") -> bytes:
    """Return a client's handshake."""
    return (
        b"GET %b HTTP/1.1\r\nHost: client.example\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % target
    )


def masked(first: int, content: bytes) -> bytes:
    """Return a frame as a client sends it; the mask of zeros changes nothing."""
    head = framed(first, content)
    cut = len(head) - len(content)
    return bytes((first, head[1] | MASKED)) + head[2:cut] + bytes(4) + content


async def unmasked(client: RawClient) -> tuple[int, bytes]:
    """Read one frame of a server."""
    first, length = await client.reader.readexactly(2)
    if length > 125:
        length = int.from_bytes(await client.reader.readexactly(2))
    return first, await client.reader.readexactly(length)


async def echo(wire: Wire) -> None:
    """Echo frames until the client closes."""
    await accepted(wire)
    while True:
        first, content = await frame(wire)
        await wire.send(framed(first, content))
        if first == FIN_CLOSE:
            return


class Routed:
    """A served router and its client's way to it."""

    def __init__(self, router: ShadowRouter, port: int) -> None:
        self.router = router
        self.port = port

    def connect(self, **options: Any) -> connect:
        """Return a client to be entered."""
        options = {"compression": None, "close_timeout": 2, **options}
        return connect(f"ws://127.0.0.1:{self.port}/hello/x?y=1", **options)

    def outcomes(self) -> dict[str, int]:
        """Return the outcomes of the shadow."""
        shadows: Any = self.router.stats()["shadows"]
        found: dict[str, int] = shadows["hello"]["s"]["outcomes"]
        return found

    async def quiet(self) -> None:
        """Wait until nothing is held."""

        def is_quiet() -> bool:
            stats: Any = self.router.stats()
            versions = stats["shadows"].get("hello", {}).values()
            held = (stats["in_flight"], stats["connections"], stats["held_bytes"])
            return not any(held) and not any(v["in_flight"] for v in versions)

        await until(is_quiet, "nothing held")


@contextlib.asynccontextmanager
async def routed(
    main: Script | str,
    shadow: Script | str | None = None,
    *,
    front: Front = uvicorn_httptools,
    **options: Any,
) -> AsyncIterator[Routed]:
    """Serve /hello with a scripted main, and perhaps a shadow."""
    async with contextlib.AsyncExitStack() as stack:
        addresses = {}
        for version, script in (("m", main), ("s", shadow)):
            if isinstance(script, str):
                addresses[version] = script
            elif script is not None:
                upstream = await stack.enter_async_context(ScriptedUpstream(script))
                addresses[version] = upstream.address
        router = ShadowRouter({"hello": Route(addresses, main="m")}, **options)
        port = await stack.enter_async_context(front(router))
        found = Routed(router, port)
        yield found
        await router.aclose(drain=5.0)


async def end_of(client: ClientConnection) -> tuple[int | None, str | None]:
    """Read until the end and return its code and reason."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await client.recv()
    return client.close_code, client.close_reason
