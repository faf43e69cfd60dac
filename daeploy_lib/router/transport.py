"""
Versions behind somebody else's transport: TLS, proxies, tests.

``ShadowRouter(transport=…)`` takes any ``httpx.AsyncBaseTransport``. What a call
expects of a connection is the same as of our own; behind it is one request of
httpx, in a task of its own. What httpx cannot express: interim answers and
trailers are gone, a request is not sent a second time, copies begin before main
is known to accept, and whether a used connection still lives is its own affair.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import httpx

from daeploy_lib.router.failure import Failure
from daeploy_lib.router.framing import Header, check_answer
from daeploy_lib.router.routing import Endpoint

if TYPE_CHECKING:
    from daeploy_lib.router.upstream import Call

_log = logging.getLogger(__name__)

# Bytes of an upload that may wait for the transport: as in ``connection.py``.
_HIGH = 64 * 1024


class TransportPool:
    """
    Stands in for ``Pool``: the transport keeps its connections itself.

    Args:
        endpoint: Where the version listens.
        transport: Carries the requests; it is not closed here.
        connect: Seconds that connecting may take.
    """

    def __init__(
        self, endpoint: Endpoint, transport: httpx.AsyncBaseTransport, connect: float
    ) -> None:
        self.endpoint = endpoint
        self.transport = transport
        self.connect = connect
        self._all: set[TransportConnection] = set()

    def __len__(self) -> int:
        return len(self._all)

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be lost with this pool."""
        return not self._all

    def take(self) -> "TransportConnection":
        """Return a connection for one call."""
        connection = TransportConnection(self)
        self._all.add(connection)
        return connection

    def dial(self, call: "Call") -> None:
        """Carry the call at once: whether that can be is the transport's affair."""
        call.connected(self.take())

    def forget(self, connection: "TransportConnection") -> None:
        """Drop one that has ended."""
        self._all.discard(connection)

    def close(self) -> None:
        """End every call."""
        for connection in tuple(self._all):
            connection.abort()


class TransportConnection:
    """Carries one call, as ``Connection`` does, through a transport."""

    is_reused = False

    def __init__(self, pool: TransportPool) -> None:
        self._pool = pool
        self._call: Call | None = None
        self._held = b""
        self._task: asyncio.Task[None] | None = None
        self._upload = _Upload(self)
        self._may_read = asyncio.Event()
        self._may_read.set()
        self.is_paused = False

    # The call's side

    def begin(self, call: "Call") -> None:
        """Carry this call."""
        self._call = call

    def hold(self, head: bytes) -> None:
        """Keep the head until something follows."""
        self._held = head

    def flush(self) -> None:
        """Send what has been held."""
        if self._held:
            self.write(b"")

    def write(self, content: bytes) -> None:
        """Send bytes of the request; the first ones begin with its head."""
        if self._task is None:
            head, _, content = (self._held + content).partition(b"\r\n\r\n")
            self._held = b""
            request = self._request(head)
            self._task = asyncio.get_running_loop().create_task(self._run(request))
        self._upload.feed(content)
        self.is_paused = self._upload.waiting > _HIGH

    @property
    def unsent(self) -> int:
        """Bytes that the transport has not taken yet."""
        return self._upload.waiting

    def has_input(self) -> bool:
        """Return False: what the socket holds is the transport's affair."""
        return False

    def pause_reading(self) -> None:
        """Let the version wait with its answer."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Let the answer go on."""
        self._may_read.set()

    def abort(self) -> None:
        """End the request at once; the call hears nothing more."""
        self._call = None
        self._pool.forget(self)
        if self._task is not None:
            self._task.cancel()

    # The transport's side

    def took(self) -> None:
        """Note that a part of the upload has been taken."""
        if self.is_paused and self._upload.waiting <= _HIGH:
            self.is_paused = False
            if self._call is not None:
                self._call.has_room()

    def _request(self, head: bytes) -> httpx.Request:
        line, *lines = head.split(b"\r\n")
        method, target, _ = line.split(b" ")
        headers = [(n, v.strip()) for n, _, v in (one.partition(b":") for one in lines)]
        self._upload.expect(headers)
        endpoint = self._pool.endpoint
        return httpx.Request(
            method.decode("ascii"),
            # httpx rewrites what it does not like in a path; "target" goes as it is.
            httpx.URL(
                scheme=endpoint.scheme,
                host=endpoint.host,
                port=endpoint.port,
                raw_path=target,
            ),
            headers=headers,
            stream=self._upload,
            extensions={
                "target": target,
                "timeout": {
                    "connect": self._pool.connect,
                    "pool": self._pool.connect,
                    "read": None,
                    "write": None,
                },
            },
        )

    async def _run(self, request: httpx.Request) -> None:
        has_begun = False
        failure: Failure | None = None
        try:
            response = await self._pool.transport.handle_async_request(request)
            try:
                has_body = self._answer_began(request, response)
                has_begun = True
                if has_body:
                    await self._relay(response)
            finally:
                await response.aclose()
        except Exception as error:  # noqa: BLE001 - a transport may raise anything
            _log.debug("The transport failed", exc_info=error)
            failure = _failure(error, has_begun=has_begun)
        self._pool.forget(self)
        call, self._call = self._call, None
        if call is None:
            return
        if failure is None:
            call.answer_ended()
        else:
            call.failed(failure)

    def _answer_began(self, request: httpx.Request, response: httpx.Response) -> bool:
        headers = [(name.lower(), value) for name, value in response.headers.raw]
        framing = check_answer(
            response.status_code,
            headers,
            method=request.method.encode("ascii"),
            http_version="1.1",
        )
        if self._call is not None:
            self._call.answer_began(response.status_code, headers)
        return framing.has_body

    async def _relay(self, response: httpx.Response) -> None:
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("the transport's answer has no asynchronous stream")
        async for chunk in response.stream:
            await self._may_read.wait()
            if self._call is None:
                return
            if chunk:
                self._call.answer_went_on(chunk)


class _Upload(httpx.AsyncByteStream):
    """
    The body of one request, as it comes.

    It comes framed for our own connections; the transport frames it anew.
    """

    def __init__(self, connection: TransportConnection) -> None:
        self._connection = connection
        self._chunks: deque[bytes] = deque()
        self._has_come = asyncio.Event()
        self._is_chunked = False
        self._left = 0
        self.waiting = 0

    def expect(self, headers: list[Header]) -> None:
        """Note how the body is framed."""
        for name, value in headers:
            if name == b"content-length":
                self._left = int(value)
            elif name == b"transfer-encoding":
                self._is_chunked, self._left = True, 1

    def feed(self, content: bytes) -> None:
        """Take framed bytes: whole chunks, if it is chunked."""
        if self._is_chunked:
            while content:
                size, _, content = content.partition(b"\r\n")
                length = int(size, 16)
                self._left = min(self._left, length)
                self._put(content[:length])
                content = content[length + 2 :]
        else:
            self._left -= len(content)
            self._put(content)
        self._has_come.set()

    def _put(self, body: bytes) -> None:
        if body:
            self._chunks.append(body)
            self.waiting += len(body)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            while self._chunks:
                body = self._chunks.popleft()
                self.waiting -= len(body)
                self._connection.took()
                yield body
            if not self._left:
                return
            self._has_come.clear()
            await self._has_come.wait()


def _failure(error: Exception, *, has_begun: bool) -> Failure:
    """Return what an error of httpx, or of anybody's transport, means."""
    if has_begun:
        return Failure.truncated
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return Failure.connect_timeout
    if isinstance(error, httpx.TimeoutException):
        return Failure.first_byte_timeout
    if isinstance(
        error, httpx.ConnectError | httpx.ProxyError | httpx.UnsupportedProtocol
    ):
        return Failure.refused
    is_silent = isinstance(error, httpx.NetworkError) or "disconnected" in str(error)
    return Failure.closed if is_silent else Failure.garbage
