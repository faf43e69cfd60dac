"""
Frames to messages and back, for the side of a client. No I/O.

``wsproto`` knows the frames (RFC 6455, section 5); here fragments are joined up
to a bound, pings answered, and a peer's close told from its mistakes.
"""

from io import BytesIO, StringIO
from typing import Any, NamedTuple

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError

NO_STATUS = 1005
ABNORMAL = 1006
TLS_FAILED = 1015
PROTOCOL_ERROR = 1002
TOO_BIG = 1009
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012

# RFC 6455, section 7.4.1, and the registry: what a close frame may carry.
_REGISTERED = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
_FIRST_PRIVATE, _LAST_PRIVATE = 3000, 4999


class Close(NamedTuple):
    """
    How a peer ended a WebSocket.

    Attributes:
        code: 1005 if it named none, 1006 if it just went away.
        reason: Its words, or ours about it.
        is_clean: Whether it sent a close frame.
    """

    code: int
    reason: str = ""
    is_clean: bool = True


GONE = Close(ABNORMAL, is_clean=False)


def code_to_send(code: int) -> int | None:
    """
    Return the code that stands for this one in a close frame; None for none.

    Source:
        RFC 6455, section 7.4.1: 1005, 1006 and 1015 are never sent.

    Example:
        >>> [code_to_send(code) for code in (1000, 1005, 1006, 999, 4999)]
        [1000, None, 1011, 1002, 4999]
    """
    if code == NO_STATUS:
        return None
    if code in (ABNORMAL, TLS_FAILED):
        return INTERNAL_ERROR
    if code in _REGISTERED or _FIRST_PRIVATE <= code <= _LAST_PRIVATE:
        return code
    return PROTOCOL_ERROR


def message_size(message: str | bytes) -> int:
    """Return how many bytes a message has on the wire, without frames."""
    if isinstance(message, str) and not message.isascii():
        return len(message.encode())
    return len(message)


class Codec:
    """
    One WebSocket, from its handshake on.

    Args:
        limit: Bytes of a message, joined from its fragments.
        keeps: Whether messages are wanted; else each is an empty one.

    Example:
        >>> Codec(10).feed(bytes((0x81, 2)) + b"hi")
        (['hi'], b'', None)
    """

    def __init__(self, limit: int, *, keeps: bool = True) -> None:
        self._connection = Connection(ConnectionType.CLIENT)
        self._limit = limit
        self._keeps = keeps
        # Buffers, not lists: a fragment may be one byte, or none.
        self._joined: StringIO | BytesIO | None = None
        self._size = 0
        self._is_over = False

    def feed(self, data: bytes) -> tuple[list[str | bytes], bytes, Close | None]:
        """
        Return the messages that are complete now, what to answer, and the end.

        After the end nothing more is read. A mistake of the peer's has been
        answered with a close frame that names it (1002, 1007 or 1009).
        """
        messages: list[str | bytes] = []
        replies: list[bytes] = []
        if self._is_over:
            return messages, b"", None
        self._connection.receive_data(data)
        for event in self._connection.events():
            close: Close | None = None
            if isinstance(event, TextMessage | BytesMessage):
                close = self._take(event, messages)
            elif isinstance(event, Ping):
                replies.append(self._sent(event.response()))
            elif isinstance(event, CloseConnection):
                close = self._end(event)
            if close is not None:
                self._is_over = True
                replies.append(self._closing(close))
                return messages, b"".join(replies), close
        return messages, b"".join(replies), None

    def message(self, message: str | bytes) -> bytes:
        """Return the frame of a message."""
        if isinstance(message, str):
            return self._sent(TextMessage(data=message))
        return self._sent(BytesMessage(data=message))

    def ping(self) -> bytes:
        """Return the frame of a ping; whatever answers it is no message."""
        return self._sent(Ping())

    def close(self, code: int, reason: str = "") -> bytes:
        """Return a close frame; empty if one has been sent."""
        wanted = code_to_send(code)
        if wanted is None:
            return self._sent(CloseConnection(code=CloseReason.NO_STATUS_RCVD))
        return self._sent(CloseConnection(code=wanted, reason=reason or None))

    def _take(
        self, event: TextMessage | BytesMessage, messages: list[str | bytes]
    ) -> Close | None:
        if not self._keeps:
            if event.message_finished:
                messages.append(b"")
            return None
        part = event.data if isinstance(event.data, str) else bytes(event.data)
        self._size += message_size(part)
        if self._size > self._limit:
            return Close(TOO_BIG, f"more than {self._limit} bytes", is_clean=False)
        if event.message_finished and self._joined is None:
            messages.append(part)
            self._size = 0
            return None
        if self._joined is None:
            self._joined = StringIO() if isinstance(part, str) else BytesIO()
        joined: Any = self._joined  # of the kind of its parts
        joined.write(part)
        if event.message_finished:
            messages.append(self._joined.getvalue())
            self._joined, self._size = None, 0
        return None

    def _end(self, event: CloseConnection) -> Close:
        if self._connection.state in (
            ConnectionState.REMOTE_CLOSING,
            ConnectionState.CLOSED,
        ):
            return Close(int(event.code), event.reason or "")
        return Close(int(event.code), event.reason or "", is_clean=False)

    def _closing(self, close: Close) -> bytes:
        """Return the answer to a close, or to what makes us close."""
        return self.close(close.code, "" if close.is_clean else close.reason)

    def _sent(self, event: Event) -> bytes:
        try:
            return bytes(self._connection.send(event))
        except LocalProtocolError:  # a close frame has been sent
            return b""
