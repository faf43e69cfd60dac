"""
One request body, many readers.

Main sets the pace; each chunk is framed once and the same bytes go to all.
"""

import logging
from collections.abc import Iterable
from typing import Protocol

_LAST_CHUNK = b"0\r\n\r\n"

_log = logging.getLogger(__name__)


class Reader(Protocol):
    """Who gets the body."""

    def send(self, content: bytes) -> None:
        """Take framed bytes; never blocks."""
        ...

    def finish(self) -> None:
        """Note that the request is complete."""
        ...


class Follower(Reader, Protocol):
    """A reader that main does not depend on."""

    def give_up(self) -> None:
        """End at once."""
        ...


class BodyMismatchError(ValueError):
    """The body is not as long as its Content-Length says."""


class Tee:
    """
    Gives a request body to main and to its copies.

    Args:
        length: Bytes announced; None if not known.
        is_chunked: Whether to frame in chunks (RFC 9112, section 7.1).

    Attributes:
        is_complete: Whether nothing more is to come.
    """

    __slots__ = ("_is_chunked", "_left", "is_complete")

    def __init__(self, length: int | None, *, is_chunked: bool) -> None:
        self._is_chunked = is_chunked
        self._left = 0 if length is None else length
        self.is_complete = not is_chunked and not self._left

    def feed(
        self, body: bytes, *, is_last: bool, main: Reader, copies: Iterable[Follower]
    ) -> None:
        """
        Pass on one chunk, to main first.

        What goes wrong with a copy is its own end and nobody else's.

        Raises:
            BodyMismatchError: If the body is longer or shorter than announced;
                this chunk then has gone to nobody.
        """
        content = self._frame(body, is_last=is_last)
        _pass_on(main, content, is_complete=self.is_complete)
        for copy in copies:
            try:
                _pass_on(copy, content, is_complete=self.is_complete)
            except Exception:  # noqa: BLE001 - a copy cannot hurt main (rule 19)
                _log.exception("a copy failed")
                copy.give_up()

    def whole(self, body: bytes) -> bytes:
        """
        Frame a body that has come whole; nothing follows then.

        Args:
            body: All that will come.

        Returns:
            The framed bytes, for all readers; none if the body does not have the
            length that was announced, and nothing is noted then.
        """
        if not self._is_chunked and len(body) != self._left:
            return b""
        return self._frame(body, is_last=True)

    def _frame(self, body: bytes, *, is_last: bool) -> bytes:
        if self._is_chunked:
            self.is_complete = is_last
            content = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return content + _LAST_CHUNK if is_last else content
        left = self._left - len(body)
        if left < 0 or (is_last and left):
            raise BodyMismatchError(f"{left} bytes left at the end")
        self._left = left
        # Complete with its last byte, whatever the server still has to say.
        self.is_complete = not left
        return body


def _pass_on(reader: Reader, content: bytes, *, is_complete: bool) -> None:
    if content:
        reader.send(content)
    if is_complete:
        reader.finish()


# What every request without a body has; nothing is ever fed to it.
NO_BODY = Tee(0, is_chunked=False)
