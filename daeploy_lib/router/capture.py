"""
What is kept of a body to compare it: its first bytes, and a digest past those.

The digest is of all bytes, from the first one on, so that equality is exact over
the whole length. Nothing is hashed as long as everything fits.
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol

from daeploy_lib.compare.answer import Answer
from daeploy_lib.router.framing import Header
from daeploy_lib.router.policy import Limits

_DIGEST_BYTES = 16


class Held(Protocol):
    """Counts what a router holds for its copies."""

    held: int


class Captures:
    """
    Keeps answers of one router, within its bounds.

    Args:
        limits: Of the router.
        tally: Where the bytes are counted that are held.

    Example:
        >>> from daeploy_lib.router.outcome import Tally
        >>> captures = Captures(Limits(max_capture_bytes=3), Tally())
        >>> captures.whole(200, [], b"abc").length, captures.whole(200, [], b"abcd")
        (3, None)
    """

    __slots__ = ("_limits", "_most", "_most_in_all", "_tally")

    def __init__(self, limits: Limits, tally: Held) -> None:
        self._limits = limits
        self._most, self._most_in_all = limits.max_capture_bytes, limits.max_bytes
        self._tally = tally

    def whole(
        self, status: int, headers: Sequence[Header], body: bytes
    ) -> Answer | None:
        """
        Return an answer that came at once; its bytes are held from now on.

        Args:
            status: Of it.
            headers: Names in lower case.
            body: All of it.

        Returns:
            None if it is too large to be kept; ``begin`` takes it then.
        """
        size, tally = len(body), self._tally
        if size > self._most or tally.held + size > self._most_in_all:
            return None
        tally.held += size
        return Answer(status, headers, body, size)

    def release(self, answer: Answer) -> None:
        """Hold a whole answer no more."""
        self._tally.held -= answer.length

    def begin(self) -> "Capture":
        """Return what keeps an answer that comes in parts."""
        return Capture(self._limits, self._tally)


class Capture:
    """
    Keeps a body as it passes, within the bounds of one answer and of the router.

    Args:
        limits: Of the router.
        tally: Where the bytes are counted that are held.

    Attributes:
        length: Bytes that have passed.

    Example:
        >>> from daeploy_lib.router.outcome import Tally
        >>> tally = Tally()
        >>> capture = Capture(Limits(max_capture_bytes=3), tally)
        >>> for part in (b"ab", b"cd"):
        ...     capture.take(part)
        >>> capture.body, capture.length, len(capture.digest), tally.held
        (b'abc', 4, 16, 3)
    """

    __slots__ = ("_hash", "_kept", "_limits", "_pieces", "_tally", "length")

    def __init__(self, limits: Limits, tally: Held) -> None:
        self._limits = limits
        self._tally = tally
        self._pieces: list[bytes] = []
        self._hash: hashlib.blake2b | None = None
        self._kept = 0
        self.length = 0

    def take(self, part: bytes) -> None:
        """Keep what fits of the next bytes."""
        size = len(part)
        self.length += size
        if self._hash is not None:
            self._hash.update(part)
            return
        limits, tally = self._limits, self._tally
        room = min(limits.max_capture_bytes - self._kept, limits.max_bytes - tally.held)
        if size > room:
            self._hash = hashlib.blake2b(digest_size=_DIGEST_BYTES)
            for piece in self._pieces:
                self._hash.update(piece)
            self._hash.update(part)
            # A copy: what is cut off must not be held with it.
            part = part[: max(room, 0)]
            size = len(part)
        self._pieces.append(part)
        self._kept += size
        tally.held += size

    @property
    def body(self) -> bytes:
        """The first bytes."""
        return b"".join(self._pieces)

    @property
    def digest(self) -> bytes:
        """Of all that has passed; empty as long as that is kept."""
        return b"" if self._hash is None else self._hash.digest()

    def answer(
        self, status: int, headers: Sequence[Header], *, is_whole: bool
    ) -> Answer:
        """
        Return the answer that the body belongs to.

        Args:
            status: Of it.
            headers: Names in lower case.
            is_whole: Whether its end has come.
        """
        length, digest = self.length, self.digest
        return Answer(status, headers, self.body, length, digest, is_whole)

    def release(self) -> None:
        """Count the bytes as held no more; nothing is taken afterwards."""
        self._tally.held -= self._kept
        self._kept = 0
