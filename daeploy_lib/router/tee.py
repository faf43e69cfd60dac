"""
One request body, many readers.

Main sets the pace; each chunk is framed once and the same bytes go to all.
"""

from collections.abc import Iterable
from typing import Protocol

LAST_CHUNK = b"0\r\n\r\n"


class Reader(Protocol):
    """Who gets the body."""

    def send(self, content: bytes) -> None:
        """Take framed bytes; never blocks."""
        ...

    def finish(self) -> None:
        """The request is complete."""
        ...


class BodyMismatchError(ValueError):
    """The body is not as long as its Content-Length says."""


class Tee:
    """
    Gives a request body to main and to its copies.

    Args:
        length: Bytes announced; None if not known.
        is_chunked: Whether to frame in chunks (RFC 9112, section 7.1).
    """

    __slots__ = ("_is_chunked", "_left", "is_complete")

    def __init__(self, length: int | None, *, is_chunked: bool) -> None:
        self._is_chunked = is_chunked
        self._left = 0 if length is None else length
        self.is_complete = not is_chunked and not self._left

    def feed(self, body: bytes, *, is_last: bool, readers: Iterable[Reader]) -> None:
        """
        Pass on one chunk, in the order of the readers.

        Raises:
            BodyMismatchError: If the body is longer or shorter than announced;
                this chunk then has gone to nobody.
        """
        if self._is_chunked:
            content = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if is_last:
                content += LAST_CHUNK
        else:
            self._left -= len(body)
            if self._left < 0 or (is_last and self._left):
                raise BodyMismatchError(f"{self._left} bytes left at the end")
            content = body
            # Complete with its last byte, whatever the server still has to say.
            is_last = not self._left
        self.is_complete = is_last
        for reader in readers:
            if content:
                reader.send(content)
            if is_last:
                reader.finish()
