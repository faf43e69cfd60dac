"""Main's messages that the client has not taken yet, up to a bound."""

from collections import deque

from daeploy_lib.router.websocket.channel import Channel
from daeploy_lib.router.websocket.codec import message_size

# Bytes that may wait, as for answers.
_BUFFER = 256 * 1024

# What a message costs beside its bytes: empty ones are not free.
_PER_MESSAGE = 64


class Backlog:
    """
    A queue that stops reading from main while it is full.

    Args:
        channel: To main.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._messages: deque[str | bytes] = deque()
        self._size = 0

    def put(self, message: str | bytes) -> None:
        """Keep a message."""
        self._messages.append(message)
        self._size += message_size(message) + _PER_MESSAGE
        if self._size > _BUFFER:
            self._channel.pause_reading()

    def take(self) -> str | bytes | None:
        """Return the oldest message; None if there is none."""
        if not self._messages:
            return None
        message = self._messages.popleft()
        self._size -= message_size(message) + _PER_MESSAGE
        if self._size <= _BUFFER:
            self._channel.resume_reading()
        return message
