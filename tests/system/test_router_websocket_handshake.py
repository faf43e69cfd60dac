"""Handshakes whose client has left, or does not wait, on every server."""

import asyncio
import contextlib

import pytest

from daeploy_lib.testing import Wire
from router_fronts import connected, until
from router_sockets import (
    FIN_CLOSE,
    FIN_TEXT,
    WS_FRONTS,
    accepted,
    echo,
    frame,
    masked,
    opening,
    routed,
)

SERVERS = sorted(WS_FRONTS)


class Hanging:
    """A main that reads a handshake and says nothing until it is let go."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.is_over = False

    async def __call__(self, wire: Wire) -> None:
        """Wait for the end of the connection."""
        await wire.head()
        self.asked.set()
        await wire.until_closed()
        self.is_over = True


@pytest.mark.parametrize("ending", ["close", "reset", "half_close"])
@pytest.mark.parametrize("server", [name for name in SERVERS if name != "granian"])
async def test_a_client_that_leaves_ends_the_handshake(
    server: str, ending: str
) -> None:
    """Main's connection ends long before its deadline; shadows were never asked."""
    main = Hanging()
    async with routed(main, echo, front=WS_FRONTS[server]) as found:
        async with connected(found.port) as client:
            await client.send(opening())
            await main.asked.wait()
            if ending == "close":
                client.writer.close()
            elif ending == "reset":
                client.close()
            else:
                client.writer.write_eof()
            await until(lambda: main.is_over, "main's end")
        await found.quiet()
        stats = found.router.stats()
        assert (stats["client_gone"], stats["refused"]) == (1, {})
        assert found.outcomes() == {"client_gone": 1}


@pytest.mark.parametrize("server", SERVERS)
async def test_a_client_that_left_costs_nothing_once_main_answers(server: str) -> None:
    """Behind granian too, which says nothing before: main sees an end, not silence."""
    answering = asyncio.Event()
    begun: list[Wire] = []
    over: list[bool] = []

    async def main(wire: Wire) -> None:
        begun.append(wire)
        with contextlib.suppress(EOFError, ConnectionError):
            await accepted(wire, after=answering)
            while (await frame(wire))[0] != FIN_CLOSE:
                pass
        over.append(True)

    async with routed(main, echo, front=WS_FRONTS[server]) as found:
        async with connected(found.port) as client:
            await client.send(opening())
            await until(lambda: begun and begun[0].received, "the handshake")
        answering.set()
        await until(lambda: over, "main's end")
        await found.quiet()


@pytest.mark.parametrize("server", ["uvicorn-httptools", "uvicorn-websockets-sansio"])
async def test_a_client_that_does_not_wait_is_refused(server: str) -> None:
    """
    A frame before the answer is a mistake (RFC 6455, section 4.1): 400.

    uvicorn's wsproto and granian report it as the first message; hypercorn
    answers 400 by itself.
    """
    main = Hanging()
    async with routed(main, echo, front=WS_FRONTS[server]) as found:
        async with connected(found.port) as client:
            await client.send(opening())
            await main.asked.wait()
            await client.send(masked(FIN_TEXT, b"early"))
            assert (await client.head())[0] == 400
            await until(lambda: main.is_over, "main's end")
        await found.quiet()
        assert found.router.stats()["refused"] == {400: 1}
        assert found.outcomes() == {"main_failed": 1}
