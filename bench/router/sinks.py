"""Versions that read uploads, and whether every proxy's copies are whole."""

import contextlib
import http.client
import sys
import time
from collections.abc import Iterator

from bench.router.peers import peer
from bench.router.programs import CORES, free_port, running

SIZE = 1024
PATIENCE = 5.0  # seconds for a copy to arrive


@contextlib.contextmanager
def sink(rate: float = 0) -> Iterator[int]:
    """Yield the port of a version that reads so many bytes a second; 0: all."""
    port = free_port()
    words = ["bench.router.stand_ins", "sink", str(port), str(rate)]
    command = [sys.executable, "-m", *words]
    with running(command, port=port, cores=CORES):
        yield port


def received(port: int) -> int:
    """Return how many bytes of the last upload came there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/count")
    count = int(connection.getresponse().read())
    connection.close()
    return count


def copies_whole(name: str) -> bool:
    """Send one POST through a proxy; tell whether main and shadow got all of it."""
    with sink() as main, sink() as shadow:
        services = {"post": [f"127.0.0.1:{main}", f"127.0.0.1:{shadow}"]}
        with peer(name, services) as each:
            connection = http.client.HTTPConnection("127.0.0.1", each.port, timeout=5)
            connection.request("POST", "/post/predict", bytes(SIZE))
            connection.getresponse().read()
            connection.close()
            end = time.monotonic() + PATIENCE
            while received(shadow) < SIZE and time.monotonic() < end:
                time.sleep(0.05)
            return received(main) == received(shadow) == SIZE
