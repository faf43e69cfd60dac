"""
Framing: how long a message is, and whether that can be believed.

No ASGI server checks all of it (hazards 1 to 5, 7 to 11, 21), so the router
does for itself. Framing towards versions is made anew from what was checked.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from daeploy_lib.router.refusal import Refusal

Header = tuple[bytes, bytes]

# RFC 9110, section 5.6.2: a token. Compared case by case, so no flags.
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# RFC 9110, section 5.5: no control but the tab; CR, LF and NUL above all.
BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_DIGITS = re.compile(rb"[0-9]{1,18}")
# RFC 3986, section 3.2.2, less user information: reg-name, IPv4 or [IPv6].
_HOST = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z\-._~!$&'()*+,;=%]+)(?::[0-9]{0,5})?"
)
_KEEP_ALIVE = re.compile(rb"\btimeout=([0-9]{1,6})\b")
_QUERY_BAD = re.compile(rb"[\x00-\x20\x7f#]")

# RFC 9110, section 9.3, and RFC 5789; others are looked at.
_METHODS = {
    name: name.encode()
    for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}

MAX_HEADERS = 1000
"""Header lines in one message. Servers allow from 100 to no limit at all."""

_OF_FRAMING = frozenset(
    {b"content-length", b"transfer-encoding", b"connection", b"keep-alive"}
)
BODYLESS_STATUS = frozenset({204, 304})
FIRST_FINAL_STATUS = 200
LAST_STATUS = 599


class RequestFraming(NamedTuple):
    """
    How the body of a request is delimited.

    Attributes:
        length: Bytes announced; None if not known beforehand.
        is_chunked: Whether it comes in chunks of any number.
        host: Value of the one Host field.
        wants_continue: Whether the client waits for ``100 Continue``.
    """

    length: int | None
    is_chunked: bool
    host: bytes
    wants_continue: bool = False

    @property
    def has_body(self) -> bool:
        """Whether body bytes may come."""
        return self.is_chunked or bool(self.length)


def check_method(method: str) -> bytes:
    """
    Return the method's bytes.

    Raises:
        Refusal: 405 for CONNECT and TRACE, 400 for what is no token.
    """
    known = _METHODS.get(method)
    if known is not None:
        return known
    encoded = method.encode("ascii", "replace")
    if not TOKEN.fullmatch(encoded):
        raise Refusal(400, "The method is not a token.", is_final=True)
    if encoded in (b"CONNECT", b"TRACE"):
        # CONNECT is for forward proxies; TRACE would echo credentials.
        raise Refusal(405, f"{method} is not supported.")
    return encoded


def check_query(query: bytes, path_bytes: int, limit: int) -> None:
    """
    Check that the query can stand in a request line as it is.

    Raises:
        Refusal: 400 for controls, spaces and ``#``; 414 if path and query
            together are longer than *limit*.
    """
    if path_bytes + len(query) > limit:
        raise Refusal(414, f"The target is longer than {limit} bytes.")
    if query and _QUERY_BAD.search(query):
        raise Refusal(400, "The query has a character that no query may have.")


def check_request(
    headers: Sequence[Header], *, http_version: str, limit: int
) -> RequestFraming:
    """
    Return how the request's body is delimited.

    Args:
        headers: Pairs of bytes, names lower-case.
        http_version: As in the ASGI scope: ``"1.0"``, ``"1.1"``, ``"2"``, ...
        limit: Bytes of all names and values together.

    Raises:
        Refusal: 431 for too many header bytes or lines, 400 for everything
            that two readers could understand differently, 501 for a transfer
            coding other than chunked.

    Source:
        RFC 9112, sections 3.2, 6.1 and 6.3; RFC 9110, sections 5.5 and 8.6.
    """
    _check_fields(headers, limit)
    hosts: list[bytes] = []
    lengths: set[bytes] = set()
    codings: list[bytes] = []
    wants_continue = False
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"content-length":
            lengths.add(value.strip(b" \t"))
        elif name == b"transfer-encoding":
            codings.append(value.strip(b" \t").lower())
        elif name == b"expect":
            wants_continue = True
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        raise Refusal(400, "The request needs one well-formed Host.", is_final=True)
    length = _length(lengths)
    is_chunked = _is_chunked(codings, http_version, has_length=length is not None)
    if length is None and not http_version.startswith("1"):
        is_chunked = True  # HTTP/2 and 3 announce nothing; the end of stream tells
    return RequestFraming(length, is_chunked, hosts[0], wants_continue)


def _check_fields(headers: Sequence[Header], limit: int) -> None:
    names = [name for name, _ in headers]
    values = b"".join([value for _, value in headers])
    all_names = b"".join(names)
    if len(headers) > MAX_HEADERS or len(all_names) + len(values) > limit:
        raise Refusal(431, f"The headers are more than {limit} bytes or 1000 lines.")
    if BAD_VALUE.search(values):
        raise Refusal(400, "A header value has a control character.", is_final=True)
    if not all(names) or (names and not TOKEN.fullmatch(all_names)):
        raise Refusal(400, "A header name is not a token.", is_final=True)


def _length(lengths: set[bytes]) -> int | None:
    if not lengths:
        return None
    value = lengths.pop()
    if lengths or not _DIGITS.fullmatch(value):
        raise Refusal(400, "The Content-Length is not one number.", is_final=True)
    return int(value)


def _is_chunked(codings: list[bytes], http_version: str, *, has_length: bool) -> bool:
    if not codings:
        return False
    if has_length:
        raise Refusal(
            400,
            "Content-Length and Transfer-Encoding exclude each other.",
            is_final=True,
        )
    if http_version != "1.1":
        raise Refusal(400, "Transfer-Encoding belongs to HTTP/1.1.", is_final=True)
    if codings != [b"chunked"]:
        raise Refusal(
            501, "No transfer coding but 'chunked' is supported.", is_final=True
        )
    return True


class AnswerFraming(NamedTuple):
    """
    How the body of an answer is delimited.

    Attributes:
        has_body: Whether body bytes may follow the headers.
        until_close: Whether only the end of the connection ends it.
        keeps_alive: Whether the connection may carry another request.
        idle_seconds: How long the version keeps it, if it says so.
    """

    has_body: bool
    until_close: bool
    keeps_alive: bool
    idle_seconds: int | None = None


def check_answer(
    status: int, headers: Sequence[Header], *, method: bytes, http_version: str
) -> AnswerFraming:
    """
    Return how the body of a final answer is delimited.

    Args:
        status: Three digits, 200 or more.
        headers: Pairs of bytes, names lower-case; the parser has refused a
            length that is no number, two lengths, and a length with a coding.
        method: Of the request: HEAD has no body whatever the headers say.
        http_version: ``"1.0"`` or ``"1.1"``.

    Raises:
        ValueError: If the answer must not be relayed.

    Source:
        RFC 9112, sections 6.3 and 9.3; RFC 9110, section 15.
    """
    _check_answer_head(status, headers, http_version)
    has_length = False
    idle_seconds: int | None = None
    codings: list[bytes] = []
    options: set[bytes] = set()
    for name, value in headers:
        if name not in _OF_FRAMING:
            continue
        if name == b"content-length":
            has_length = True
        elif name == b"transfer-encoding":
            codings.append(value.strip(b" \t").lower())
        elif name == b"connection":
            options.update(token.strip().lower() for token in value.split(b","))
        elif name == b"keep-alive" and (found := _KEEP_ALIVE.search(value)):
            idle_seconds = int(found[1])
    if codings and (codings != [b"chunked"] or http_version == "1.0"):
        raise ValueError("transfer coding other than chunked")
    has_body = method != b"HEAD" and status not in BODYLESS_STATUS
    keeps_alive = b"close" not in options and (
        http_version == "1.1" or b"keep-alive" in options
    )
    until_close = has_body and not has_length and not codings
    return AnswerFraming(
        has_body, until_close, keeps_alive and not until_close, idle_seconds
    )


def _check_answer_head(
    status: int, headers: Sequence[Header], http_version: str
) -> None:
    if not FIRST_FINAL_STATUS <= status <= LAST_STATUS:
        raise ValueError(f"status {status}")
    if http_version not in ("1.1", "1.0"):
        raise ValueError(f"HTTP version {http_version}")
    values = b"".join([value for _, value in headers])
    if len(headers) > MAX_HEADERS or BAD_VALUE.search(values):
        raise ValueError("too many headers, or a control character in one")
