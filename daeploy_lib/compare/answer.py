"""What one version answered, as far as it was kept."""

from collections.abc import Sequence
from typing import NamedTuple

Headers = Sequence[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """
    One answer, captured.

    Attributes:
        status: Of the answer, 100 to 599.
        headers: Pairs of bytes in their order, names in lower case.
        body: Its first bytes, as they were sent: all of them, or as many as the
            capture took.
        length: Bytes of the body that were read, kept or not.
        digest: Of all bytes that were read, by the same function for both
            answers. Needed only if *body* was cut.
        is_whole: Whether the answer was read to its end.

    Example:
        >>> Answer(200, [], b"kept", length=10).is_cut
        True
        >>> answer(200, b"hello", content_type="text/plain").length
        5
    """

    status: int
    headers: Headers
    body: bytes
    length: int
    digest: bytes = b""
    is_whole: bool = True

    @property
    def is_cut(self) -> bool:
        """Whether bytes were read that *body* does not have."""
        return len(self.body) != self.length


def answer(status: int, body: bytes, *, content_type: str = "") -> Answer:
    """
    Return an answer that was captured whole, for tests and examples.

    Args:
        status: Of the answer.
        body: All of it.
        content_type: Its only header; none if empty.
    """
    headers = [(b"content-type", content_type.encode("latin-1"))]
    return Answer(status, headers if content_type else [], body, len(body))
