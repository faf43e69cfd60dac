"""How a call to a version can fail, and what the client hears of it."""

import enum

from daeploy_lib.router.refusal import Refusal


class Failure(enum.StrEnum):
    """
    Why a call ended without a complete answer.

    Attributes:
        refused: No connection could be made.
        connect_timeout: No connection was made in time.
        closed: The connection ended before the first byte of an answer.
        garbage: What came was no HTTP answer that may be relayed.
        truncated: The answer began and did not end.
        first_byte_timeout: No answer began in time.
        idle_timeout: Nothing moved for too long.
    """

    refused = "refused"
    connect_timeout = "connect_timeout"
    closed = "closed"
    garbage = "garbage"
    truncated = "truncated"
    first_byte_timeout = "first_byte_timeout"
    idle_timeout = "idle_timeout"


_LATE = frozenset(
    {Failure.connect_timeout, Failure.first_byte_timeout, Failure.idle_timeout}
)

_DETAILS = {
    Failure.refused: "refused the connection",
    Failure.connect_timeout: "did not accept a connection in time",
    Failure.closed: "closed the connection without an answer",
    Failure.garbage: "sent an invalid answer",
    Failure.truncated: "broke off its answer",
    Failure.first_byte_timeout: "did not answer in time",
    Failure.idle_timeout: "stopped in the middle of the request",
}


def refusal_for(failure: Failure, name: str, version: str) -> Refusal:
    """
    Return what the client gets when main fails before its answer began.

    Example:
        >>> print(refusal_for(Failure.refused, "hello", "1.0.0"))
        502: Version '1.0.0' of 'hello' refused the connection.
    """
    status = 504 if failure in _LATE else 502
    return Refusal(status, f"Version {version!r} of {name!r} {_DETAILS[failure]}.")


class AnswerBrokenError(ConnectionError):
    """
    Main's answer broke off after it had begun.

    Raised out of the application on purpose: it is the only way in ASGI to make
    the server end the client's connection, so that the client notices
    (RFC 9112, section 8).
    """


class ClientGoneError(Exception):
    """The client has left; nobody is there to be told."""


def says_client_gone(error: Exception) -> bool:
    """
    Return whether a server refused an event because the client has left.

    ASGI 2.4 says so with an ``OSError``. Under uvloop a write to a connection that has
    been closed, such as the answer to a pipelined request, raises a ``RuntimeError``.
    """
    is_closed = isinstance(error, RuntimeError) and "handler is closed" in str(error)
    return is_closed or isinstance(error, OSError)
