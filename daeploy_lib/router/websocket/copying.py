"""All copies of one WebSocket, told as one."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from daeploy_lib.router.mirroring import spare_copies
from daeploy_lib.router.outcome import Outcome
from daeploy_lib.router.plan import Plan, Settings
from daeploy_lib.router.routing import RouteSource, Target
from daeploy_lib.router.websocket.codec import Close
from daeploy_lib.router.websocket.copies import SocketCopy
from daeploy_lib.router.websocket.handshake import upgrading

if TYPE_CHECKING:
    from daeploy_lib.router.loops import LoopState

_log = logging.getLogger(__name__)


class SocketCopies:
    """
    What the client says, to every shadow that has a place for it.

    Args:
        plan: The handshake and who shall get it.
        state: What belongs to the loop.
        settings: Of the router.
        source: Told when a WebSocket to a shadow ends, or is not begun.
        slots: Of the shadows in the source, in their order.
    """

    def __init__(
        self,
        plan: Plan,
        state: "LoopState",
        settings: Settings,
        source: RouteSource,
        slots: Sequence[object],
    ) -> None:
        self._plan = plan
        self._state = state
        self._settings = settings
        self._source = source
        self._slots = slots
        self._copies: list[SocketCopy] = []

    def begin(self, offered: Sequence[str]) -> None:
        """
        Send the handshake; shadows without a place for it are counted.

        Args:
            offered: The client's subprotocols.
        """
        slots, self._slots = self._slots, ()
        mark = self._plan.new_mark()
        for target, slot in zip(self._plan.shadows, slots, strict=True):
            if target.counts.in_flight >= self._settings.limits.max_in_flight:
                self._spare(target, slot, Outcome.dropped_in_flight)
                continue
            try:
                self._begin(target, slot, mark, offered)
            except Exception:  # noqa: BLE001 - a copy cannot hurt main (rule 19)
                _log.exception("A copy of a WebSocket was not begun.")

    def send(self, message: str | bytes) -> None:
        """Send a message to all that keep up."""
        for copy in self._copies:
            copy.send(message)

    def finish(self, close: Close) -> None:
        """End them as client and main have ended; they may take their time."""
        for copy in self._copies:
            copy.finish(close)
        self._copies = []

    def drop(self, outcome: Outcome) -> None:
        """End at once those that are left, also those not begun."""
        for copy in self._copies:
            copy.drop(outcome)
        self._copies = []
        slots, self._slots = self._slots, ()
        spare_copies(self._plan, self._source, slots, outcome)

    def _begin(
        self, target: Target, slot: object, mark: bytes, offered: Sequence[str]
    ) -> None:
        try:
            copy = SocketCopy(
                self._state,
                target,
                upgrading(self._plan.copy_head(target, mark), offered),
                self._settings,
                source=self._source,
                slot=slot,
            )
        except Exception:
            self._spare(target, slot, Outcome.shadow_error)
            raise
        try:
            copy.begin()
        except Exception:
            copy.drop(Outcome.shadow_error)
            raise
        self._copies.append(copy)

    def _spare(self, target: Target, slot: object, outcome: Outcome) -> None:
        self._source.leave(slot)
        target.count(outcome)
