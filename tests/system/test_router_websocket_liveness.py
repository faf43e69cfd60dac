"""Mains that vanish or hang under an open WebSocket, and ones that only seem to."""

import asyncio
import contextlib

import pytest

from daeploy_lib.router.policy import Timeouts
from daeploy_lib.testing import Wire
from router_fronts import RawClient, connected, until
from router_sockets import (
    FIN_BYTES,
    FIN_CLOSE,
    FIN_PING,
    FIN_PONG,
    FIN_TEXT,
    WS_FRONTS,
    accepted,
    end_of,
    frame,
    framed,
    masked,
    opening,
    routed,
    unmasked,
)

SHORT = Timeouts(idle=0.1)
# Where main has to answer in time, on a machine that may be busy.
LONGER = Timeouts(idle=0.5)


class Listening:
    """A main that keeps the first byte of every frame, and answers as it is told."""

    def __init__(self, answers: dict[int, bytes]) -> None:
        self._answers = answers
        self.seen: list[int] = []

    async def __call__(self, wire: Wire) -> None:
        """Serve until the client closes."""
        await accepted(wire)
        first = 0
        while first != FIN_CLOSE:
            first, content = await frame(wire)
            self.seen.append(first)
            if first in self._answers:
                await wire.send(framed(first, content) + self._answers[first])


async def open_by(client: RawClient) -> None:
    """Open a WebSocket to /hello."""
    await client.send(opening())
    assert (await client.head())[0] == 101


@pytest.mark.parametrize("server", sorted(WS_FRONTS))
async def test_a_main_that_hangs_is_given_up(server: str) -> None:
    """It answers no ping and says nothing: the client is told 1011, nothing stays."""
    main = Listening({})
    front = WS_FRONTS[server]
    async with routed(main, front=front, timeouts=SHORT) as found:
        async with found.connect() as client:
            assert (await end_of(client))[0] == 1011
        assert main.seen[:1] == [FIN_PING]
        await found.quiet()
        assert found.router.stats()["broken"] == 1


async def test_a_quiet_main_that_answers_pings_is_kept() -> None:
    """However long it is quiet; the client sees neither pings nor pongs of main's."""

    async def main(wire: Wire) -> None:
        await accepted(wire)
        while True:
            first, content = await frame(wire)
            pings.append(first == FIN_PING)
            answer = FIN_PONG if first == FIN_PING else first
            await wire.send(framed(answer, content))
            if first == FIN_CLOSE:
                return

    pings: list[bool] = []
    async with routed(main, timeouts=LONGER) as found:
        async with connected(found.port) as client:
            await open_by(client)
            await until(lambda: sum(pings) >= 4, "four pings")
            await client.send(masked(FIN_TEXT, b"still there"))
            assert await unmasked(client) == (FIN_TEXT, b"still there")
            await client.send(masked(FIN_CLOSE, b"\x03\xe8"))
            assert await unmasked(client) == (FIN_CLOSE, b"\x03\xe8")
        await found.quiet()
        assert found.router.stats()["relayed"] == 1


async def test_a_main_that_talks_needs_no_pong() -> None:
    """Whatever it says is a sign of life, so that a late pong kills nobody."""
    main = Listening({FIN_PING: framed(FIN_TEXT, b"busy")})
    async with routed(main, timeouts=LONGER) as found:
        async with found.connect() as client:
            for _ in range(4):
                assert await client.recv() == "busy"
        await found.quiet()
        assert found.router.stats()["relayed"] == 1


async def test_a_main_that_waits_for_the_client_is_kept() -> None:
    """While the client takes nothing, main is not read from and owes no answer."""
    blocked, count = asyncio.Event(), 200

    async def main(wire: Wire) -> None:
        await accepted(wire)
        for _ in range(count):
            sending = asyncio.ensure_future(wire.send(framed(FIN_BYTES, b"x" * 60_000)))
            done, _ = await asyncio.wait([sending], timeout=1.0)
            if not done:
                blocked.set()
            await sending
        await wire.send(framed(FIN_CLOSE, (1000).to_bytes(2)))

    async with routed(main, timeouts=LONGER) as found:
        async with found.connect(max_queue=1) as client:
            await asyncio.wait_for(blocked.wait(), 10.0)
            for _ in range(count):
                assert len(await client.recv()) == 60_000
            assert (await end_of(client))[0] == 1000
        await found.quiet()
        assert found.router.stats()["relayed"] == 1


async def test_a_flood_of_mains_does_not_hold_up_draining() -> None:
    """Client and main are told 1012 at once, whatever main goes on sending."""
    ends: list[bytes] = []

    async def main(wire: Wire) -> None:
        async def flood() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await wire.send(framed(FIN_BYTES, b"x" * 100) * 1000)

        await accepted(wire)
        flooding = asyncio.ensure_future(flood())
        try:
            first, content = await frame(wire)
            ends.append(content if first == FIN_CLOSE else b"")
        finally:
            flooding.cancel()
        await wire.send(framed(FIN_CLOSE, content))

    async with routed(main) as found:
        async with found.connect() as client:
            await client.recv()
            draining = asyncio.ensure_future(found.router.aclose(drain=5.0))
            assert (await end_of(client))[0] == 1012
            await draining
        await until(lambda: ends, "main's end")
        assert int.from_bytes(ends[0][:2]) == 1012
        await found.quiet()
