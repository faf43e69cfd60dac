"""Telling the client that its handshake was not accepted."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from daeploy_lib.router.failure import ClientGoneError
from daeploy_lib.router.refusal import Refusal, refusal_events
from daeploy_lib.router.websocket.answer import Denied

_EXTENSION = "websocket.http.response"

# RFC 6455 names no code for "not here"; 1013 is the registered "try again
# later". Before an accept no code reaches the client anyway.
_TRY_AGAIN_LATER = 1013


def refused(refusal: Refusal) -> Denied:
    """Return the answer that a refusal of the router's own is."""
    start, body = refusal_events(refusal, has_body=True, can_close=False)
    headers: Any = start["headers"]
    content: Any = body["body"]
    return Denied(refusal.status, headers, content)


async def deny(
    scope: Mapping[str, Any],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    denied: Denied,
) -> None:
    """
    Answer a handshake with an HTTP answer, or with 403 where the server cannot.

    Raises:
        ClientGoneError: If nobody is there to read it.

    Source:
        ASGI, WebSocket denial response extension.
    """
    try:
        await _deny(scope, send, denied)
    except (OSError, RuntimeError) as error:
        # ASGI 2.4, and how older servers say that it is too late to send.
        raise ClientGoneError from error


async def _deny(
    scope: Mapping[str, Any],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    denied: Denied,
) -> None:
    if _EXTENSION not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
        return
    await send(
        {
            "type": f"{_EXTENSION}.start",
            "status": denied.status,
            "headers": denied.headers,
        }
    )
    await send({"type": f"{_EXTENSION}.body", "body": denied.body})
