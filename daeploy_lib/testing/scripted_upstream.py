"""A server whose connections follow a script, so that it can misbehave in any way."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
)
from types import TracebackType
from typing import Self

import attrs

_KEPT = 1024 * 1024

_Headers = list[tuple[bytes, bytes]]


@attrs.frozen
class ReceivedRequest:
    """
    A request as it came over the wire.

    Attributes:
        line: The request line, without its end.
        headers: Pairs in their order, names lower-case.
        body: Decoded from chunks if it came in such.
    """

    line: bytes
    headers: _Headers
    body: bytes

    def header(self, name: bytes) -> list[bytes]:
        """Return every value of a header, in order."""
        return [value for key, value in self.headers if key == name]


class Wire:
    """
    One connection, seen from the server.

    Attributes:
        received: The bytes read so far, from all requests; of very many, the
            last MiB.
        has_ended: Whether the client has ended its side.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.received = bytearray()
        self.has_ended = False

    async def head(self) -> tuple[bytes, _Headers]:
        """
        Read a request's head.

        Raises:
            EOFError: If the client has ended the connection.
        """
        block = await self._until(b"\r\n\r\n")
        line, *lines = block[:-4].split(b"\r\n")
        pairs = (field.partition(b":") for field in lines)
        return line, [(name.lower(), value.strip()) for name, _, value in pairs]

    async def request(self) -> ReceivedRequest:
        """
        Read a whole request.

        Raises:
            EOFError: If the client has ended the connection before its end.
        """
        line, headers = await self.head()
        fields = dict(headers)
        if fields.get(b"transfer-encoding") == b"chunked":
            body = b"".join([chunk async for chunk in self.chunks()])
        else:
            body = await self.read(int(fields.get(b"content-length", b"0")))
        return ReceivedRequest(line, headers, body)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks of a chunked body as they come."""
        while size := int(await self._until(b"\r\n"), 16):
            yield await self.read(size)
            await self.read(2)
        await self.read(2)

    async def read(self, count: int) -> bytes:
        """
        Read exactly so many bytes.

        Raises:
            EOFError: If the client ended before.
        """
        try:
            content = await self._reader.readexactly(count)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self.received += getattr(error, "partial", b"")
            self.has_ended = True
            raise EOFError from error
        self._keep(content)
        return content

    async def send(self, *parts: bytes, pause: float = 0.0) -> None:
        """Send the parts, each by itself, with a pause in seconds after each."""
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()
            if pause or len(parts) > 1:
                await asyncio.sleep(pause)

    async def until_closed(self) -> None:
        """Read and keep whatever comes until the client ends the connection."""
        with contextlib.suppress(EOFError):
            while True:
                await self.read(1)

    def close(self) -> None:
        """End the connection in order: the client sees a FIN."""
        self._writer.close()

    def reset(self) -> None:
        """Break the connection: the client sees a RST."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _until(self, end: bytes) -> bytes:
        try:
            content = await self._reader.readuntil(end)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self.received += getattr(error, "partial", b"")
            self.has_ended = True
            raise EOFError from error
        self._keep(content)
        return content

    def _keep(self, content: bytes) -> None:
        self.received += content
        if len(self.received) > 2 * _KEPT:
            del self.received[:-_KEPT]


Script = Callable[[Wire], Awaitable[None]]


class ScriptedUpstream:
    """
    A server on 127.0.0.1 whose every connection follows a script.

    An asynchronous context manager; connections end with it.

    Args:
        script: Called with each connection. ``EOFError`` ends it quietly.
        backlog: Of the listening socket.

    Attributes:
        wires: The connections so far, in order.

    Example:
        >>> async def main():
        ...     async def script(wire):
        ...         request = await wire.request()
        ...         await wire.send(answer(request.body))
        ...     async with ScriptedUpstream(script) as upstream:
        ...         return upstream.address.startswith("http://127.0.0.1:")
        >>> asyncio.run(main())
        True
    """

    def __init__(self, script: Script, *, backlog: int = 100) -> None:
        self._script = script
        self._backlog = backlog
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.wires: list[Wire] = []

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            raise RuntimeError("Enter the upstream with 'async with' first.")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def address(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", 0, backlog=self._backlog
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        wire = Wire(reader, writer)
        self.wires.append(wire)
        try:
            with contextlib.suppress(EOFError, ConnectionError, asyncio.CancelledError):
                await self._script(wire)
        finally:
            writer.transport.abort() if writer.is_closing() else writer.close()


def answer(
    body: bytes = b"",
    *,
    status: bytes = b"200 OK",
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> bytes:
    r"""
    Return the bytes of an answer with a Content-Length.

    Example:
        >>> answer(b"hi")
        b'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'
    """
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    length = b"content-length: %d\r\n" % len(body)
    return b"HTTP/1.1 %b\r\n%b%b\r\n%b" % (status, lines, length, body)
