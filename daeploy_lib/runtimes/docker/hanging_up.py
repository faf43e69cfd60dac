"""Ending what the engine sends, from another thread than the one that reads it."""

import contextlib
import socket
from collections.abc import Iterable

import requests


def hang_up(responses: Iterable[requests.Response]) -> None:
    """
    End the connections of some answers: whoever reads one gets its end or an error.

    Closing the answer instead would wait for the reader.
    """
    for response in list(responses):
        found = _socket(response)
        if found is not None:
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)


def _socket(response: requests.Response) -> socket.socket | None:
    connection = getattr(response.raw, "connection", None)
    found = getattr(connection, "sock", None)
    if found is None:
        # The connection has given it away where the answer ends with it.
        stream = getattr(getattr(response.raw, "_fp", None), "fp", None)
        found = getattr(getattr(stream, "raw", None), "_sock", None)
    return found if isinstance(found, socket.socket) else None
