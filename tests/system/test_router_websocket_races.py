"""Ends that cross, frames nobody expects, many WebSockets: nothing may stay behind."""

import asyncio
import contextlib
import random
from typing import Any

import pytest

from daeploy_lib.router.policy import Limits, Timeouts
from daeploy_lib.testing import Wire
from router_fronts import RawClient, connected, until
from router_sockets import (
    FIN_BYTES,
    FIN_CLOSE,
    FIN_PING,
    FIN_PONG,
    FIN_TEXT,
    WS_FRONTS,
    Routed,
    accepted,
    echo,
    frame,
    framed,
    masked,
    opening,
    routed,
    unmasked,
)

SERVERS = sorted(WS_FRONTS)
NORMAL = (1000).to_bytes(2)


def sums(found: Routed) -> tuple[int, int, int]:
    """Return how many exchanges ended, and a shadow's requests and outcomes."""
    stats: Any = found.router.stats()
    ended = stats["relayed"] + stats["broken"] + stats["client_gone"]
    shadow = stats["shadows"]["hello"]["s"]
    return (
        ended + sum(stats["refused"].values()),
        shadow["requests"],
        sum(shadow["outcomes"].values()),
    )


@pytest.mark.parametrize("server", SERVERS)
async def test_closes_that_cross_are_one_end(server: str) -> None:
    """Client and main say goodbye at the same time: no error on either side."""

    async def main(wire: Wire) -> None:
        await accepted(wire)
        await frame(wire)
        await wire.send(framed(FIN_CLOSE, (4000).to_bytes(2)))
        with contextlib.suppress(EOFError):
            await wire.until_closed()

    async def cross() -> None:
        async with connected(found.port) as client:
            await client.send(opening())
            assert (await client.head())[0] == 101
            await client.send(masked(FIN_TEXT, b"x") + masked(FIN_CLOSE, NORMAL))
            first, content = await unmasked(client)
            assert first == FIN_CLOSE
            assert int.from_bytes(content[:2]) in (1000, 4000)

    async with routed(main, echo, front=WS_FRONTS[server]) as found:
        await asyncio.gather(*(cross() for _ in range(50)))
        await until(lambda: sums(found)[0] == 50, "all ends")
        await found.quiet()
        stats: Any = found.router.stats()
        assert (stats["broken"], stats["refused"]) == (0, {})
        assert sums(found) == (50, 50, 50)


async def test_a_server_that_cancels_leaves_nothing() -> None:
    """It counts as a client that left; main's side and the copy end."""
    ends: list[bool] = []

    async def main(wire: Wire) -> None:
        try:
            await echo(wire)
        finally:
            ends.append(True)

    async with routed(main, echo) as found:
        async with connected(found.port) as client:
            before = asyncio.all_tasks()
            await client.send(opening())
            assert (await client.head())[0] == 101
            await client.send(masked(FIN_TEXT, b"x"))
            assert await unmasked(client) == (FIN_TEXT, b"x")
            for task in asyncio.all_tasks() - before:
                if "run_asgi" in repr(task):
                    task.cancel()
            await until(lambda: ends, "main's end")
        await found.quiet()
        stats: Any = found.router.stats()
        assert (stats["client_gone"], stats["relayed"]) == (1, 0)
        assert found.outcomes() == {"client_gone": 1}


async def test_many_that_are_open_stay_apart() -> None:
    """Five hundred at once: each hears its own answers, and pings end none of them."""
    count = 500

    async def talk(number: int) -> None:
        async with connected(found.port) as client:
            await client.send(opening())
            assert (await client.head())[0] == 101
            opened.append(number)
            await everyone.wait()
            for turn in range(3):
                text = b"%d of %d" % (turn, number)
                await client.send(masked(FIN_TEXT, text))
                assert await unmasked(client) == (FIN_TEXT, text)
            await client.send(masked(FIN_CLOSE, NORMAL))
            assert await unmasked(client) == (FIN_CLOSE, NORMAL)

    async def main(wire: Wire) -> None:
        await accepted(wire)
        first = 0
        while first != FIN_CLOSE:
            first, content = await frame(wire)
            pings.append(first == FIN_PING)
            await wire.send(framed(FIN_PONG if first == FIN_PING else first, content))

    opened: list[int] = []
    pings: list[bool] = []
    everyone = asyncio.Event()
    limits = Limits(max_in_flight=100)
    options: Any = {"limits": limits, "timeouts": Timeouts(idle=3.0)}
    async with routed(main, echo, **options) as found:
        talks = [asyncio.ensure_future(talk(number)) for number in range(count)]
        await until(lambda: len(opened) == count, "all open", 30.0)
        await until(lambda: sum(pings) >= count, "a ping each", 30.0)
        everyone.set()
        await asyncio.gather(*talks)
        await found.quiet()
        stats: Any = found.router.stats()
        assert stats["relayed"] == count
        assert found.outcomes() == {"dropped_in_flight": 400, "incomparable": 100}


class Chaos:
    """Versions and clients that do by chance whatever bytes allow."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - no secret

    def _is(self, chance: float) -> bool:
        return self._random.random() < chance

    def _frame(self, *, is_client: bool) -> bytes:
        pick = self._random.choice
        kinds: list[tuple[int, bytes]] = [
            (FIN_TEXT, b"x" * pick([0, 1, 200, 60_000])),
            (FIN_TEXT, b"x"),
            (FIN_TEXT, b"\xff"),
            (FIN_BYTES, bytes(300)),
            (FIN_PING, b"p"),
            (FIN_PONG, b"unasked"),
            (FIN_CLOSE, pick([b"", NORMAL, NORMAL + b"bye", b"\x03", b"\xff\xff"])),
            (0x01, b"begin"),
            (0x80, b"end"),
            (pick([0x83, 0xC1, 0x8B, 0xF1, 0x09]), b"reserved"),
        ]
        if self._is(0.05):
            return self._random.randbytes(30)
        return (masked if is_client else framed)(*pick(kinds))

    async def version(self, wire: Wire) -> None:
        """Serve one WebSocket, or something else."""
        with contextlib.suppress(EOFError, OSError):
            if self._is(0.05):
                return
            if self._is(0.1):
                await wire.head()
                await wire.send(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
                return
            await accepted(wire)
            for _ in range(self._random.randrange(15)):
                await wire.send(self._frame(is_client=False))
                if self._is(0.5):
                    await asyncio.sleep(self._random.random() / 50)
            if self._is(0.5):
                await wire.until_closed()

    async def client(self, port: int) -> None:
        """Open a WebSocket and use it badly."""
        with contextlib.suppress(EOFError, OSError):
            async with connected(port) as client:
                await client.send(opening())
                if self._is(0.1) or (await client.head())[0] != 101:
                    return
                await self._talk(client)

    async def _talk(self, client: RawClient) -> None:
        reading = asyncio.ensure_future(client.reader.read())
        try:
            for _ in range(self._random.randrange(15)):
                await client.send(self._frame(is_client=True))
                if self._is(0.5):
                    await asyncio.sleep(self._random.random() / 50)
            if self._is(0.5):
                await client.send(masked(FIN_CLOSE, NORMAL))
                await asyncio.wait([reading], timeout=0.2)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


@pytest.mark.parametrize("is_closed_meanwhile", [False, True])
@pytest.mark.parametrize("server", SERVERS)
async def test_whatever_happens_nothing_stays(
    server: str, is_closed_meanwhile: bool
) -> None:
    """Every exchange and every copy ends once, and what it held is let go of."""
    chaos = Chaos(seed=7)
    options: Any = {
        "timeouts": Timeouts(idle=0.3, first_byte=1.0, shadow=0.5),
        "limits": Limits(max_lag_bytes=100_000, max_message_bytes=50_000),
        "front": WS_FRONTS[server],
    }
    async with routed(chaos.version, chaos.version, **options) as found:
        for _ in range(3):
            clients = [
                asyncio.ensure_future(chaos.client(found.port)) for _ in range(40)
            ]
            if is_closed_meanwhile:
                await until(lambda: found.router.stats()["in_flight"], "a beginning")
                await found.router.aclose(drain=0.3)
            await asyncio.gather(*clients)
        await found.quiet()
        ended, requests, outcomes = sums(found)
        assert ended == requests == outcomes
        assert requests > 0
