"""
Whether main still lives: it answers pings, and takes what it is sent.

A peer that vanished without a word, or hangs, says nothing that a socket could
report. The server in front asks the client; nobody but the router can ask main.
"""

from collections.abc import Callable

from daeploy_lib.router.deadlines import DeadlineQueue
from daeploy_lib.router.websocket.channel import Channel


class Pulse:
    """
    Looks at main's channel once per period; in between it costs an entry in a dict.

    Each look asks with a ping (RFC 6455, section 5.5.2). Whatever main says until
    the next one will do for an answer: a peer that talks is not killed for a late
    pong. While main is not being read from, it cannot answer and need not.

    Args:
        channel: To main; it is open.
        periods: The queue whose length is the period.
        on_gone: Called once, when main counts as gone.
    """

    def __init__(
        self, channel: Channel, periods: DeadlineQueue, on_gone: Callable[[], None]
    ) -> None:
        self._channel = channel
        self._periods = periods
        self._on_gone = on_gone
        self._has_asked = False
        self._taken = 0

    def start(self) -> None:
        """Begin a period anew; nothing has been asked in it."""
        self._has_asked = False
        self._begin()

    def stop(self) -> None:
        """Look no more."""
        self._periods.stop(self)

    def _begin(self) -> None:
        self._channel.was_heard = False
        self._taken = self._channel.taken
        self._periods.start(self, self._look)

    def _look(self) -> None:
        channel = self._channel
        # It may take a large message slowly, but it has to take some of it.
        is_stuck = channel.is_paused and channel.taken == self._taken
        is_silent = self._has_asked and channel.is_reading and not channel.was_heard
        if is_stuck or is_silent:
            self._on_gone()
            return
        self._has_asked = channel.ping()
        self._begin()
