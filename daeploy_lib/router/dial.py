"""
Opening a connection without a task.

A version that does not accept costs a socket and an entry in a queue of
deadlines until then; ``create_connection`` alone would cost a task each.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence

from daeploy_lib.router.deadlines import DeadlineQueue
from daeploy_lib.router.failure import Failure

Address = tuple[socket.AddressFamily, tuple[object, ...]]
"""A family and what ``socket.connect`` takes for it."""


class Dial:
    """
    One attempt to connect, over the addresses of one host in turn.

    Either the protocol factory is called and the protocol gets its transport,
    or *on_failure* is called, once, and not before ``start`` has returned.

    Args:
        loop: The running loop.
        factory: Makes the protocol.
        on_failure: Told why it failed.
        deadlines: The queue of connect deadlines.
    """

    __slots__ = (
        "_addresses",
        "_deadlines",
        "_factory",
        "_failed",
        "_is_over",
        "_loop",
        "_socket",
        "_task",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        factory: Callable[[], asyncio.Protocol],
        on_failure: Callable[[Failure], None],
        deadlines: DeadlineQueue,
    ) -> None:
        self._loop = loop
        self._factory = factory
        self._failed = on_failure
        self._deadlines = deadlines
        self._addresses: list[Address] = []
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[object] | None = None
        self._is_over = False

    def start(self) -> None:
        """Let the time run; addresses follow by ``try_addresses``."""
        self._deadlines.start(self, self._late)

    def try_addresses(self, addresses: Sequence[Address]) -> None:
        """Connect to the first address that accepts."""
        self._addresses = list(addresses)
        self._next()

    def cancel(self) -> None:
        """
        Give up; *on_failure* is not called afterwards.

        Too late once the protocol has been made: then a connection comes up.
        """
        if self._is_over:
            return
        self._is_over = True
        self._deadlines.stop(self)
        if self._task is not None:
            self._task.cancel()  # not begun yet, or it would be too late
        self._close_socket()

    def fail(self, failure: Failure) -> None:
        """Give up and tell why."""
        if not self._is_over:
            self.cancel()
            self._failed(failure)

    def _late(self) -> None:
        self.fail(Failure.connect_timeout)

    def _next(self) -> None:
        while self._addresses and not self._is_over:
            family, address = self._addresses.pop(0)
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError:  # the family is not there, or no descriptor is left
                continue
            sock.setblocking(False)  # noqa: FBT003 - the standard library's own
            code = sock.connect_ex(address)
            if code in (0, errno.EINPROGRESS):
                self._socket = sock
                self._loop.add_writer(sock.fileno(), self._writable)
                return
            sock.close()
        if not self._is_over:
            # Later, for the caller is still busy with its own state.
            self._loop.call_soon(self.fail, Failure.refused)

    def _writable(self) -> None:
        sock = self._socket
        if sock is None:
            return
        self._loop.remove_writer(sock.fileno())
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._close_socket()
            self._next()
            return
        # Connected: the transport takes the socket, which ends within a turn
        # of the loop.
        self._task = self._loop.create_task(self._open(sock))

    async def _open(self, sock: socket.socket) -> None:
        self._socket = None
        try:
            await self._loop.create_connection(self._made, sock=sock)
        except OSError:
            sock.close()
            self._task = None
            self.fail(Failure.refused)

    def _made(self) -> asyncio.Protocol:
        self._is_over = True
        self._deadlines.stop(self)
        return self._factory()

    def _close_socket(self) -> None:
        sock, self._socket = self._socket, None
        if sock is not None:
            self._loop.remove_writer(sock.fileno())
            sock.close()
