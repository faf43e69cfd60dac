"""
Versions that take uploads, and one that never answers.

``python -m bench.router.stand_ins KIND PORT [BYTES_PER_SECOND]``: ``hung`` accepts
connections and reads nothing; ``sink`` reads a request of any length, at most at
the rate, and says in its answer how many bytes it got. ``GET /count`` on the port
tells how many bytes came in the last upload, whole or not.
"""

import asyncio
import sys
from typing import cast

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%b"
PART = 256 * 1024  # bytes read at once
PAUSES = 20  # a slow reader's pauses in a second


class Hung(asyncio.Protocol):
    """Never reads, never answers."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Stop reading before anything came."""
        cast("asyncio.ReadTransport", transport).pause_reading()


class Sink(asyncio.BufferedProtocol):
    """Reads into the same buffer again and again."""

    last = 0

    def __init__(self, rate: float) -> None:
        self._buffer = bytearray(PART)
        self._rate = rate
        self._head: bytes = b""
        self._is_upload = False
        self._left = 0
        self._got = 0
        self._allowed = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return where to read to."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Count; answer at the end."""
        if not self._is_upload:
            nbytes = self._begin(nbytes)
        if not self._is_upload:
            return
        self._left -= nbytes
        self._got += nbytes
        Sink.last = self._got
        if not self._left:
            self._is_upload = False
            self._answer(b"%d" % self._got)
        elif self._rate:
            self._slow_down(nbytes)

    def _begin(self, nbytes: int) -> int:
        """Look for the head's end; return how much of the body came with it."""
        self._head += bytes(self._buffer[:nbytes])
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end:
            return 0
        self._head = b""
        if head.startswith(b"GET /count "):
            self._answer(b"%d" % Sink.last)
            return 0
        lines = head.lower().split(b"\r\n")
        name = b"content-length:"
        lengths = [line[len(name) :] for line in lines if line.startswith(name)]
        self._is_upload = True
        self._left = int(lengths[0]) if lengths else 0
        self._got = 0
        return len(rest)

    def _answer(self, body: bytes) -> None:
        self._transport.write(ANSWER % (len(body), body))

    def _slow_down(self, nbytes: int) -> None:
        self._allowed -= nbytes
        if self._allowed < 0:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(1 / PAUSES, self._go_on)

    def _go_on(self) -> None:
        self._allowed = self._rate / PAUSES
        if not self._transport.is_closing():
            self._transport.resume_reading()


async def serve(kind: str, port: int, rate: float) -> None:
    """Serve until ended."""
    loop = asyncio.get_running_loop()
    made = Hung if kind == "hung" else lambda: Sink(rate)
    server = await loop.create_server(made, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    RATE = float(sys.argv[3]) if len(sys.argv) > 3 else 0
    uvloop.run(serve(sys.argv[1], int(sys.argv[2]), RATE))
