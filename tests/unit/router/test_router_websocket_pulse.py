"""When main of a WebSocket counts as gone, without a network or waiting."""

import asyncio
from collections.abc import Callable, Hashable, Iterator
from typing import Any, cast

import pytest

from daeploy_lib.router.deadlines import DeadlineQueue
from daeploy_lib.router.websocket.pulse import Pulse


class Main:
    """What a pulse knows of a channel."""

    def __init__(self) -> None:
        self.is_paused = False
        self.is_reading = True
        self.was_heard = False
        self.taken = 0
        self.pings = 0

    def ping(self) -> bool:
        """Count it, unless none can be sent or answered."""
        if self.is_paused or not self.is_reading:
            return False
        self.pings += 1
        return True


class Periods:
    """A queue of deadlines whose time passes when the test says so."""

    def __init__(self) -> None:
        self.waits: dict[Hashable, Callable[[], None]] = {}

    def start(self, key: Hashable, late: Callable[[], None]) -> None:
        """Wait, anew if need be."""
        self.waits[key] = late

    def stop(self, key: Hashable) -> None:
        """Wait no more."""
        self.waits.pop(key, None)

    def end(self) -> None:
        """Let one period end."""
        waits, self.waits = self.waits, {}
        for late in waits.values():
            late()


class Watched:
    """A pulse of such a channel."""

    def __init__(self) -> None:
        self.main = Main()
        self.periods = Periods()
        self.gone = 0
        channel, periods = cast("Any", self.main), cast("Any", self.periods)
        self.pulse = Pulse(channel, periods, self._on_gone)
        self.pulse.start()

    def _on_gone(self) -> None:
        self.gone += 1


@pytest.fixture
def watched() -> Iterator[Watched]:
    """One that has just begun; in the end it waits for nothing."""
    watched = Watched()
    yield watched
    watched.pulse.stop()
    assert watched.periods.waits == {}


def test_silence_counts_after_it_was_asked(watched: Watched) -> None:
    """The first period asks, the second one decides, and nothing follows."""
    watched.periods.end()
    assert (watched.main.pings, watched.gone) == (1, 0)
    watched.periods.end()
    assert (watched.main.pings, watched.gone) == (1, 1)
    assert watched.periods.waits == {}


def test_anything_heard_is_a_sign_of_life(watched: Watched) -> None:
    """As long as something comes in each period."""
    for count in range(1, 5):
        watched.periods.end()
        assert (watched.main.pings, watched.gone) == (count, 0)
        watched.main.was_heard = True
    watched.periods.end()
    watched.periods.end()
    assert watched.gone == 1


def test_who_is_not_read_from_is_not_silent(watched: Watched) -> None:
    """It was asked, but what it says waits for the client to take more."""
    watched.periods.end()
    watched.main.is_reading = False
    for _ in range(3):
        watched.periods.end()
    assert (watched.main.pings, watched.gone) == (1, 0)
    watched.main.is_reading = watched.main.was_heard = True
    watched.periods.end()
    assert (watched.main.pings, watched.gone) == (2, 0)


def test_who_takes_nothing_is_gone_although_it_talks(watched: Watched) -> None:
    """Some of what waits has to be taken in each period; no ping is added to it."""
    watched.main.is_paused = True
    watched.pulse.start()
    for taken in (1, 2):
        watched.main.taken = taken
        watched.periods.end()
    assert (watched.main.pings, watched.gone) == (0, 0)
    watched.main.was_heard = True
    watched.periods.end()
    assert (watched.main.pings, watched.gone) == (0, 1)


async def test_many_that_are_quiet_share_one_timer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a quiet WebSocket costs is an entry in a queue."""
    loop = asyncio.get_running_loop()
    periods = DeadlineQueue(loop, 60.0)
    timers: list[asyncio.TimerHandle] = []
    call_later = loop.call_later

    def counted(*arguments: Any) -> asyncio.TimerHandle:
        timers.append(call_later(*arguments))
        return timers[-1]

    monkeypatch.setattr(loop, "call_later", counted)
    tasks = len(asyncio.all_tasks())
    mains: list[Any] = [Main() for _ in range(1000)]
    pulses = [Pulse(main, periods, lambda: None) for main in mains]
    for pulse in pulses:
        pulse.start()
    assert (len(timers), len(periods)) == (1, 1000)
    assert len(asyncio.all_tasks()) == tasks
    for pulse in pulses:
        pulse.stop()
    assert len(periods) == 0
    periods.close()
