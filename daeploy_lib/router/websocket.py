"""WebSocket scopes: for now, the handshake is refused with a reason."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from daeploy_lib.router.refusal import Refusal, refusal_events

# RFC 6455 names no code for "not here"; 1013 is the registered "try again later".
_TRY_AGAIN_LATER = 1013


async def refuse_websocket(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """
    Answer a handshake with 501, or with 403 where the server knows no other.

    Source:
        ASGI, WebSocket denial response extension.
    """
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
        return
    refusal = Refusal(501, "WebSockets are not supported by this router.")
    for event in refusal_events(refusal, has_body=True, can_close=False):
        await send({**event, "type": f"websocket.{event['type']}"})
