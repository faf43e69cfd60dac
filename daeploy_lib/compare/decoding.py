"""
Content codings, undone: gzip and deflate of RFC 9110, section 8.4.1.

A few kilobytes may claim to be gigabytes, so that what comes out is bounded as it
comes out. Other codings (br, zstd) need libraries that are not asked for: bodies
in them are compared as they are.

    >>> import gzip
    >>> undo_codings(gzip.compress(b"hello"), ["gzip"], limit=100)
    b'hello'
    >>> undo_codings(b"not gzip", ["gzip"], limit=100)
    >>> undo_codings(gzip.compress(bytes(10**6)), ["gzip"], limit=100)
    Traceback (most recent call last):
    daeploy_lib.compare.comparison.IncomparableError: decoded_too_large
"""

import zlib
from collections.abc import Sequence

from daeploy_lib.compare.comparison import IncomparableError, Reason

_ANY_HEADER = 32 + zlib.MAX_WBITS  # zlib's or gzip's, as zlib.decompressobj says
_NO_HEADER = -zlib.MAX_WBITS
# Each member costs a copy of what follows it; servers send one.
_MAX_MEMBERS = 16
_MAX_CODINGS = 3
_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})


def codings_of(values: Sequence[bytes]) -> list[str]:
    """
    Return the codings of Content-Encoding lines, in the order of their making.

    Example:
        >>> codings_of([b"Deflate, identity", b"gzip"])
        ['deflate', 'gzip']
    """
    if not values:
        return []
    names = [name.strip().lower() for value in values for name in value.split(b",")]
    return [n.decode("latin-1") for n in names if n and n != b"identity"]


def undo_codings(body: bytes, codings: Sequence[str], *, limit: int) -> bytes | None:
    """
    Return the content; None if it cannot be had.

    Args:
        body: As it was sent.
        codings: Of the body, in the order in which they were applied.
        limit: Bytes that the content may have.

    Raises:
        IncomparableError: If it has more.
    """
    if len(codings) > _MAX_CODINGS:
        return None
    content: bytes | None = body
    for coding in reversed(codings):
        if content is None or coding not in _KNOWN:
            return None
        content = _inflate(content, is_gzip=coding != "deflate", limit=limit)
    return content


def _inflate(body: bytes, *, is_gzip: bool, limit: int) -> bytes | None:
    # "deflate" is zlib's format, but some servers send it without its header:
    # RFC 9110, section 8.4.1.2.
    for window in (_ANY_HEADER,) if is_gzip else (_ANY_HEADER, _NO_HEADER):
        try:
            return _members(body, window, limit)
        except zlib.error:
            continue
    return None


def _members(body: bytes, window: int, limit: int) -> bytes | None:
    """Return the content of all members of a body: RFC 1952, section 2.2."""
    parts: list[bytes] = []
    left = limit
    for _ in range(_MAX_MEMBERS):
        inflater = zlib.decompressobj(window)
        # One more than allowed tells "as much" from "more".
        part = inflater.decompress(body, left + 1)
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise IncomparableError(Reason.decoded_too_large)
        if not inflater.eof:
            return None
        body = inflater.unused_data
        if not body:
            return b"".join(parts)
    return None
