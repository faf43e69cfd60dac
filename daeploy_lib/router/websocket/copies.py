"""
A copy of a WebSocket: what the client says, to one shadow; nothing back.

As with requests, a copy never waits and nobody waits for it. It begins when
main has accepted, holds what its shadow has not taken up to a bound, and ends
with one outcome.
"""

from collections import deque
from typing import TYPE_CHECKING

from daeploy_lib.router.failure import Failure
from daeploy_lib.router.outcome import Outcome
from daeploy_lib.router.plan import Settings
from daeploy_lib.router.routing import RouteSource, Target
from daeploy_lib.router.websocket.answer import Denied
from daeploy_lib.router.websocket.channel import Channel, direct_pool
from daeploy_lib.router.websocket.codec import Close, message_size
from daeploy_lib.router.websocket.handshake import Accepted, Handshake

if TYPE_CHECKING:
    from daeploy_lib.router.loops import LoopState

_OUTCOMES = {
    Failure.refused: Outcome.refused,
    Failure.connect_timeout: Outcome.timeout,
}


class SocketCopy:
    """
    One shadow's share of a WebSocket.

    Args:
        state: What belongs to the loop.
        target: The shadow.
        handshake: Marked, for it.
        settings: Of the router.
        source: Told when this WebSocket to the version ends.
        slot: Of it in the source.
    """

    def __init__(
        self,
        state: "LoopState",
        target: Target,
        handshake: Handshake,
        settings: Settings,
        *,
        source: RouteSource,
        slot: object,
    ) -> None:
        self._state = state
        self._source = source
        self._slot = slot
        self._limits = settings.limits
        self._tally = settings.tally
        self._target = target
        self._counts = target.counts
        self._queue: deque[str | bytes] = deque()
        self._queued = 0
        self._is_open = False
        self._is_settled = False
        self._has_closed = False
        self._close: Close | None = None
        self._channel = Channel(
            direct_pool(state, target), handshake, self, settings.limits, keeps=False
        )

    def begin(self) -> None:
        """Take a place among the copies under way and dial."""
        self._counts.in_flight += 1
        self._state.began(self)
        self._state.shadow.start(self, self._late)
        self._channel.start()

    # The session's side

    def send(self, message: str | bytes) -> None:
        """Send a message, or give up if too many bytes wait already."""
        if self._is_settled or self._has_closed:
            return
        if self._is_open:
            self._channel.send(message)
        else:
            self._queue.append(message)
            self._hold(message_size(message))
        lag = self._queued + self._channel.unsent
        is_too_much = self._queued and self._tally.held > self._limits.max_bytes
        if lag > self._limits.max_lag_bytes or is_too_much:
            self._settle(Outcome.dropped_bytes)

    def finish(self, close: Close) -> None:
        """End as client and main have ended; a deadline runs from now."""
        if self._is_settled:
            return
        self._close = close
        if self._has_closed:
            self._settle(Outcome.incomparable)
            return
        self._state.shadow.start(self, self._late)
        if self._is_open:
            self._channel.close(close.code, close.reason)

    def drop(self, outcome: Outcome) -> None:
        """End at once, because main or the client has."""
        self._settle(outcome)

    def give_up(self) -> None:
        """End at once, because the router is closing."""
        self._settle(Outcome.timeout)

    # The channel's side

    def channel_answered(self, answer: Accepted | Denied) -> None:
        """Send what has waited, or lose the copy."""
        if isinstance(answer, Denied):
            self._settle(Outcome.refused)
            return
        self._is_open = True
        self._state.shadow.stop(self)
        for message in self._queue:
            self._channel.send(message)
        self._clear()
        if self._channel.unsent > self._limits.max_lag_bytes:
            self._settle(Outcome.dropped_bytes)
        elif self._close is not None:
            self.finish(self._close)

    def channel_failed(self, failure: Failure) -> None:
        """Lose the copy."""
        self._settle(_OUTCOMES.get(failure, Outcome.shadow_error))

    def channel_received(self, message: str | bytes) -> None:
        """Count it and throw it away."""
        del message
        self._counts.messages += 1

    def channel_closed(self, close: Close) -> None:
        """Wait for main's end, unless the shadow has just gone away."""
        self._has_closed = True
        if not close.is_clean:
            self._settle(Outcome.shadow_error)
        elif self._close is not None:
            self._settle(Outcome.incomparable)

    def channel_has_room(self) -> None:
        """Nobody waits for it."""

    # Ends

    def _late(self) -> None:
        self._settle(Outcome.timeout)

    def _settle(self, outcome: Outcome) -> None:
        if self._is_settled:
            return
        self._is_settled = True
        self._clear()
        if not self._has_closed:
            self._channel.abort()
        self._state.shadow.stop(self)
        self._state.ended(self)
        self._counts.in_flight -= 1
        self._target.count(outcome)
        self._source.leave(self._slot)

    def _clear(self) -> None:
        self._queue.clear()
        self._hold(-self._queued)

    def _hold(self, count: int) -> None:
        self._queued += count
        self._tally.held += count
