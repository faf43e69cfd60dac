"""
One call: a request to one version, over one connection.

The base of main's call and of a copy. Everything happens in callbacks; who
needs to wait builds that on top.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from daeploy_lib.router.failure import Failure
from daeploy_lib.router.framing import Header

if TYPE_CHECKING:
    from daeploy_lib.router.dial import Dial


class Carrier(Protocol):
    """What a call is carried by: a connection, or somebody's transport."""

    is_reused: bool
    is_paused: bool

    @property
    def unsent(self) -> int:
        """Bytes of the request that have not gone out yet."""
        ...

    def begin(self, call: "Call") -> None:
        """Carry this call."""
        ...

    def hold(self, head: bytes) -> None:
        """Keep the head until something follows."""
        ...

    def flush(self) -> None:
        """Send what has been held."""
        ...

    def write(self, content: bytes) -> None:
        """Send bytes of the request."""
        ...

    def has_input(self) -> bool:
        """Return whether an answer may be waiting unread."""
        ...

    def pause_reading(self) -> None:
        """Let the version wait with its answer."""
        ...

    def resume_reading(self) -> None:
        """Let the answer go on."""
        ...

    def abort(self) -> None:
        """End the request at once; the call hears nothing more."""
        ...


class Carriers(Protocol):
    """Where a call gets its carrier from."""

    def take(self) -> Carrier | None:
        """Return one that is ready; None if there is none."""
        ...

    def dial(self, call: "Call") -> "Dial | None":
        """Make a new one for the call, which hears of it."""
        ...


class Call:
    """
    A request to one version.

    Args:
        pool: Connections to it.
        method: Of the request; it decides whether an answer has a body.
        head: Request line and headers as they go over the wire.
    """

    __slots__ = (
        "_dial",
        "_pool",
        "connection",
        "head",
        "holds_head",
        "is_aborted",
        "is_sent",
        "method",
    )

    def __init__(self, pool: Carriers, method: bytes, head: bytes) -> None:
        self._pool = pool
        self.method = method
        self.head = head
        self.connection: Carrier | None = None
        self.is_sent = False
        """Whether the whole request has been given to the connection."""
        self.is_aborted = False
        self.holds_head = True
        """Whether the head waits for what follows it: see ``release_head``."""
        self._dial: Dial | None = None

    def start(self, *, afresh: bool = False) -> None:
        """Send the head over an idle connection, or over a new one."""
        connection = None if afresh else self._pool.take()
        if connection is None:
            self._dial = self._pool.dial(self)
        else:
            self.connected(connection)

    def connected(self, connection: Carrier) -> None:
        """Take the connection and send the head, or let it wait for the body."""
        self._dial = None
        self.connection = connection
        connection.begin(self)
        if self.holds_head:
            connection.hold(self.head)
        else:
            connection.write(self.head)
        self.opened()

    def release_head(self) -> None:
        """
        Send the head without waiting for the body any longer.

        Most bodies are there when the head is. Both in one system call cost
        half as much as two, at the sender and at the receiver.
        """
        self.holds_head = False
        if self.connection is not None:
            self.connection.flush()

    def abort(self) -> None:
        """
        End the call on the wire; no callback follows.

        A request whose body is not complete thereby never looks complete.
        """
        self.is_aborted = True
        dial, self._dial = self._dial, None
        if dial is not None:
            dial.cancel()
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.abort()

    # What happens to it

    def opened(self) -> None:
        """The head is on its way."""

    def has_room(self) -> None:
        """The connection takes more of the request."""

    def answer_began(self, status: int, headers: Sequence[Header]) -> None:
        """The head of the final answer has come."""

    def answer_went_on(self, body: bytes) -> None:
        """A part of the body has come."""

    def answer_ended(self) -> None:
        """The answer is complete; the connection is another's now."""
        self.connection = None

    def answered(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """
        The whole answer has come at once.

        Most answers do; a call may have a shorter way for them than in parts.
        """
        self.answer_began(status, headers)
        if body:
            self.answer_went_on(body)
        self.answer_ended()

    def failed(self, failure: Failure) -> None:
        """No complete answer will come."""
        del failure
        self._dial = None
        self.connection = None
