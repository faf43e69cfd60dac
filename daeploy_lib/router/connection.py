"""
One HTTP/1.1 connection to a version.

It carries one call at a time and hands it the answer in the order in which it
came: its head, body bytes as they arrive, its end, or one failure. After the
end it is given back to the pool only if nothing is left of the answer anywhere:
whatever arrives unasked closes it (RFC 9112, sections 9.3 and 11.2).
"""

import asyncio
import select
from typing import TYPE_CHECKING, cast

import httptools

from daeploy_lib.router.failure import Failure
from daeploy_lib.router.framing import MAX_HEADERS, AnswerFraming, Header, check_answer
from daeploy_lib.router.plain_answer import plain_answer

if TYPE_CHECKING:
    from daeploy_lib.router.pool import Pool
    from daeploy_lib.router.upstream import Call

FIRST_STATUS = 100
FIRST_FINAL_STATUS = 200
SWITCHING_PROTOCOLS = 101

# More interim answers than this are an attempt to keep us busy.
_MAX_INTERIM = 16

# Bytes in the transport before a call is told to pause: two of the largest
# TLS records, or one read of a server.
_WRITE_HIGH = 64 * 1024


class Connection(asyncio.Protocol):
    """
    A client connection, made by a pool for the first call it carries.

    Args:
        pool: Where it belongs.
        call: Which it carries first.
        limit: Bytes that the headers of an answer may have.
    """

    __slots__ = (
        "_call",
        "_framing",
        "_has_surplus",
        "_head",
        "_headers",
        "_held",
        "_interim",
        "_is_complete",
        "_is_reading",
        "_limit",
        "_method",
        "_parser",
        "_pieces",
        "_poll",
        "_pool",
        "_transport",
        "_unbodied",
        "has_begun",
        "has_closed",
        "idle_until",
        "is_paused",
        "is_reused",
    )

    def __init__(self, pool: "Pool", call: "Call", limit: int) -> None:
        self._pool = pool
        self._call: Call | None = call
        self._limit = limit
        self.idle_until = 0.0
        self.is_reused = False
        self.is_paused = False
        self.has_closed = False
        self._is_reading = True
        self._held = b""

    # The call's side

    def begin(self, call: "Call") -> None:
        """Carry this call; nothing is left of the one before."""
        self._call = call
        self._framing: AnswerFraming | None = None
        self.has_begun = False

    def _begin_to_parse(self, call: "Call") -> None:
        """Get ready for an answer that comes in parts, or is not plain."""
        self._method = call.method
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[Header] = []
        self._pieces: list[bytes] = []
        self._head: tuple[int, list[Header]] | None = None
        self._unbodied = 0
        self._interim = 0
        self._is_complete = False
        self._has_surplus = False

    def hold(self, head: bytes) -> None:
        """Send the head together with what follows: see ``Call.release_head``."""
        self._held = head

    def flush(self) -> None:
        """Send what has been held."""
        if self._held:
            self.write(b"")

    def write(self, content: bytes) -> None:
        """Send bytes of the request."""
        if self._held:
            content, self._held = self._held + content, b""
        self._transport.write(content)

    @property
    def unsent(self) -> int:
        """Bytes that the transport holds."""
        return self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Let the version wait with its answer."""
        if self._is_reading and not self.has_closed:
            self._is_reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Let the answer go on."""
        if not self._is_reading and not self.has_closed:
            self._is_reading = True
            self._transport.resume_reading()

    def has_input(self) -> bool:
        """Return whether the socket holds bytes, or an end, not yet seen."""
        # A closed one, whose number may be another's by now, has its end.
        if self.has_closed or self._transport.is_closing():
            return True
        return bool(self._poll.poll(0))

    def abort(self) -> None:
        """End the connection at once; the call hears nothing more."""
        self._call = None
        if not self.has_closed:
            self.has_closed = True
            self._transport.abort()

    def close(self) -> None:
        """End an idle connection."""
        self.abort()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with the first call, unless that has gone meanwhile."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_WRITE_HIGH)
        sock = transport.get_extra_info("socket")
        self._poll = select.poll()
        self._poll.register(sock.fileno(), select.POLLIN)
        call = self._call
        if call is None or call.is_aborted:
            self._call = None
            self._pool.take_back(self)
        else:
            call.connected(self)

    def data_received(self, data: bytes) -> None:
        """Read on in the answer."""
        call = self._call
        if call is None:
            self.close()
            return
        if not self.has_begun:
            self.has_begun = True
            answer = plain_answer(data) if call.method != b"HEAD" else None
            if answer is not None:
                self._release(call, may_go_on=True)
                status, headers, body = answer
                call.answered(status, headers, body)
                return
            self._begin_to_parse(call)
        failure = self._feed(data)
        self._hand_over(failure)

    def eof_received(self) -> None:
        """End an answer that only the end of the connection delimits."""
        call = self._call
        if call is None:
            self.close()
        elif not self.has_begun:
            self.abort()
            call.failed(Failure.closed)
        elif self._framing is not None and self._framing.until_close:
            self._is_complete = True
            self._hand_over(None)
        else:
            self._hand_over(self._ended_early())

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the call, if its answer is not complete."""
        del exc
        self.has_closed = True
        self._pool.forget(self)
        call, self._call = self._call, None
        if call is not None:
            call.failed(self._ended_early())

    def pause_writing(self) -> None:
        """Tell the call that the version reads more slowly than it is sent."""
        self.is_paused = True

    def resume_writing(self) -> None:
        """Tell the call that there is room again."""
        self.is_paused = False
        if self._call is not None:
            self._call.has_room()

    # httptools' side; what they note is handed over after the parser is done

    def on_message_begin(self) -> None:
        """Note bytes after the end of the answer."""
        if self._is_complete:
            self._has_surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header, or a trailer, which nobody gets."""
        if len(self._headers) >= MAX_HEADERS:
            raise ValueError("too many headers")  # the rest is not even looked at
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Decide what the headers say of the body."""
        if self._is_complete:
            return
        status = self._parser.get_status_code()
        headers = [(name.lower(), value) for name, value in self._headers]
        # Trailers go into a list that is thrown away (RFC 9110, section 6.5.1).
        self._headers = []
        if status < FIRST_FINAL_STATUS:
            self._interim += 1
            if status < FIRST_STATUS or status == SWITCHING_PROTOCOLS:
                raise ValueError(f"status {status}")  # nobody asked to switch
            if self._interim > _MAX_INTERIM:
                raise ValueError("too many interim answers")
            return
        self._framing = check_answer(
            status,
            headers,
            method=self._method,
            http_version=self._parser.get_http_version(),
        )
        self._head = (status, headers)
        self._unbodied = 0
        # The parser does not know of HEAD: what it takes for a body is surplus.
        self._is_complete = not self._framing.has_body

    def on_body(self, body: bytes) -> None:
        """Note bytes of the body."""
        if self._is_complete:
            self._has_surplus = True
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """Note the end, unless it is that of an interim answer."""
        if self._framing is not None:
            self._is_complete = True

    # Between the two

    def _feed(self, data: bytes) -> Failure | None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._is_complete:
                return Failure.truncated if self._framing else Failure.garbage
            self._has_surplus = True
        # Headers, and later trailers, without end.
        self._unbodied = 0 if self._pieces else self._unbodied + len(data)
        if self._unbodied > self._limit and not self._is_complete:
            return Failure.truncated if self._framing else Failure.garbage
        return None

    def _hand_over(self, failure: Failure | None) -> None:
        """Give the call what has been noted; it may end the connection anywhere."""
        call = self._call
        assert call is not None  # noqa: S101 - both callers have looked
        if failure is Failure.garbage:
            self._head = None
        if self._head is not None:
            (status, headers), self._head = self._head, None
            if self._is_complete:
                self._release_parsed(call)
                call.answered(status, headers, b"".join(self._pieces))
                return
            call.answer_began(status, headers)
        if self._pieces and self._call is call:
            body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            call.answer_went_on(body)
        if self._call is not call:
            return
        if self._is_complete:
            self._release_parsed(call)
            call.answer_ended()
        elif failure is not None:
            self.abort()
            call.failed(failure)

    def _release_parsed(self, call: "Call") -> None:
        framing = self._framing
        assert framing is not None  # noqa: S101 - an answer is complete
        may_go_on = framing.keeps_alive and not self._has_surplus
        self._release(call, may_go_on=may_go_on, seconds=framing.idle_seconds)

    def _release(
        self, call: "Call", *, may_go_on: bool, seconds: int | None = None
    ) -> None:
        self._call = None
        if may_go_on and call.is_sent and not self.has_closed and not self.unsent:
            self.resume_reading()
            self._pool.take_back(self, seconds)
        else:
            self.close()

    def _ended_early(self) -> Failure:
        if self._framing is not None:
            return Failure.truncated
        return Failure.garbage if self.has_begun else Failure.closed
