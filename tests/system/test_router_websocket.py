"""WebSockets byte by byte: what versions are sent, and what they may do wrong."""

import asyncio
import contextlib
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from daeploy_lib.router.policy import Limits, Timeouts
from daeploy_lib.testing import Script, Wire, answer
from router_fronts import unaccepting, until
from router_sockets import (
    FIN_BYTES,
    FIN_CLOSE,
    FIN_PING,
    FIN_PONG,
    FIN_TEXT,
    accepted,
    echo,
    end_of,
    frame,
    framed,
    routed,
)


async def test_frames_are_masked_and_whole_and_pings_are_answered() -> None:
    """Main sees a client by the book; its fragments reach the client joined."""
    seen: list[tuple[int, bytes]] = []

    async def main(wire: Wire) -> None:
        fields = await accepted(wire, b"Set-Cookie: a=1", b"Set-Cookie: b=2")
        assert fields[b"connection"] == b"Upgrade"
        assert fields[b"sec-websocket-version"] == b"13"
        assert b"sec-websocket-extensions" not in fields
        await wire.send(framed(FIN_PING, b"are you there"))
        await wire.send(
            framed(0x01, b"h\xc3") + framed(FIN_PING, b"") + framed(0x80, b"\xa9")
        )
        seen.extend([await frame(wire) for _ in range(5)])
        await wire.send(framed(FIN_CLOSE, b"\x0f\xa1later"))
        seen.append(await frame(wire))

    async with routed(main) as found, found.connect(compression="deflate") as client:
        response = client.response
        assert response is not None
        assert response.headers.get_all("set-cookie") == ["a=1", "b=2"]
        assert await client.recv() == "h\u00e9"
        for message in ("", b"", "x"):
            await client.send(message)
        assert await end_of(client) == (4001, "later")
        await found.quiet()
    pongs = [(FIN_PONG, b"are you there"), (FIN_PONG, b"")]
    messages = [(FIN_TEXT, b""), (FIN_BYTES, b""), (FIN_TEXT, b"x")]
    assert seen == [*pongs, *messages, (FIN_CLOSE, b"\x0f\xa1")]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (framed(FIN_TEXT, b"\xff"), 1007),
        (framed(0xC1, b"compressed"), 1002),
        (framed(FIN_BYTES, b"x" * 1001), 1009),
        (framed(0x02, b"x" * 600) + framed(0x80, b"x" * 600), 1009),
        (framed(FIN_CLOSE, (999).to_bytes(2)), 1002),
        (framed(FIN_CLOSE, (5000).to_bytes(2)), 1002),
        (framed(FIN_CLOSE, (1006).to_bytes(2)), 1002),
    ],
)
async def test_a_mistake_of_mains_ends_both_sides(sent: bytes, code: int) -> None:
    """Main is told which mistake it was, and so is the client."""
    seen: list[tuple[int, bytes]] = []

    async def main(wire: Wire) -> None:
        await accepted(wire)
        await wire.send(sent)
        seen.append(await frame(wire))

    limits = Limits(max_message_bytes=1000)
    async with routed(main, limits=limits) as found, found.connect() as client:
        assert (await end_of(client))[0] == code
        await found.quiet()
    first, content = seen[0]
    assert (first, int.from_bytes(content[:2])) == (FIN_CLOSE, code)


async def test_a_close_without_a_code_is_no_error() -> None:
    """ASGI cannot send a close frame without a code: the client sees 1000."""

    async def main(wire: Wire) -> None:
        await accepted(wire)
        await wire.send(framed(FIN_CLOSE, b""))
        assert await frame(wire) == (FIN_CLOSE, b"")

    async with routed(main) as found, found.connect() as client:
        assert (await end_of(client))[0] == 1000
        await found.quiet()
        assert found.router.stats()["relayed"] == 1


async def test_a_message_too_big_for_main_ends_both_sides() -> None:
    """The client and main are told 1009; main gets nothing of the message."""
    seen: list[tuple[int, bytes]] = []

    async def main(wire: Wire) -> None:
        await accepted(wire)
        seen.append(await frame(wire))

    limits = Limits(max_message_bytes=1000)
    async with routed(main, limits=limits) as found, found.connect() as client:
        await client.send(b"x" * 1001)
        assert (await end_of(client))[0] == 1009
        await found.quiet()
    assert (seen[0][0], int.from_bytes(seen[0][1][:2])) == (FIN_CLOSE, 1009)


async def _bad_token(wire: Wire) -> None:
    await wire.head()
    await wire.send(
        b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: bm90IHRoYXQgb25l\r\n\r\n"
    )


async def _extension(wire: Wire) -> None:
    await accepted(wire, b"Sec-WebSocket-Extensions: permessage-deflate")


async def _subprotocol(wire: Wire) -> None:
    await accepted(wire, b"Sec-WebSocket-Protocol: z")


async def _garbage(wire: Wire) -> None:
    await wire.head()
    await wire.send(b"SSH-2.0-OpenSSH\r\n\r\n")


async def _silence(wire: Wire) -> None:
    await wire.head()


async def _hang(wire: Wire) -> None:
    await wire.head()
    await wire.until_closed()


async def _too_long(wire: Wire) -> None:
    await wire.head()
    await wire.send(answer(b"x" * 2000, status=b"403 Forbidden"))


@pytest.mark.parametrize(
    ("main", "status"),
    [
        (_bad_token, 502),
        (_extension, 502),
        (_subprotocol, 502),
        (_garbage, 502),
        (_silence, 502),
        (_too_long, 502),
        (_hang, 504),
        ("http://127.0.0.1:9", 502),
    ],
)
async def test_a_main_that_speaks_no_websocket_is_refused(
    main: Script | str, status: int
) -> None:
    """The client gets an HTTP answer; shadows are not asked."""
    options: dict[str, Any] = {
        "timeouts": Timeouts(first_byte=0.2),
        "limits": Limits(max_capture_bytes=1000),
    }
    async with routed(main, echo, **options) as found:
        with pytest.raises(InvalidStatus) as caught:
            await found.connect(subprotocols=["a"])
        assert caught.value.response.status_code == status
        await found.quiet()
        assert found.outcomes() == {"main_failed": 1}


async def test_a_main_that_accepts_no_connection_is_late() -> None:
    """Connecting has a deadline of its own: 504."""
    with unaccepting() as address:
        async with routed(address, timeouts=Timeouts(connect=0.2)) as found:
            with pytest.raises(InvalidStatus) as caught:
                await found.connect()
            assert caught.value.response.status_code == 504
            await found.quiet()


async def _shadow_no(wire: Wire) -> None:
    await wire.head()
    await wire.send(answer(b"no", status=b"403 Forbidden"))


async def _shadow_dies(wire: Wire) -> None:
    await accepted(wire)


async def _shadow_reads_nothing(wire: Wire) -> None:
    await accepted(wire)
    await asyncio.Event().wait()


async def _shadow_talks(wire: Wire) -> None:
    await accepted(wire)
    await wire.send(framed(FIN_TEXT, b"not for clients") * 3)
    while (await frame(wire))[0] != FIN_CLOSE:
        pass
    await wire.send(framed(FIN_CLOSE, b""))


@pytest.mark.parametrize(
    ("shadow", "outcome"),
    [
        ("http://127.0.0.1:9", "refused"),
        (_shadow_no, "refused"),
        (_garbage, "shadow_error"),
        (_bad_token, "shadow_error"),
        (_shadow_dies, "shadow_error"),
        (_hang, "timeout"),
        (_shadow_reads_nothing, "dropped_bytes"),
        (_shadow_talks, "incomparable"),
    ],
)
async def test_a_shadow_cannot_hurt_a_websocket(
    shadow: Script | str, outcome: str
) -> None:
    """Main's messages are the same; the shadow's end is counted once."""
    options: dict[str, Any] = {
        "timeouts": Timeouts(shadow=0.5),
        "limits": Limits(max_lag_bytes=512 * 1024),
    }
    async with routed(echo, shadow, **options) as found:
        async with found.connect() as client:
            for number in range(200):
                message = f"{number}" + "x" * 40_000
                await client.send(message)
                assert await client.recv() == message
            if outcome != "incomparable":
                await until(found.outcomes, "an outcome")
        await found.quiet()
        assert sum(found.outcomes().values()) == 1
        if shadow is _hang:
            assert set(found.outcomes()) <= {"timeout", "dropped_bytes"}
        else:
            assert found.outcomes() == {outcome: 1}


async def test_copies_under_way_have_a_bound() -> None:
    """A WebSocket too many is not copied, and works."""
    limits = Limits(max_in_flight=1)
    async with routed(echo, echo, limits=limits) as found:
        async with found.connect(), found.connect() as second:
            await second.send("x")
            assert await second.recv() == "x"
            assert found.outcomes() == {"dropped_in_flight": 1}
        await found.quiet()
        assert found.outcomes() == {"dropped_in_flight": 1, "incomparable": 1}


async def test_a_main_that_takes_nothing_stops_the_client() -> None:
    """What the client sends waits at the client; at last main counts as gone."""
    sent = 0

    async with (
        routed(_shadow_reads_nothing, timeouts=Timeouts(idle=0.3)) as found,
        found.connect() as client,
    ):
        with contextlib.suppress(ConnectionClosed):
            while sent < 512:
                await client.send(b"x" * 100_000)
                sent += 1
        assert client.close_code == 1011
        assert sent < 512
        await found.quiet()
        assert found.router.stats()["broken"] == 1


async def test_a_client_that_takes_nothing_stops_main() -> None:
    """What main sends waits at main, and all of it comes when the client reads."""
    progress = [0]
    count = 1000

    async def main(wire: Wire) -> None:
        await accepted(wire)
        for _ in range(count):
            await wire.send(framed(FIN_BYTES, b"x" * 60_000))
            progress[0] += 1
        await wire.send(framed(FIN_CLOSE, (1000).to_bytes(2)))

    async with routed(main) as found, found.connect(max_queue=1) as client:
        await client.recv()
        before = -1
        while progress[0] != before:  # until main stands still
            before = progress[0]
            await asyncio.sleep(0.2)
        assert before < count
        for _ in range(count - 1):
            assert len(await client.recv()) == 60_000
        assert (await end_of(client))[0] == 1000
        await found.quiet()


async def test_draining_does_not_wait_for_a_main_that_hangs() -> None:
    """The client is told 1012; main and shadow are ended on the wire."""
    async with (
        routed(_shadow_reads_nothing, _shadow_reads_nothing) as found,
        found.connect() as client,
    ):
        await until(lambda: found.router.stats()["connections"] == 2, "both")
        closing = asyncio.ensure_future(found.router.aclose(drain=0.2))
        assert (await end_of(client))[0] == 1012
        await closing
        await found.quiet()
