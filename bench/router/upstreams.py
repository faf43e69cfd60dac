"""The versions behind every proxy: nginx with a fixed answer, and counted."""

import contextlib
import http.client
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from bench.router.programs import found, free_port, running

ANSWER = '{"label": "ham", "probability": 0.9731, "model": "spam-filter"}'
SETTLED = 0.05  # seconds without a new request: nothing is under way

# Connections stay open, whoever is in front, or reconnecting would be measured.
CONFIG = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi; client_body_buffer_size 64k;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /count {{ stub_status; }}
    location / {{ default_type application/json; return 200 '{answer}'; }}
  }}
}}
"""


@attrs.define
class Upstream:
    """One version: its address, and how many requests it has received."""

    port: int
    _asked: int = 0

    @property
    def address(self) -> str:
        """Where it answers, without the scheme."""
        return f"127.0.0.1:{self.port}"

    def received(self) -> int:
        """Return how many requests came, those for these numbers left out."""
        return self._counts()[2] - self._asked

    def accepted(self) -> int:
        """Return how many connections came, those for these numbers left out."""
        return self._counts()[0] - self._asked

    def _counts(self) -> tuple[int, int, int]:
        """Return nginx's own: accepted, handled, requests."""
        connection = http.client.HTTPConnection(self.address, timeout=5)
        connection.request("GET", "/count")
        text = connection.getresponse().read().decode()
        connection.close()
        self._asked += 1
        numbers = re.search(r"\n (\d+) (\d+) (\d+)", text)
        assert numbers is not None  # noqa: S101 - nginx's own format
        return int(numbers[1]), int(numbers[2]), int(numbers[3])


@contextlib.contextmanager
def upstreams(count: int, answers: Sequence[str] = ()) -> Iterator[list[Upstream]]:
    """
    Yield so many versions, each a process of its own with one worker.

    Args:
        count: How many.
        answers: What they answer, in their order; the usual if there are none.
    """
    with contextlib.ExitStack() as stack:
        fleet = []
        for answer in answers or [ANSWER] * count:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            upstream = Upstream(free_port())
            config = Path(folder, "nginx.conf")
            config.write_text(
                CONFIG.format(folder=folder, port=upstream.port, answer=answer)
            )
            command = [
                found("nginx") or "nginx",
                "-p",
                folder,
                "-e",
                f"{folder}/error",
                "-c",
                str(config),
            ]
            stack.enter_context(running(command, port=upstream.port))
            fleet.append(upstream)
        yield fleet


def settled(fleet: Sequence[Upstream], patience: float = 5.0) -> list[int]:
    """Wait until no copies are under way any more; return what each received."""
    end = time.monotonic() + patience
    counts = [upstream.received() for upstream in fleet]
    while time.monotonic() < end:
        time.sleep(SETTLED)
        before, counts = counts, [upstream.received() for upstream in fleet]
        if counts == before:
            break
    return counts
