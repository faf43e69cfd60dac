"""Real servers around an application, and a client that speaks raw bytes."""

import asyncio
import contextlib
import importlib.util
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import attrs
import uvicorn

from daeploy_lib.testing import ScriptedUpstream, Wire, answer

Front = Callable[[Any], AbstractAsyncContextManager[int]]


def _listener() -> socket.socket:
    # With the protocol named, asyncio turns Nagle's algorithm off.
    sock = socket.socket(proto=socket.IPPROTO_TCP)
    sock.bind(("127.0.0.1", 0))
    sock.listen(2048)
    return sock


async def until(
    condition: Callable[[], object], what: str = "condition", seconds: float = 5.0
) -> None:
    """Wait until a condition holds, or fail after a deadline."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition():
        assert loop.time() < end, f"{what} did not come true in {seconds} s"
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def _uvicorn(app: Any, http: str, **options: Any) -> AsyncIterator[int]:
    config = uvicorn.Config(
        app, http=http, log_config=None, lifespan="off", access_log=False, **options
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    sock = _listener()
    await server.startup(sockets=[sock])
    await server.on_tick(0)  # fills in the default headers
    state = server.server_state
    try:
        yield sock.getsockname()[1]
    finally:
        for listening in server.servers:
            listening.close()
        sock.close()
        for connection in tuple(state.connections):
            connection.transport.abort()
        tasks = tuple(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def uvicorn_httptools(app: Any, **options: Any) -> AbstractAsyncContextManager[int]:
    """Serve with uvicorn and its httptools parser."""
    return _uvicorn(app, "httptools", **options)


def uvicorn_h11(app: Any, **options: Any) -> AbstractAsyncContextManager[int]:
    """Serve with uvicorn and its h11 parser."""
    return _uvicorn(app, "h11", **options)


@contextlib.asynccontextmanager
async def hypercorn(app: Any) -> AsyncIterator[int]:
    """Serve with hypercorn."""
    from hypercorn.asyncio import serve  # noqa: PLC0415 - not always installed
    from hypercorn.config import Config  # noqa: PLC0415

    config = Config()
    sock = _listener()
    config.bind = [f"fd://{sock.detach()}"]
    config.graceful_timeout = 0.2
    config.errorlog = None
    sockets = config.create_sockets()
    port = sockets.insecure_sockets[0].getsockname()[1]
    config.create_sockets = lambda: sockets  # type: ignore[method-assign]
    stop = asyncio.Event()
    serving = asyncio.ensure_future(serve(app, config, shutdown_trigger=stop.wait))
    await _until_open(port)
    try:
        yield port
    finally:
        stop.set()
        await asyncio.wait([serving])
        # A lifespan that ends a moment late is cancelled, and takes the server with it.
        if not serving.cancelled():
            serving.result()


@contextlib.asynccontextmanager
async def granian(app: Any) -> AsyncIterator[int]:
    """Serve with granian inside this loop."""
    from granian.constants import Interfaces  # noqa: PLC0415 - not always installed
    from granian.server.embed import Server  # noqa: PLC0415

    sock = _listener()
    port = sock.getsockname()[1]
    sock.close()
    server = Server(app, port=port, interface=Interfaces.ASGINL, log_enabled=False)
    serving = asyncio.ensure_future(server.serve())
    await _until_open(port)
    try:
        yield port
    finally:
        server.stop()  # type: ignore[no-untyped-call]
        await serving


async def _until_open(port: int) -> None:
    def is_open() -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) == 0

    await until(is_open, f"port {port} open")


FRONTS: dict[str, Front] = {
    "uvicorn-httptools": uvicorn_httptools,
    "uvicorn-h11": uvicorn_h11,
}
if importlib.util.find_spec("hypercorn"):
    FRONTS["hypercorn"] = hypercorn
if importlib.util.find_spec("granian"):
    FRONTS["granian"] = granian


@attrs.frozen
class RawAnswer:
    """
    An answer as it came over the wire.

    Attributes:
        status: Three digits; 0 if nothing came.
        headers: Pairs in their order, names lower-case.
        body: Decoded from chunks.
        is_whole: Whether it ended as its framing says.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    is_whole: bool = True

    def header(self, name: bytes) -> list[bytes]:
        """Return every value of a header, in order."""
        return [value for key, value in self.headers if key == name]


class RawClient:
    """A client on one connection that sends what it is told to."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, content: bytes) -> None:
        """Send bytes."""
        self.writer.write(content)
        await self.writer.drain()

    async def head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Read status and headers."""
        block = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = block[:-4].split(b"\r\n")
        pairs = (line.partition(b":") for line in lines)
        headers = [(name.lower(), value.strip()) for name, _, value in pairs]
        return int(first.split()[1]), headers

    async def answer(self, *, method: bytes = b"GET") -> RawAnswer:
        """Read one whole answer, past interim ones."""
        status = 0
        headers: list[tuple[bytes, bytes]] = []
        try:
            while status < 200:
                status, headers = await self.head()
        except (asyncio.IncompleteReadError, ConnectionError):
            return RawAnswer(status, headers, b"", is_whole=False)
        if method == b"HEAD" or status in (204, 304):
            return RawAnswer(status, headers, b"")
        parts: list[bytes] = []
        try:
            await self._body(dict(headers), parts)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            parts.append(getattr(error, "partial", b""))
            return RawAnswer(status, headers, b"".join(parts), is_whole=False)
        return RawAnswer(status, headers, b"".join(parts))

    async def _body(self, fields: dict[bytes, bytes], parts: list[bytes]) -> None:
        if b"content-length" in fields:
            left = int(fields[b"content-length"])
            while left:
                part = await self.reader.read(min(left, 1 << 20))
                if not part:
                    raise asyncio.IncompleteReadError(b"", left)
                parts.append(part)
                left -= len(part)
        elif fields.get(b"transfer-encoding") == b"chunked":
            while chunk := await self.chunk():
                parts.append(chunk)
        else:
            parts.append(await self.reader.read())

    async def chunk(self) -> bytes:
        """Read one chunk; empty at the end."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        content = await self.reader.readexactly(size)
        await self.reader.readexactly(2)
        return content

    def close(self) -> None:
        """End the connection at once."""
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[RawClient]:
    """Yield a client of a port on this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    client = RawClient(reader, writer)
    try:
        yield client
    finally:
        client.close()


async def fetch(port: int, request: bytes) -> RawAnswer:
    """Send one request over a connection of its own and read the answer."""
    async with connected(port) as client:
        await client.send(request)
        return await client.answer(method=request.split(b" ", 1)[0])


def get(
    target: bytes,
    headers: Sequence[tuple[bytes, bytes]] = (),
    *,
    method: bytes = b"GET",
    body: bytes = b"",
) -> bytes:
    """Return the bytes of a request."""
    fields = [(b"Host", b"client.example"), *headers]
    if body:
        fields.append((b"Content-Length", b"%d" % len(body)))
    lines = b"".join(b"%b: %b\r\n" % field for field in fields)
    return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, target, lines, body)


@contextlib.contextmanager
def unaccepting() -> Iterator[str]:
    """Yield the address of a socket whose backlog is full: connecting hangs."""
    with socket.socket() as server, contextlib.ExitStack() as stack:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(2):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)  # noqa: FBT003 - the standard library's own
            filler.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


class Echo:
    """
    A well-behaved version that answers with its name and keeps each request.

    Its script serves one request after another on a connection.
    """

    def __init__(self, name: bytes = b"main") -> None:
        self.name = name
        self.requests: list[Any] = []

    async def __call__(self, wire: Wire) -> None:
        """Serve until the client ends the connection."""
        while True:
            request = await wire.request()
            self.requests.append(request)
            body = b"" if request.line.startswith(b"HEAD") else self.name
            await wire.send(answer(body, headers=[(b"X-Version", self.name)]))


__all__ = [
    "FRONTS",
    "Echo",
    "RawAnswer",
    "RawClient",
    "ScriptedUpstream",
    "connected",
    "fetch",
    "get",
    "unaccepting",
    "until",
]
