"""
Calls an ASGI application as a server would, one event at a time.

The client can stop or leave at any point.
"""

import asyncio
from collections.abc import (
    Awaitable,
    Callable,
    MutableMapping,
    Sequence,
)
from typing import Any
from urllib.parse import unquote

_Headers = list[tuple[bytes, bytes]]
_Event = MutableMapping[str, Any]
_Application = Callable[..., Awaitable[None]]


class AsgiCall:
    """
    One request to an application, one event at a time.

    The application's ``send`` waits until its event before has been taken, so
    that a client can be slow.

    Attributes:
        sent: Every event that the application has sent.
    """

    def __init__(self, app: _Application, scope: _Event) -> None:
        self._inbox: asyncio.Queue[_Event] = asyncio.Queue()
        self._outbox: asyncio.Queue[_Event] = asyncio.Queue(maxsize=1)
        self._is_gone = False
        self.sent: list[_Event] = []
        self._task = asyncio.ensure_future(app(scope, self._receive, self._send))

    def send(self, body: bytes, *, more: bool = False) -> None:
        """Have the client send a part of its body."""
        self._inbox.put_nowait(
            {"type": "http.request", "body": body, "more_body": more}
        )

    def disconnect(self) -> None:
        """Have the client leave."""
        self._is_gone = True
        self._inbox.put_nowait({"type": "http.disconnect"})
        while not self._outbox.empty():
            self._outbox.get_nowait()

    async def event(self) -> _Event:
        """
        Return the next event of the application.

        Raises:
            EOFError: If the application has returned.
            Exception: Whatever the application raised.
        """
        getter = asyncio.ensure_future(self._outbox.get())
        await asyncio.wait((getter, self._task), return_when=asyncio.FIRST_COMPLETED)
        if getter.done():
            return getter.result()
        getter.cancel()
        await self._task
        raise EOFError("The application has returned.")

    async def start(self) -> tuple[int, _Headers]:
        """Return status and headers of the answer."""
        event = await self.event()
        return event["status"], list(event["headers"])

    async def body(self) -> bytes:
        """Return the rest of the body, and wait for the application to return."""
        parts = []
        while True:
            event = await self.event()
            parts.append(event.get("body", b""))
            if not event.get("more_body"):
                await self._task
                return b"".join(parts)

    @property
    def unread(self) -> int:
        """How many events of the client the application has not asked for."""
        return self._inbox.qsize()

    async def done(self) -> None:
        """Wait for the application to return, or raise what it raised."""
        await self._task

    def cancel(self) -> None:
        """Cancel the application, as a server does that shuts down."""
        self._task.cancel()

    async def _receive(self) -> _Event:
        return await self._inbox.get()

    async def _send(self, event: _Event) -> None:
        if not self._is_gone:
            self.sent.append(event)
            await self._outbox.put(event)


class AsgiDriver:
    """
    Calls an ASGI application without a server.

    Args:
        app: The application.
        root_path: Where it is mounted.

    Example:
        >>> async def app(scope, receive, send):
        ...     start = {"type": "http.response.start", "status": 204, "headers": []}
        ...     await send(start)
        ...     await send({"type": "http.response.body"})
        >>> async def main():
        ...     call = AsgiDriver(app).request("GET", b"/")
        ...     return await call.start()
        >>> asyncio.run(main())
        (204, [])
    """

    def __init__(self, app: _Application, *, root_path: str = "") -> None:
        self._app = app
        self._root_path = root_path

    def request(
        self,
        method: str,
        target: bytes,
        *,
        headers: Sequence[tuple[bytes, bytes]] = ((b"host", b"test"),),
        body: bytes | None = b"",
        **scope: Any,
    ) -> AsgiCall:
        """
        Begin a request.

        Args:
            method: Its method.
            target: Raw path and query.
            headers: Pairs, names lower-case.
            body: Sent at once; None to send it in parts afterwards.
            scope: Entries of the scope that differ.
        """
        call = AsgiCall(self._app, self.scope(method, target, headers, **scope))
        if body is not None:
            call.send(body)
        return call

    def scope(
        self,
        method: str,
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]] = ((b"host", b"test"),),
        **changes: Any,
    ) -> _Event:
        """Return the scope of a request, as a server makes it."""
        path, _, query = target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "root_path": self._root_path,
            "headers": list(headers),
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
            **changes,
        }
