"""
The opening handshake towards a version: what is asked, what is answered.

Each hop has its own: key, version and extensions are never passed on, so no
extension is ever in force and no frame can be compressed (RFC 6455, section 9).
"""

import base64
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wsproto.utilities import generate_accept_token

from daeploy_lib.router.framing import Header
from daeploy_lib.router.headers import for_client

SUBPROTOCOL = b"sec-websocket-protocol"
_ACCEPT = b"sec-websocket-accept"
_EXTENSIONS = b"sec-websocket-extensions"
_OF_HOP = frozenset(
    {b"sec-websocket-key", b"sec-websocket-version", _EXTENSIONS, _ACCEPT}
)
_SCHEMES = {"ws": "http", "wss": "https"}


class Handshake(NamedTuple):
    """
    A handshake to send.

    Attributes:
        head: Request line and headers.
        key: That the version has to prove it has read.
        offered: The client's subprotocols, in its order.
    """

    head: bytes
    key: bytes
    offered: Sequence[str]


class Accepted(NamedTuple):
    """
    A version's yes.

    Attributes:
        subprotocol: Its choice; None for none.
        headers: For the client.
    """

    subprotocol: str | None
    headers: list[Header]


def as_request(scope: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    Return the request that a websocket scope began as; its type is what it was.

    Example:
        >>> as_request({"scheme": "ws", "headers": [(b"sec-websocket-key", b"")]})
        {'scheme': 'http', 'headers': [], 'method': 'GET', 'http_version': '1.1'}
    """
    headers = [
        (name, value) for name, value in scope["headers"] if name.lower() not in _OF_HOP
    ]
    offered = scope.get("subprotocols") or ()
    if offered and not any(name.lower() == SUBPROTOCOL for name, _ in headers):
        # uvicorn with wsproto gives them here only.
        headers.append((SUBPROTOCOL, ", ".join(offered).encode("latin-1", "replace")))
    return {
        **scope,
        "method": "GET",
        "http_version": scope.get("http_version", "1.1"),
        "scheme": _SCHEMES.get(scope.get("scheme", "ws"), "http"),
        "headers": headers,
    }


def upgrading(head: bytes, offered: Sequence[str]) -> Handshake:
    """Return the handshake of a request with this head."""
    key = base64.b64encode(os.urandom(16))  # RFC 6455, section 4.1, item 7
    more = (
        b"connection: Upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: %b\r\n\r\n" % key
    )
    return Handshake(head[:-2] + more, key, offered)


def check_accepted(
    headers: Sequence[Header], handshake: Handshake, http_version: str
) -> Accepted:
    """
    Return what a 101 says.

    Args:
        headers: Of the answer, names lower-case.
        handshake: That it answers.
        http_version: Of the answer.

    Raises:
        ValueError: If it is no proof that the version speaks WebSocket, or it
            chose what was not offered.

    Source:
        RFC 6455, section 4.1, on the server's answer.
    """
    tokens = [token.lower() for token in _all(headers, b"connection")]
    upgrades = [token.lower() for token in _all(headers, b"upgrade")]
    if http_version != "1.1" or b"upgrade" not in tokens or upgrades != [b"websocket"]:
        raise ValueError("an upgrade to something else")
    if _all(headers, _ACCEPT) != [generate_accept_token(handshake.key)]:
        raise ValueError("a wrong Sec-WebSocket-Accept")
    if _all(headers, _EXTENSIONS):
        raise ValueError("an extension that was not offered")
    chosen = [name.decode("latin-1") for name in _all(headers, SUBPROTOCOL)]
    if len(chosen) > 1 or any(name not in handshake.offered for name in chosen):
        raise ValueError("a subprotocol that was not offered")
    # uvicorn fails an accept with a second Date; each server adds its own.
    dropped = (_ACCEPT, SUBPROTOCOL, b"content-length", b"date")
    kept = [
        header for header in for_client(headers, status=101) if header[0] not in dropped
    ]
    return Accepted(chosen[0] if chosen else None, kept)


def _all(headers: Sequence[Header], wanted: bytes) -> list[bytes]:
    return [
        token.strip(b" \t")
        for name, value in headers
        if name == wanted
        for token in value.split(b",")
    ]
