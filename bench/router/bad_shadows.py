"""
Shadows that answer badly, each in a way of its own.

``python -m bench.router.bad_shadows KIND PORT``.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import cast

import uvloop

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
DRIP_S = 1.0


class BadShadow(asyncio.Protocol):
    """Answers whatever comes; what it is asked does not matter to it."""

    def __init__(self, answer: "Callable[[BadShadow], None]") -> None:
        self._answer = answer
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)
        self.is_paused = False

    def data_received(self, data: bytes) -> None:
        """Answer in the way of this kind."""
        if data.startswith(b"GET "):
            self._answer(self)

    def pause_writing(self) -> None:
        """Wait for whoever reads."""
        self.is_paused = True

    def resume_writing(self) -> None:
        """Go on with what never ends."""
        self.is_paused = False
        self.timer = asyncio.get_running_loop().call_later(0, self.go_on)

    def connection_lost(self, error: Exception | None) -> None:
        """End with it."""
        del error
        if self.timer is not None:
            self.timer.cancel()
        self.more = b""

    more = b""

    def go_on(self) -> None:
        """Write until nobody takes it."""
        while self.more and not self.is_paused and not self.transport.is_closing():
            self.transport.write(self.more)

    def drip(self) -> None:
        """Write one byte, and another one later."""
        self.transport.write(b"x")
        self.timer = asyncio.get_running_loop().call_later(DRIP_S, self.drip)


def _hang(it: BadShadow) -> None:
    it.transport.pause_reading()


def _drip(it: BadShadow) -> None:
    it.transport.write(HEAD + b"content-length: 100000\r\n\r\n")
    it.drip()


def _reset(it: BadShadow) -> None:
    it.transport.write(HEAD + b"content-length: 100000\r\n\r\nhalf")
    it.transport.abort()


def _never_end(it: BadShadow) -> None:
    it.transport.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    it.more = CHUNK
    it.go_on()


def _garbage(it: BadShadow) -> None:
    it.transport.write(bytes(range(256)))


def _headers(it: BadShadow) -> None:
    it.transport.write(HEAD)
    it.more = b"x-more: and more\r\n" * 1000
    it.go_on()


def _well(it: BadShadow) -> None:
    it.transport.write(HEAD + b"content-length: 2\r\n\r\nok")


KINDS: dict[str, Callable[[BadShadow], None]] = {
    "never answers": _hang,
    "one byte a second": _drip,
    "resets in the middle": _reset,
    "never ends": _never_end,
    "sends garbage": _garbage,
    "headers without end": _headers,
}


async def serve(kind: str, port: int) -> None:
    """Serve until ended."""
    answer = KINDS.get(kind, _well)
    loop = asyncio.get_running_loop()
    made = loop.create_server(
        lambda: BadShadow(answer), "127.0.0.1", port, backlog=4096
    )
    await (await made).serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
