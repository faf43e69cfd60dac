"""
Main's call: its answer waits in a bounded buffer for the client to take it.

When the buffer is full the version is not read from any more, so that a client
that reads slowly slows the version down and not the memory.
"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from daeploy_lib.router.capture import Capture, Captures
from daeploy_lib.router.deadlines import DeadlineQueue
from daeploy_lib.router.failure import Failure
from daeploy_lib.router.framing import Header
from daeploy_lib.router.outcome import Observation
from daeploy_lib.router.routing import Target
from daeploy_lib.router.upstream import Call

if TYPE_CHECKING:
    from daeploy_lib.compare.answer import Answer
    from daeploy_lib.router.loops import LoopState

# Bytes of an answer that may wait for the client: one read of asyncio's.
_BUFFER = 256 * 1024

# RFC 9110, section 9.2.2. A request with a body is never sent twice.
_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})

_FIRST_ERROR_STATUS = 400


class Listener(Protocol):
    """Who relays the answer, and has the body."""

    def main_changed(self) -> None:
        """There is something new to look at."""

    def main_opened(self) -> None:
        """The head is on its way."""

    def main_has_room(self) -> None:
        """Main takes more of the body."""


class _Nobody:
    """Stands in for the exchange once that is over."""

    def main_changed(self) -> None:
        pass

    def main_opened(self) -> None:
        pass

    def main_has_room(self) -> None:
        pass


_NOBODY = _Nobody()


class MainCall(Call):
    """
    The request to main.

    Args:
        state: What belongs to the loop.
        target: Main.
        method: Of the request.
        head: Request line and headers.
        has_body: Whether a body follows.
        listener: Told what becomes of it.
        captures: Keep the answer, to compare it; None if nothing does.
    """

    __slots__ = (
        "_began_at",
        "_buffer",
        "_buffered",
        "_capture",
        "_captures",
        "_clock",
        "_ended_at",
        "_first_byte_at",
        "_has_body",
        "_listener",
        "_state",
        "_target",
        "_unsent",
        "_was_reused",
        "_whole",
        "body_bytes",
        "failure",
        "headers",
        "is_complete",
        "status",
    )

    def __init__(
        self,
        state: "LoopState",
        target: Target,
        method: bytes,
        head: bytes,
        *,
        has_body: bool,
        listener: Listener,
        captures: Captures | None = None,
    ) -> None:
        super().__init__(state.pool(target), method, head)
        self._state = state
        self._target = target
        self._has_body = has_body
        self._listener = listener
        self._captures = captures
        self._capture: Capture | None = None
        self._whole: Answer | None = None
        self._began_at = self._first_byte_at = self._ended_at = perf_counter()
        self._was_reused = False
        self._clock: DeadlineQueue | None = None
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._unsent = 0
        self.status = 0
        self.headers: Sequence[Header] = ()
        self.body_bytes = 0
        self.is_complete = False
        self.failure: Failure | None = None

    # The exchange's side

    def begin(self, content: bytes, *, is_complete: bool) -> None:
        """
        Send the head; not before the body's first bytes, if some are to come.

        Args:
            content: The framed body, if it is there already.
            is_complete: Whether nothing follows.
        """
        self.head += content
        self.is_sent = is_complete
        self.holds_head = not is_complete
        self.start()

    def send(self, content: bytes) -> None:
        """Take framed bytes of the body."""
        if self.connection is not None:
            self.connection.write(content)
            self._run(self._state.idle, self._idle)

    def finish(self) -> None:
        """Note that the request is complete; now main has to answer."""
        self.is_sent = True
        if not self.status and self.connection is not None:
            self._run(self._state.first_byte, self._answers_late)

    @property
    def takes_more(self) -> bool:
        """
        Whether more of the body may be sent now.

        Not while an answer may be waiting unread: writing to a connection that
        main has closed would lose it (RFC 9112, section 9.5).
        """
        connection = self.connection
        return (
            connection is not None
            and not connection.is_paused
            and (bool(self.status) or not connection.has_input())
        )

    @property
    def wants_no_more(self) -> bool:
        """Whether main has answered without wanting the rest of the body."""
        return self.status >= _FIRST_ERROR_STATUS

    def take(self) -> bytes:
        """Return the body bytes that have come, and make room for more."""
        if not self._buffer:
            return b""
        content = self._buffer[0] if len(self._buffer) == 1 else b"".join(self._buffer)
        self._buffer.clear()
        if self._buffered > _BUFFER and self.connection is not None:
            self.connection.resume_reading()
            self._run(self._state.idle, self._idle)
        self._buffered = 0
        return content

    def observation(self) -> Observation:
        """Return what has been observed."""
        answer = self._whole
        if self._capture is not None:
            answer = self._capture.answer(self.status, self.headers, is_whole=True)
        return Observation(
            self._target.version,
            self.status,
            self.body_bytes,
            self._ended_at - self._began_at,
            self.is_complete,
            self._first_byte_at - self._began_at,
            answer,
        )

    def abort(self) -> None:
        """End the call on the wire."""
        self._stop_clock()
        super().abort()

    def release(self) -> None:
        """
        End the call for good, if it has not ended yet.

        It lets go of the exchange, which holds it: what refers to each other
        waits for the garbage collector, which then costs as much as a rule does.
        """
        if not self.is_complete:
            self.abort()
        if self._capture is not None:
            self._capture.release()
        elif self._captures is not None and self._whole is not None:
            self._captures.release(self._whole)
        self._listener = _NOBODY

    # The connection's side

    def opened(self) -> None:
        """Let the time run until the answer begins."""
        connection = self.connection
        self._was_reused = connection is not None and connection.is_reused
        if self.is_sent:
            self._run(self._state.first_byte, self._answers_late)
        else:
            self._run(self._state.idle, self._idle)
        self._listener.main_opened()

    def has_room(self) -> None:
        """Ask for more of the body."""
        self._listener.main_has_room()

    def answer_began(self, status: int, headers: Sequence[Header]) -> None:
        """Note the head."""
        self._first_byte_at = perf_counter()
        self._run(self._state.idle, self._idle)
        self.status = status
        self.headers = headers
        if self._captures is not None:
            self._capture = self._captures.begin()
        self._listener.main_changed()

    def answer_went_on(self, body: bytes) -> None:
        """Keep the bytes until the client takes them."""
        if self._capture is not None:
            self._capture.take(body)
        self._buffer.append(body)
        self._buffered += len(body)
        self.body_bytes += len(body)
        if self._buffered > _BUFFER and self.connection is not None:
            # It is the client's turn: main is not late meanwhile.
            self.connection.pause_reading()
            self._stop_clock()
        else:
            self._run(self._state.idle, self._idle)
        self._listener.main_changed()

    def answered(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """Note all of it, and let no time run."""
        self._first_byte_at = self._ended_at = perf_counter()
        if self._captures is not None:
            self._keep(status, headers, body)
        self.connection = None
        self._stop_clock()
        self.status = status
        self.headers = headers
        if body:
            self._buffer.append(body)
        self.body_bytes = self._buffered = len(body)
        self.is_complete = True
        self._listener.main_changed()

    def _keep(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        captures = self._captures
        assert captures is not None  # noqa: S101 - the caller has looked
        self._whole = captures.whole(status, headers, body)
        if self._whole is None:
            self._capture = captures.begin()
            self._capture.take(body)

    def answer_ended(self) -> None:
        """Note the end."""
        self._ended_at = perf_counter()
        super().answer_ended()
        self._stop_clock()
        self.is_complete = True
        self._listener.main_changed()

    def failed(self, failure: Failure) -> None:
        """Note the failure, or try once more where that does no harm."""
        super().failed(failure)
        self._stop_clock()
        if self._may_retry(failure):
            self.start(afresh=True)
            return
        self.failure = failure
        self._listener.main_changed()

    # Clocks

    def _may_retry(self, failure: Failure) -> bool:
        """
        Return whether the request may be sent a second time.

        A version may close an idle connection just as it is used again. Then,
        before any byte of an answer, and only if repeating changes nothing. Once,
        for the second time goes over a new connection.
        """
        return (
            failure is Failure.closed
            and self._was_reused
            and not self._has_body
            and self.method in _IDEMPOTENT
            and not self.is_aborted
        )

    def _run(self, clock: DeadlineQueue, late: Callable[[], None]) -> None:
        """Let this clock run from now on, and no other."""
        if self._clock is not clock:
            self._stop_clock()
            self._clock = clock
        clock.start(self, late)

    def _stop_clock(self) -> None:
        clock, self._clock = self._clock, None
        if clock is not None:
            clock.stop(self)

    def _answers_late(self) -> None:
        self.abort()
        self.failed(Failure.first_byte_timeout)

    def _idle(self) -> None:
        connection = self.connection
        if connection is not None and not self.is_sent and not self.status:
            if not connection.is_paused:
                return  # it is the client that keeps us waiting
            if connection.unsent != self._unsent:
                self._unsent = connection.unsent
                self._run(self._state.idle, self._idle)
                return  # it takes a large chunk, slowly
        self.abort()
        self.failed(Failure.idle_timeout)
