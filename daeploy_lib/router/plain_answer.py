"""
The short way for a plain answer: all of it, out of one read.

Nearly all answers to small requests arrive whole, with one length and nothing
about the connection. A parser that calls back for every field costs more than
the request that asked for them; here each line is looked up in ``Seen``. What is
not plain, or not whole, goes the long way through the parser; both ways give the
same, which is a property of the tests.
"""

import re

from daeploy_lib.router.framing import MAX_HEADERS, Header
from daeploy_lib.router.headers import NOT_FOR_CLIENTS
from daeploy_lib.router.seen import Seen

# RFC 9112, section 4. 1xx, 204 and 304 have rules of their own.
_STATUS_LINE = re.compile(rb"HTTP/1\.1 (?!204|304)([2-5][0-9][0-9]) [^\x00-\x1f\x7f]*")
# A token, a colon, a space, a value without controls that no space surrounds:
# RFC 9110, sections 5.1 and 5.5.
_FIELD = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): "
    rb"([^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?)"
)
_LENGTH = b"content-length"
# Many servers say so, although it goes without saying; it goes no further.
_KEEP_ALIVE = (b"connection", b"keep-alive")
_DROPPED: Header = (b"", b"")
_NOT_PLAIN: Header = (b"\n", b"")
_END_OF_HEAD = b"\r\n\r\n"
_LINE_END = b"\r\n"


def plain_answer(data: bytes) -> tuple[int, list[Header], bytes] | None:
    r"""
    Return the one answer that these bytes are; None if it needs the long way.

    Args:
        data: All that was read, from the first byte of an answer on. The request
            was not HEAD, whose answer has no body.

    Returns:
        The status, never 1xx, 204 or 304; the headers, all of them end to end,
        names lower-case; the body. The connection may carry another request.

    Example:
        >>> plain_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        (200, [(b'content-length', b'2')], b'hi')
        >>> plain_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh")
    """
    head, end, body = data.partition(_END_OF_HEAD)
    if not end:
        return None
    # One line too many is enough to know; a shadow may send them without end.
    first, *lines = head.split(_LINE_END, MAX_HEADERS + 1)
    status = _statuses[first]
    # No loop of Python's own: of all fields, one lookup each is what it costs.
    fields = list(map(_field_of, lines))
    if not status or _NOT_PLAIN in fields or len(fields) > MAX_HEADERS:
        return None
    if (_LENGTH, b"%d" % len(body)) not in fields or head.lower().count(_LENGTH) > 1:
        return None
    while _DROPPED in fields:
        fields.remove(_DROPPED)
    return status, fields, body


def _status(line: bytes) -> int:
    """Return the status of a plain answer's first line; 0 for others."""
    found = _STATUS_LINE.fullmatch(line)
    return int(found[1]) if found else 0


def _field(line: bytes) -> Header:
    """Return the field, unless some rule is about it, or it is malformed."""
    found = _FIELD.fullmatch(line)
    if found is None:
        return _NOT_PLAIN
    name, value = found[1].lower(), found[2]
    if name == _LENGTH:
        return name, value
    if (name, value.lower()) == _KEEP_ALIVE:
        return _DROPPED
    return _NOT_PLAIN if name in NOT_FOR_CLIENTS else (name, value)


_statuses = Seen(_status, len)
_field_of = Seen(_field, len).__getitem__
