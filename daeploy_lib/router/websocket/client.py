"""The client's side of a WebSocket, in the words of ASGI."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from daeploy_lib.router.failure import ClientGoneError
from daeploy_lib.router.inbound import Event, Inbound, Receive
from daeploy_lib.router.websocket.answer import Denied
from daeploy_lib.router.websocket.codec import (
    ABNORMAL,
    NO_STATUS,
    Close,
    code_to_send,
)
from daeploy_lib.router.websocket.denial import deny
from daeploy_lib.router.websocket.handshake import Accepted

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Client:
    """
    Tells the client, and hears of it one event at a time.

    Each way of telling raises ``ClientGoneError`` if nobody is there any more.

    Args:
        scope: The server's.
        receive: The server's; the connect event has been taken.
        send: The server's.
        heard: Called with each message that was pulled.
        left: Called once, when the client has ended the WebSocket.
    """

    def __init__(
        self,
        scope: Mapping[str, Any],
        receive: Receive,
        send: Send,
        *,
        heard: Callable[[str | bytes], None],
        left: Callable[[Close], None],
    ) -> None:
        self._scope = scope
        self._send = send
        self._heard = heard
        self._left = left
        self._inbound = Inbound(receive, self._on_event)
        self.offered: list[str] = list(scope.get("subprotocols") or ())
        """Its subprotocols, in its order."""

    def pull(self) -> None:
        """Ask for the next message, unless one is being waited for."""
        self._inbound.pull()

    async def accept(self, answer: Accepted) -> None:
        """Accept its handshake as main has."""
        await self._tell(
            {
                "type": "websocket.accept",
                "subprotocol": answer.subprotocol,
                "headers": answer.headers,
            }
        )

    async def deny(self, answer: Denied) -> None:
        """Refuse its handshake as main has."""
        await deny(self._scope, self._send, answer)

    async def send(self, message: str | bytes) -> None:
        """Send one message."""
        kind = "text" if isinstance(message, str) else "bytes"
        await self._tell({"type": "websocket.send", kind: message})

    async def close(self, close: Close) -> None:
        """End the WebSocket; the client is not listened to any more."""
        # granian would wait with the close until a message has been received.
        self._inbound.stop()
        # ASGI has no way to send a close frame without a code.
        code = 1000 if close.code == NO_STATUS else code_to_send(close.code)
        reason = close.reason if close.is_clean else ""
        await self._tell({"type": "websocket.close", "code": code, "reason": reason})

    def forget(self) -> None:
        """Listen no more, and let go of who was told."""
        self._inbound.close()

    async def _tell(self, event: Event) -> None:
        try:
            await self._send(event)
        except (OSError, RuntimeError) as error:
            # ASGI 2.4, and how older servers say that it is too late to send.
            raise ClientGoneError from error

    def _on_event(self, event: Event) -> None:
        if event["type"] == "websocket.receive":
            text = event.get("text")
            self._heard(text if text is not None else event.get("bytes") or b"")
        else:
            code = event.get("code") or ABNORMAL
            self._left(Close(code, event.get("reason") or ""))
