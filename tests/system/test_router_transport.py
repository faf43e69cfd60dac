"""A transport of somebody else's: TLS, what it is asked, what it may raise."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from daeploy_lib import Route, ShadowRouter
from daeploy_lib.testing import AsgiDriver, answer
from router_fronts import until

ROUTES = {"hello": Route({"1": "https://one.test/base", "2": "http://two"}, main="1")}
HOST = (b"host", b"client.test")


class Streamed(httpx.AsyncByteStream):
    """An answer in parts, of which the last one may fail."""

    def __init__(self, *parts: bytes | Exception) -> None:
        self.parts = parts
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            yield part

    async def aclose(self) -> None:
        """Note it."""
        self.is_closed = True


class Recorder(httpx.AsyncBaseTransport):
    """Keeps what it was asked, and answers."""

    def __init__(self, *parts: bytes | Exception) -> None:
        self.requests: list[tuple[httpx.Request, bytes]] = []
        self.parts = parts
        self.streams: list[Streamed] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as told."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        body = b"".join([part async for part in request.stream])
        self.requests.append((request, body))
        if self.parts and isinstance(self.parts[0], Exception):
            raise self.parts[0]
        self.streams.append(Streamed(*self.parts))
        return httpx.Response(
            200, headers=[("X-Own", "1"), ("x-own", "2")], stream=self.streams[-1]
        )


async def test_what_a_transport_is_asked() -> None:
    """Address, target byte for byte, headers in order and body; https as well."""
    transport = Recorder(b"an", b"swer")
    router = ShadowRouter(ROUTES, transport=transport)
    call = AsgiDriver(router).request(
        "POST",
        b"/hello/a%2Fb?q=%20",
        headers=[
            *(HOST, (b"x-b", b"1"), (b"x-a", b"2"), (b"x-b", b"3")),
            (b"transfer-encoding", b"chunked"),
        ],
        body=b"body",
    )
    assert await call.start() == (200, [(b"x-own", b"1"), (b"x-own", b"2")])
    assert await call.body() == b"answer"
    await until(lambda: len(transport.requests) == 2)
    asked = {request.url.host: (request, body) for request, body in transport.requests}
    (main, body), (shadow, copy) = asked["one.test"], asked["two"]
    assert (main.url.scheme, shadow.url.scheme) == ("https", "http")
    assert main.extensions["target"] == b"/base/a%2Fb?q=%20"
    assert shadow.extensions["target"] == b"/a%2Fb?q=%20"
    assert main.headers.get_list("x-b") == ["1", "3"]
    assert main.headers["host"] == "client.test"
    assert shadow.headers["x-daeploy-role"] == "shadow"
    assert "x-daeploy-role" not in main.headers
    assert (body, copy) == (b"body", b"body")
    await router.aclose(drain=1.0)
    assert all(stream.is_closed for stream in transport.streams)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (httpx.ConnectError("no"), 502),
        (httpx.ConnectTimeout("no"), 504),
        (httpx.PoolTimeout("no"), 504),
        (httpx.ReadTimeout("no"), 504),
        (httpx.RemoteProtocolError("Server disconnected"), 502),
        (httpx.ReadError("no"), 502),
        (ValueError("a transport may raise anything"), 502),
    ],
)
async def test_what_a_transport_raises(error: Exception, status: int) -> None:
    """The client hears what it would of our own connections."""
    router = ShadowRouter(ROUTES, transport=Recorder(error))
    call = AsgiDriver(router).request("GET", b"/hello_1/", headers=[HOST])
    assert (await call.start())[0] == status
    await router.aclose(drain=1.0)


async def test_tls(tmp_path: Path) -> None:
    """A version behind TLS is reached with a transport that trusts it."""
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    made = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
        *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-keyout", str(key), "-out", str(certificate)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made.wait() == 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 4\r\n" in head
        writer.write(answer(await reader.readexactly(4)))
        writer.close()
        await writer.wait_closed()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    trust = ssl.create_default_context(cafile=str(certificate))
    transport = httpx.AsyncHTTPTransport(verify=trust)
    route = Route({"1": f"https://127.0.0.1:{port}"}, main="1")
    router = ShadowRouter({"hello": route}, transport=transport)
    headers = [HOST, (b"content-length", b"4")]
    call = AsgiDriver(router).request("POST", b"/hello/", headers=headers, body=b"body")
    assert (await call.start())[0] == 200
    assert await call.body() == b"body"
    await router.aclose(drain=1.0)
    await transport.aclose()
    server.close()
    await server.wait_closed()


def test_https_needs_a_transport() -> None:
    """Our own connections are plain, and say so before anything is asked."""
    with pytest.raises(ValueError, match=r"https only through ShadowRouter\(transport"):
        ShadowRouter(ROUTES)
    with pytest.raises(TypeError, match="AsyncBaseTransport"):
        ShadowRouter(ROUTES, transport=httpx.HTTPTransport())  # type: ignore[arg-type]
