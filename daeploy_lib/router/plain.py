"""
The short way for a plain request: each of its header lines is looked up.

Nearly all requests have nothing that the rules of ``framing`` and ``headers``
would change: one Host, at most one length, no coding, nothing about connections
or about who stands before us. Those rules look at every field several times and
call a function for each. Here a line is looked at by itself, and what was found
is remembered (``seen``). What is not plain goes the long way, which also decides
what to refuse; both ways give the same bytes, which is a property of the tests.
"""

import re
from collections.abc import Collection

from daeploy_lib.router.framing import MAX_HEADERS, Header, RequestFraming
from daeploy_lib.router.headers import FORWARDED, HOP_BY_HOP
from daeploy_lib.router.seen import Seen

# Names that some rule is about; the expression tells the others: names with "_"
# or in upper case, and our own.
_SPECIAL = HOP_BY_HOP | FORWARDED | {b"expect", b"via", b"max-forwards"}
# A token, a colon, a value without controls: RFC 9110, sections 5.1 and 5.5.
_LINE = re.compile(
    rb"(?!x-daeploy-)[!#$%&'*+\-.^`|~0-9a-z]+: [^\x00-\x08\x0a-\x1f\x7f]*\r\n"
)
# Names and IPv4 addresses, RFC 3986, section 3.2.2; "[...]" goes the long way, and
# so does what is longer than a name can be, for hosts are remembered.
_HOST = re.compile(rb"[0-9A-Za-z\-.]{1,253}(?::[0-9]{1,5})?")
# What clients say of their connection to us; it goes no further.
_OF_CONNECTION = frozenset({b"keep-alive", b"Keep-Alive", b"close"})
_NOT_PLAIN = b"\n"
_DIGITS = re.compile(rb"[0-9]{1,18}")


def plain_head(
    headers: Collection[Header], limit: int
) -> tuple[bytes, RequestFraming] | None:
    """
    Return the head of an HTTP/1 request that no rule changes; None for others.

    Args:
        headers: Pairs of bytes; not changed.
        limit: Bytes that they may have.

    Returns:
        The lines that every version gets, and how the body is delimited.

    Example:
        >>> plain_head([(b"host", b"a"), (b"content-length", b"2")], 100)[1].length
        2
        >>> plain_head([(b"host", b"a"), (b"x-forwarded-for", b"1.2.3.4")], 100)
    """
    # No loop of Python's own: of all fields, one lookup each is what it costs.
    try:
        lines = list(map(_line_of, headers))
    except TypeError:
        return None  # ASGI allows lists for pairs
    if _NOT_PLAIN in lines or len(lines) >= MAX_HEADERS:
        return None
    block = b"".join(lines)
    after_end = b"\n" + block
    lengths = after_end.count(b"\ncontent-length: ")
    if len(block) > limit or lengths > 1 or after_end.count(b"\nhost: ") != 1:
        return None
    fields = dict(headers)
    host, length = fields[b"host"], fields.get(b"content-length")
    size = None if length is None else int(length)
    return block, RequestFraming(size, False, host)  # noqa: FBT003


def _line(header: Header) -> bytes:
    """Return a field's line, unless some rule is about it, or it is malformed."""
    name, value = header
    if name == b"connection" and value in _OF_CONNECTION:
        return b""
    expected = {b"host": _HOST, b"content-length": _DIGITS}.get(name)
    if name in _SPECIAL or (expected and not expected.fullmatch(value)):
        return _NOT_PLAIN
    line = b"%b: %b\r\n" % header
    return line if _LINE.fullmatch(line) else _NOT_PLAIN


def _size(header: Header) -> int:
    return len(header[0]) + len(header[1])


_line_of = Seen(_line, _size).__getitem__
