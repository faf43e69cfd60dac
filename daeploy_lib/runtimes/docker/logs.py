"""Reads a container's log over a connection of its own."""

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import requests
import urllib3.exceptions

from daeploy_lib import interruption
from daeploy_lib.domain.service import LogLine
from daeploy_lib.errors import DeployError
from daeploy_lib.runtimes.docker.client import (
    CONNECT_TIMEOUT_S,
    SLOW_TIMEOUT_S,
    Engine,
)
from daeploy_lib.runtimes.docker.failures import Failing, mapped
from daeploy_lib.runtimes.docker.hanging_up import hang_up
from daeploy_lib.runtimes.docker.log_lines import (
    HEADER_BYTES,
    LineReader,
    frame_header,
)

_NOT_FOUND = 404


def read_log(
    engine: Engine,
    container: str,
    *,
    tail: int | None,
    follow: bool,
    since: datetime | None,
) -> Iterator[LogLine]:
    """
    Yield lines, oldest first; closing the iterator frees the connection.

    Following ends when the container ends or is removed.

    Raises:
        DeployError: If the container is gone already.
    """
    if tail and not follow and engine.is_podman():
        # Podman counts pieces of lines, and loses ends between them.
        lines = _read(engine, container, _parameters(None, since, follow=False))
        yield from deque(lines, maxlen=tail)
    else:
        yield from _read(engine, container, _parameters(tail, since, follow=follow))


def _read(
    engine: Engine, container: str, parameters: dict[str, str]
) -> Iterator[LogLine]:
    is_endless = parameters["follow"] == "1"
    with mapped(Failing(engine.endpoint, "logs")), ExitStack() as stack:
        client = engine.stream()
        stack.callback(client.close)
        # The client's own call does not keep the streams apart.
        response = client.get(
            f"{client.base_url}/v{client.api_version}/containers/{container}/logs",
            params=parameters,
            stream=True,
            timeout=(CONNECT_TIMEOUT_S, None if is_endless else SLOW_TIMEOUT_S),
        )
        stack.callback(response.close)
        _check(response, container)
        reader = LineReader()
        with interruption.ended_by(lambda: hang_up([response])):
            for stream, frame in _frames(response):
                yield from reader.read(stream, frame)
        yield from reader.end()


def _parameters(
    tail: int | None, since: datetime | None, *, follow: bool
) -> dict[str, str]:
    parameters = {
        "stdout": "1",
        "stderr": "1",
        "timestamps": "1",
        "follow": "1" if follow else "0",
        "tail": "all" if tail is None else str(tail),
    }
    if since is not None:
        # Seconds and nanoseconds as text: a float is too coarse.
        moment = since.astimezone(UTC)
        parameters["since"] = f"{int(moment.timestamp())}.{moment.microsecond:06d}000"
    return parameters


def _check(response: requests.Response, container: str) -> None:
    if response.status_code == requests.codes.ok:
        return
    words = response.text.strip()
    if response.status_code == _NOT_FOUND:
        words = f"container {container[:12]} is gone"
    raise DeployError(f"There is no log to read: {words}.", stage="logs")


def _frames(response: requests.Response) -> Iterator[tuple[int, bytes]]:
    read = response.raw.read
    try:
        while len(header := read(HEADER_BYTES)) == HEADER_BYTES:
            stream, length = frame_header(header)
            yield stream, read(length)
    except (urllib3.exceptions.ProtocolError, AttributeError):
        # The engine has ended in the middle: what came until then is all.
        return
