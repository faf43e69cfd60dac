"""
Requests at a fixed arrival rate, whether the earlier ones were answered or not.

wrk sends the next request when an answer came, so what stalls the proxy also stops
the questions. Here arrivals are drawn once (Poisson, the same for every proxy) and a
request's time counts from when it should have been sent.

``python -m bench.router.open_loop PORT PATH RATE SECONDS`` prints JSON.
"""

import json
import random
import select
import socket
import sys
import time
from collections import deque

CONNECTIONS = 64
SEED = 7
PATIENCE = 5.0  # seconds for the last answers


class Client:
    """One keep-alive connection; every answer has the length of the first."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._got = 0
        self._whole = 0
        self._first = b""

    def is_answered(self) -> bool:
        """Read what came; tell whether the answer is whole."""
        part = self.sock.recv(65536)
        if not part:
            raise ConnectionError("The proxy closed a connection.")
        self._got += len(part)
        if not self._whole:
            self._first += part
            self._measure()
        if not self._whole or self._got < self._whole:
            return False
        self._got -= self._whole
        return True

    def _measure(self) -> None:
        head, end, _ = self._first.partition(b"\r\n\r\n")
        if end:
            if not head.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(f"The proxy said {head[:40]!r}.")
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            self._whole = len(head) + 4 + int(length)


def arrivals(rate: float, seconds: float) -> deque[float]:
    """Return the times, in seconds, at which requests are due."""
    draw = random.Random(SEED)  # noqa: S311 - arrivals, no secrets
    times: deque[float] = deque()
    at = 0.0
    while at < seconds:
        at += draw.expovariate(rate)
        times.append(at)
    return times


def load(port: int, path: str, rate: float, seconds: float) -> list[float]:
    """Send everything when it is due; return each request's seconds, sorted."""
    clients = {c.sock: c for c in (Client(port) for _ in range(CONNECTIONS))}
    idle = list(clients.values())
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    due = arrivals(rate, seconds)
    count = len(due)
    took: list[float] = []
    begin = time.perf_counter()
    while len(took) < count:
        now = time.perf_counter() - begin
        if now > seconds + PATIENCE:
            raise TimeoutError(f"{len(took)} of {count} requests were answered.")
        while idle and due and due[0] <= now:
            client = idle.pop()
            client.due = due.popleft()
            client.sock.sendall(request)
        # select, for its timeout is in microseconds; epoll's is in milliseconds.
        wait = max(due[0] - now, 0) if due and idle else 0.1
        for sock in select.select(list(clients), [], [], wait)[0]:
            client = clients[sock]
            if client.is_answered():
                took.append(time.perf_counter() - begin - client.due)
                idle.append(client)
    for sock in clients:
        sock.close()
    return sorted(took)


if __name__ == "__main__":
    TIMES = load(int(sys.argv[1]), sys.argv[2], *map(float, sys.argv[3:5]))
    FIGURES = {
        "requests": len(TIMES),
        "p50": TIMES[len(TIMES) // 2],
        "p99": TIMES[len(TIMES) * 99 // 100],
    }
    print(json.dumps(FIGURES))
