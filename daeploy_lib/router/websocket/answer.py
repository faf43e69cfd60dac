"""What a version answers to a handshake: yes, or a whole HTTP answer that says no."""

from typing import NamedTuple

import httptools

from daeploy_lib.router.framing import AnswerFraming, Header, check_answer
from daeploy_lib.router.headers import for_client
from daeploy_lib.router.websocket.handshake import Accepted, Handshake, check_accepted

_SWITCHING = 101
_FIRST_FINAL = 200
_BODYLESS = (204, 304)

# More interim answers than this are an attempt to keep us busy.
_MAX_INTERIM = 16


class Denied(NamedTuple):
    """
    A version's no.

    Attributes:
        status: From 200 to 599.
        headers: For the client; with the length of the body.
        body: All of it.
    """

    status: int
    headers: list[Header]
    body: bytes


class HandshakeAnswer:
    """
    Reads the answer to a handshake.

    Args:
        handshake: That it answers.
        max_head: Bytes of its head.
        max_body: Bytes of a body.
    """

    def __init__(self, handshake: Handshake, max_head: int, max_body: int) -> None:
        self._handshake = handshake
        self._max_head = max_head
        self._max_body = max_body
        self._held = bytearray()
        self._interim = 0
        self._headers: list[Header] = []
        self._body: list[bytes] = []
        self._size = 0
        self._status = 0
        self._framing: AnswerFraming | None = None
        self._is_complete = False
        self._parser = httptools.HttpResponseParser(self)
        self.rest = b""
        """What came after a yes: the first frames."""

    @property
    def has_begun(self) -> bool:
        """Whether any byte of it has come."""
        return bool(self._held or self._interim or self._framing)

    def feed(self, data: bytes) -> Accepted | Denied | None:
        """
        Return the answer once it is there.

        Raises:
            ValueError: If it cannot become one.
        """
        if self._framing is not None:
            return self._read_body(data)
        self._held += data
        while (end := self._held.find(b"\r\n\r\n") + 4) > 3:  # noqa: PLR2004
            head, self._held = bytes(self._held[:end]), self._held[end:]
            if end > self._max_head:
                break
            answer = self._read_head(head)
            if answer is not None or self._framing is not None:
                return answer
        if len(self._held) > self._max_head:
            raise ValueError("a head that is too large")
        return None

    def end(self) -> Denied:
        """
        Return a no that only the end of the connection delimits.

        Raises:
            ValueError: If there is none.
        """
        if self._framing is None or not self._framing.until_close:
            raise ValueError("the connection ended")
        return self._denied()

    def _read_head(self, head: bytes) -> Accepted | Denied | None:
        self._headers = []
        self._parse(head)
        status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        headers = [(name.lower(), value) for name, value in self._headers]
        if status == _SWITCHING:
            self.rest = bytes(self._held)
            return check_accepted(headers, self._handshake, version)
        if status < _FIRST_FINAL:
            self._interim += 1
            if self._interim > _MAX_INTERIM:
                raise ValueError("too many interim answers")
            self._parser = httptools.HttpResponseParser(self)
            return None
        self._framing = check_answer(
            status, headers, method=b"GET", http_version=version
        )
        self._status = status
        self._headers = for_client(headers, status=status)
        if not self._framing.has_body:
            return self._denied()
        rest, self._held = bytes(self._held), bytearray()
        return self._read_body(rest)

    def _read_body(self, data: bytes) -> Denied | None:
        if not self._is_complete and data:
            self._parse(data)
        if self._size > self._max_body:
            raise ValueError("a body that is too large")
        return self._denied() if self._is_complete else None

    def _denied(self) -> Denied:
        body = b"".join(self._body)
        kept = [header for header in self._headers if header[0] != b"content-length"]
        if self._status not in _BODYLESS:
            kept.append((b"content-length", b"%d" % len(body)))
        return Denied(self._status, kept, body)

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._framing is not None:
                raise ValueError("an upgrade in a body") from None
        except httptools.HttpParserError as error:
            if not self._is_complete:  # else it is surplus, which nobody reads
                raise ValueError("no HTTP answer") from error

    # httptools' side

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header; a trailer comes after the headers have been taken."""
        if self._framing is None:
            self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Note bytes of the body, as many as are allowed."""
        if not self._is_complete:
            self._size += len(body)
            if self._size <= self._max_body:
                self._body.append(body)

    def on_message_complete(self) -> None:
        """Note the end of a body."""
        self._is_complete = True
