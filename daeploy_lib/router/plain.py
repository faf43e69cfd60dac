"""
The short way for a plain request: its headers in one pass.

Nearly all requests have nothing that the rules of ``framing`` and ``headers``
would change: one Host, at most one length, no coding, nothing about connections
or about who stands before us. Those rules look at every field several times and
call a function for each. Here a set tells the names that any rule is about, and
one expression over all lines tells that the rest is well formed. What is not
plain goes the long way, which also decides what to refuse; both ways give the
same bytes, which is a property of the tests.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from daeploy_lib.router.framing import MAX_HEADERS, Header
from daeploy_lib.router.headers import FORWARDED, HOP_BY_HOP

# Names that some rule is about; the expression tells the others: names with "_"
# or in upper case, and our own.
_SPECIAL = (
    HOP_BY_HOP
    | FORWARDED
    | {b"host", b"content-length", b"expect", b"via", b"max-forwards"}
)
# A token, a colon, a value without controls: RFC 9110, sections 5.1 and 5.5.
_LINES = re.compile(
    rb"(?:(?!x-daeploy-)[!#$%&'*+\-.^`|~0-9a-z]+: [^\x00-\x08\x0a-\x1f\x7f]*\r\n)*"
)
# Names and IPv4 addresses, RFC 3986, section 3.2.2; "[...]" goes the long way, and
# so does what is longer than a name can be, for hosts are remembered.
_HOST = re.compile(rb"[0-9A-Za-z\-.]{1,253}(?::[0-9]{1,5})?")
# What clients say of their connection to us; it goes no further.
_OF_CONNECTION = frozenset({b"keep-alive", b"Keep-Alive", b"close"})
_MAX_DIGITS = 18


class PlainHead(NamedTuple):
    """
    What a plain request has before its body.

    Attributes:
        block: The lines that every version gets.
        host: Value of its Host.
        length: Bytes of the body; None if no length was given.
    """

    block: bytes
    host: bytes
    length: int | None


def plain_head(headers: Iterable[Header], limit: int) -> PlainHead | None:
    """
    Return the head of an HTTP/1 request that no rule changes; None for others.

    Args:
        headers: Pairs of bytes; not changed.
        limit: Bytes that they may have.

    Example:
        >>> plain_head([(b"host", b"a"), (b"content-length", b"2")], 100).length
        2
        >>> plain_head([(b"host", b"a"), (b"x-forwarded-for", b"1.2.3.4")], 100)
    """
    host: bytes | None = None
    length: int | None = None
    lines: list[bytes] = []
    for name, value in headers:
        if name in _SPECIAL:
            if name == b"host" and host is None:
                host = value
            elif name == b"content-length" and length is None:
                if not value.isdigit() or len(value) > _MAX_DIGITS:
                    return None
                length = int(value)
            elif name == b"connection" and value in _OF_CONNECTION:
                continue
            else:
                return None
        lines.append(b"%b: %b\r\n" % (name, value))
    block = b"".join(lines)
    if (
        host is None
        or len(block) > limit
        or len(lines) >= MAX_HEADERS
        # A value with a line of its own in it would look like two good lines.
        or block.count(b"\n") != len(lines)
        or not _HOST.fullmatch(host)
        or not _LINES.fullmatch(block)
    ):
        return None
    return PlainHead(block, host, length)
