"""WebSockets over HTTP/2 (RFC 8441), which hypercorn offers, and over transport=."""

import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from daeploy_lib.testing import Wire
from router_fronts import FRONTS, RawClient, connected, until
from router_sockets import (
    FIN_CLOSE,
    FIN_TEXT,
    WS_FRONTS,
    accepted,
    echo,
    frame,
    framed,
    masked,
    routed,
)

h2 = pytest.importorskip("h2")
from h2.config import H2Configuration  # noqa: E402
from h2.connection import H2Connection  # noqa: E402
from h2.events import (  # noqa: E402
    DataReceived,
    Event,
    ResponseReceived,
)

needs_hypercorn = pytest.mark.skipif("hypercorn" not in FRONTS, reason="no hypercorn")


class Http2:
    """A client that speaks HTTP/2 without being asked to, over one connection."""

    def __init__(self, client: RawClient) -> None:
        self._client = client
        config = H2Configuration(header_encoding=None)
        self.connection = H2Connection(config)
        self.events: list[Event] = []

    async def begin(self) -> None:
        """Exchange settings."""
        self.connection.initiate_connection()
        await self.flush()
        while not self.connection.remote_settings.enable_connect_protocol:
            await self.read()

    async def flush(self) -> None:
        """Send what is to be sent."""
        await self._client.send(self.connection.data_to_send())

    async def read(self) -> None:
        """Read once."""
        content = await self._client.reader.read(1 << 16)
        assert content
        self.events += self.connection.receive_data(content)
        await self.flush()

    async def ask(self, *more: tuple[bytes, bytes]) -> int:
        """Ask for a WebSocket (RFC 8441, section 5); return the stream."""
        stream: int = self.connection.get_next_available_stream_id()
        headers = [
            (b":method", b"CONNECT"),
            (b":protocol", b"websocket"),
            (b":scheme", b"http"),
            (b":path", b"/hello/x?y=1"),
            (b":authority", b"client.example"),
            (b"sec-websocket-version", b"13"),
            *more,
        ]
        self.connection.send_headers(stream, headers)
        await self.flush()
        return stream

    async def open(self, *more: tuple[bytes, bytes]) -> tuple[int, bytes]:
        """Ask for a WebSocket; return the stream and its status."""
        stream = await self.ask(*more)
        while True:
            for event in self.events:
                if isinstance(event, ResponseReceived) and event.stream_id == stream:
                    return stream, dict(event.headers or ())[b":status"]
            await self.read()

    async def send(self, stream: int, content: bytes) -> None:
        """Send bytes of a stream."""
        self.connection.send_data(stream, content)
        await self.flush()

    async def data(self, stream: int, length: int) -> bytes:
        """Read so many bytes of a stream."""
        while len(found := self._data(stream)) < length:
            await self.read()
        return found

    def _data(self, stream: int) -> bytes:
        return b"".join(
            event.data or b""
            for event in self.events
            if isinstance(event, DataReceived) and event.stream_id == stream
        )


@contextlib.asynccontextmanager
async def http2(port: int) -> AsyncIterator[Http2]:
    """Yield a client with its settings exchanged."""
    async with connected(port) as raw:
        client = Http2(raw)
        await client.begin()
        yield client


@needs_hypercorn
async def test_a_websocket_over_http2_is_one_to_main() -> None:
    """Main sees an HTTP/1.1 handshake; messages and ends pass, and are copied."""
    handshakes: list[dict[bytes, bytes]] = []
    copies: list[tuple[int, bytes]] = []

    async def main(wire: Wire) -> None:
        handshakes.append(await accepted(wire, b"Sec-WebSocket-Protocol: b"))
        assert wire.received.startswith(b"GET /x?y=1 HTTP/1.1\r\n")
        while True:
            first, content = await frame(wire)
            await wire.send(framed(first, content))
            if first == FIN_CLOSE:
                return

    async def shadow(wire: Wire) -> None:
        await accepted(wire)
        while True:
            copies.append(await frame(wire))

    async with routed(main, shadow, front=WS_FRONTS["hypercorn"]) as found:
        async with http2(found.port) as client:
            offered = (b"sec-websocket-protocol", b"a, b")
            first, status = await client.open(offered, (b"x-own", b"1"))
            assert status == b"200"
            second, _ = await client.open(offered)
            for stream in (first, second):
                await client.send(stream, masked(FIN_TEXT, b"x%d" % stream))
                expected = framed(FIN_TEXT, b"x%d" % stream)
                assert await client.data(stream, len(expected)) == expected
                await client.send(stream, masked(FIN_CLOSE, (1000).to_bytes(2)))
        await until(lambda: not found.router.stats()["in_flight"], "an end")
        await found.quiet()
    assert handshakes[0][b"host"] == b"client.example"
    assert handshakes[0][b"x-own"] == b"1"
    assert handshakes[0][b"sec-websocket-protocol"] == b"a, b"
    assert {content for first, content in copies if first == FIN_TEXT} == {b"x1", b"x3"}


@needs_hypercorn
async def test_mains_refusal_over_http2_is_an_answer() -> None:
    """Its status goes back on the stream, and the connection stays."""

    async def main(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 401 No\r\nContent-Length: 3\r\n\r\nwho")

    async with routed(main, echo, front=WS_FRONTS["hypercorn"]) as found:
        async with http2(found.port) as client:
            for _ in range(2):
                stream, status = await client.open()
                assert status == b"401"
                assert await client.data(stream, 3) == b"who"
        await found.quiet()
        assert found.outcomes() == {"main_failed": 2}


@needs_hypercorn
@pytest.mark.parametrize("is_open", [True, False])
async def test_a_stream_that_is_reset_ends_mains_side(is_open: bool) -> None:
    """During the handshake and afterwards; the other streams go on."""
    over: list[bool] = []

    async def main(wire: Wire) -> None:
        try:
            if len(over) == 0 and not is_open:
                await wire.head()
                over.append(False)
                await wire.until_closed()
            else:
                await echo(wire)
        finally:
            over.append(True)

    async with routed(main, front=WS_FRONTS["hypercorn"]) as found:
        async with http2(found.port) as client:
            if is_open:
                stream, _ = await client.open()
            else:
                stream = await client.ask()
                await until(lambda: over, "the handshake")
            client.connection.reset_stream(stream)
            await client.flush()
            await until(lambda: True in over, "main's end")
            other, status = await client.open()
            assert status == b"200"
            await client.send(other, masked(FIN_TEXT, b"on"))
            assert await client.data(other, 4) == framed(FIN_TEXT, b"on")
        await found.quiet()


@pytest.mark.parametrize("server", sorted(WS_FRONTS))
async def test_websockets_do_not_go_through_a_transport(server: str) -> None:
    """It carries requests alone: 501 says so, and every shadow is accounted for."""
    transport = httpx.AsyncHTTPTransport()
    options = {"front": WS_FRONTS[server], "transport": transport}
    async with routed(echo, echo, **options) as found:  # type: ignore[arg-type]
        with pytest.raises(InvalidStatus) as caught:
            await found.connect()
        response = caught.value.response
        assert response.status_code == 501
        assert response.body == b'{"detail":"WebSockets do not go through transport=."}'
        await found.quiet()
        assert found.router.stats()["refused"] == {501: 1}
        assert found.outcomes() == {"main_failed": 1}
    await transport.aclose()
