"""
One WebSocket to a version, in callbacks alone.

Dial, handshake, messages, end: who listens hears of each once, and of nothing
after the end. Waiting is up to who listens; so are deadlines.
"""

import asyncio
from typing import TYPE_CHECKING, Protocol, cast

from daeploy_lib.router.failure import Failure
from daeploy_lib.router.policy import Limits
from daeploy_lib.router.pool import Pool
from daeploy_lib.router.refusal import Refusal
from daeploy_lib.router.routing import Target
from daeploy_lib.router.websocket.answer import Denied, HandshakeAnswer
from daeploy_lib.router.websocket.codec import GONE, Close, Codec
from daeploy_lib.router.websocket.handshake import Accepted, Handshake

if TYPE_CHECKING:
    from daeploy_lib.router.dial import Dial
    from daeploy_lib.router.loops import LoopState

# As for requests: see ``connection.py``.
_WRITE_HIGH = 64 * 1024

LINGER_SECONDS = 2.0
"""How long a peer may take for the end: it is a round trip on one machine."""


class Listener(Protocol):
    """Who uses a channel."""

    def channel_answered(self, answer: Accepted | Denied) -> None:
        """The version has answered the handshake."""
        ...

    def channel_failed(self, failure: Failure) -> None:
        """The version has not answered the handshake, and will not."""
        ...

    def channel_received(self, message: str | bytes) -> None:
        """A message has come."""
        ...

    def channel_closed(self, close: Close) -> None:
        """No message will come."""
        ...

    def channel_has_room(self) -> None:
        """More may be sent."""
        ...


class Channel(asyncio.Protocol):
    """
    A WebSocket to one version.

    Args:
        pool: Of that version.
        handshake: What to begin with.
        listener: Who hears of it.
        limits: Bounds on what is received.
        keeps: Whether the content of messages is wanted.
    """

    def __init__(
        self,
        pool: Pool,
        handshake: Handshake,
        listener: Listener,
        limits: Limits,
        *,
        keeps: bool,
    ) -> None:
        self._pool = pool
        self._handshake = handshake
        self._listener: Listener | None = listener
        self._answer: HandshakeAnswer | None = HandshakeAnswer(
            handshake, limits.max_header_bytes, limits.max_capture_bytes
        )
        self._codec = Codec(limits.max_message_bytes, keeps=keeps)
        self._transport: asyncio.Transport | None = None
        self._written = 0
        self._has_closed = False
        self._dial: Dial | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self.is_paused = False
        """Whether the version takes no more at the moment."""
        self.is_reading = True
        """Whether the version is read from."""
        self.was_heard = False
        """Set when the version may have said something; for others to take back."""

    # The listener's side

    def start(self) -> None:
        """Dial."""
        self._dial = self._pool.open(lambda: self, self._failed)

    def send(self, message: str | bytes) -> None:
        """Send a message, whether or not there is room."""
        self._write(self._codec.message(message))

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye; the version's answer ends the channel."""
        self._write(self._codec.close(code, reason))

    def ping(self) -> bool:
        """Ask for a sign of life; return whether one can be asked for."""
        if self.is_paused or not self.is_reading:
            return False
        self._write(self._codec.ping())
        return True

    @property
    def taken(self) -> int:
        """Bytes that have left for the version."""
        return self._written - self.unsent

    @property
    def unsent(self) -> int:
        """Bytes that the version has not taken."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Let the version wait."""
        transport = self._transport
        if self.is_reading and transport is not None and not transport.is_closing():
            self.is_reading = False
            transport.pause_reading()

    def resume_reading(self) -> None:
        """Let the version go on."""
        if not self.is_reading and self._transport is not None:
            self.is_reading = True
            self.was_heard = True  # what it said meanwhile is still to be read
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def abort(self) -> None:
        """End at once; the listener hears nothing more."""
        self._listener = None
        dial, self._dial = self._dial, None
        if dial is not None:
            dial.cancel()
        if self._transport is not None and not self._has_closed:
            self._transport.abort()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the handshake."""
        self._dial = None
        self._transport = cast("asyncio.Transport", transport)
        if self._listener is None:
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=_WRITE_HIGH)
        self._transport.write(self._handshake.head)

    def data_received(self, data: bytes) -> None:
        """Read the answer to the handshake, then frames."""
        self.was_heard = True
        if self._answer is not None:
            try:
                answer = self._answer.feed(data)
            except ValueError:
                self._failed(Failure.garbage)
                return
            if answer is not None:
                self._answered(answer)
        else:
            self._read(data)

    def eof_received(self) -> None:
        """End; asyncio closes the transport."""
        if self._answer is not None and self._listener is not None:
            begun = self._answer.has_begun
            try:
                self._answered(self._answer.end())
            except ValueError:
                self._failed(Failure.garbage if begun else Failure.closed)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the listener, unless it knows."""
        del exc
        self._has_closed = True
        self._pool.forget(self)
        if self._lingering is not None:
            self._lingering.cancel()
        if self._answer is not None:
            begun = self._answer.has_begun
            self._failed(Failure.garbage if begun else Failure.closed)
        else:
            self._ended(GONE)

    def pause_writing(self) -> None:
        """Note that the version reads more slowly than it is sent."""
        self.is_paused = True

    def resume_writing(self) -> None:
        """Tell that there is room again."""
        self.is_paused = False
        if self._listener is not None:
            self._listener.channel_has_room()

    # Between the two

    def _answered(self, answer: Accepted | Denied) -> None:
        listener, pending = self._listener, self._answer
        self._answer = None
        if listener is None or pending is None:
            return
        if isinstance(answer, Denied):
            self.abort()
            listener.channel_answered(answer)
            return
        listener.channel_answered(answer)
        if pending.rest:
            self._read(pending.rest)

    def _read(self, data: bytes) -> None:
        if self._listener is None:
            return
        messages, replies, close = self._codec.feed(data)
        if replies and (close is not None or not self.is_paused):
            # A ping need not be answered that comes before there is room
            # (RFC 6455, section 5.5.3), or answers would pile up here.
            self._write(replies)
        for message in messages:
            if self._listener is not None:
                self._listener.channel_received(message)
        if close is not None:
            self._linger(is_answered=close.is_clean)
            self._ended(close)

    def _linger(self, *, is_answered: bool) -> None:
        """
        Let the last frames leave, for a while.

        A peer that was told of its mistake may still be sending: closing now would
        reset the connection before it has read why (RFC 9112, section 9.6).
        """
        transport = self._transport
        if transport is None or self._has_closed:
            return
        self._lingering = asyncio.get_running_loop().call_later(
            LINGER_SECONDS, transport.abort
        )
        if is_answered:
            transport.close()
        else:
            self.resume_reading()

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if data and transport is not None and not transport.is_closing():
            self._written += len(data)
            transport.write(data)

    def _ended(self, close: Close) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.channel_closed(close)

    def _failed(self, failure: Failure) -> None:
        listener = self._listener
        self.abort()
        if listener is not None:
            listener.channel_failed(failure)


def direct_pool(state: "LoopState", target: Target) -> Pool:
    """
    Return the pool of a version that the router connects to by itself.

    Raises:
        Refusal: 501 if a transport carries the requests, which knows none but those.
    """
    return _direct(state.pool(target))


def _direct(pool: object) -> Pool:
    if not isinstance(pool, Pool):
        raise Refusal(501, "WebSockets do not go through transport=.")
    return pool
