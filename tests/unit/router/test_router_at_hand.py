"""What a server has at hand is taken without waiting for anything."""

import asyncio
from typing import Any

from daeploy_lib.router.at_hand import event_at_hand
from daeploy_lib.router.inbound import Event


class Cycle:
    """One request of a server."""

    def __init__(self, *, is_there: bool, waits: bool = False) -> None:
        self.message_event = asyncio.Event()
        if is_there:
            self.message_event.set()
        self.waits = waits
        self.asked = 0

    async def receive(self) -> Event:
        """Return the body; perhaps not at once."""
        self.asked += 1
        if self.waits:
            await asyncio.sleep(1)
        return {"type": "http.request", "body": b"a", "more_body": False}


class OfUvicorn(Cycle):
    """One of uvicorn's."""

    __module__ = "uvicorn.protocols"


class Broken(OfUvicorn):
    """One whose client has left."""

    __module__ = "uvicorn.protocols"

    async def receive(self) -> Event:
        """Say so."""
        raise ConnectionResetError


def test_what_is_there_is_taken() -> None:
    """The event that uvicorn has is returned at once."""
    event: Any = event_at_hand(OfUvicorn(is_there=True).receive)
    assert event["body"] == b"a"


def test_what_is_not_there_is_not_asked_for() -> None:
    """Nothing is taken from a server that has nothing yet, or is another."""
    for cycle in (OfUvicorn(is_there=False), Cycle(is_there=True)):
        assert event_at_hand(cycle.receive) is None
        assert not cycle.asked


async def test_nothing_is_waited_for() -> None:
    """A server that waits all the same is as if it had not been asked."""
    assert event_at_hand(OfUvicorn(is_there=True, waits=True).receive) is None


def test_a_server_that_fails_has_lost_its_client() -> None:
    """An error of the server is a disconnect."""
    assert event_at_hand(Broken(is_there=True).receive) == {"type": "http.disconnect"}
