"""One large upload with two shadows, one of them slow, beside none."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator

import attrs

from bench.router.peers import Peer, peer
from bench.router.programs import CORES
from bench.router.section import Section, Spread, judged, ratios
from bench.router.sinks import received, sink

SIZE = 1 << 30
QUICK_SIZE = 1 << 27
PART = memoryview(bytes(1 << 20))
SLOW = 10 * (1 << 20)  # bytes a second
MIB = 1 << 20
MARK = 0.6
MARK_MIB = 64


@attrs.frozen
class Seen:
    """
    One upload.

    Attributes:
        rate: Bytes per second.
        growth: How much more memory the router held at its peak, in bytes.
        shadow: Fraction of the bytes that the healthy shadow got.
        slow: Fraction of the bytes that the slow shadow got.
    """

    rate: float
    growth: int
    shadow: float = 0.0
    slow: float = 0.0


def upload(*, rounds: int, size: int = SIZE) -> Section:
    """Upload in turn without and with shadows; both routers use every core."""
    os.sched_setaffinity(0, CORES)
    with contextlib.ExitStack() as stack:
        main, shadow, slow = (stack.enter_context(sink(rate)) for rate in (0, 0, SLOW))
        address = "127.0.0.1:{}".format
        services = {
            "alone": [address(main)],
            "copied": [address(main), address(shadow), address(slow)],
        }
        routers = {
            name: stack.enter_context(peer("ours", {name: at}, cores=CORES))
            for name, at in services.items()
        }
        seen: dict[str, list[Seen]] = {name: [] for name in routers}
        for name, each in routers.items():
            _one(each, name, size // 16, shadow, slow)
        for _ in range(rounds):
            for name, each in routers.items():
                seen[name].append(_one(each, name, size, shadow, slow))
    kinds = {"alone": "no shadow", "copied": "2 shadows, one reads 10 MiB/s"}
    rows = [_row(kinds[name], done) for name, done in seen.items()]
    return Section(f"Upload of {size // MIB} MiB", rows, [*_notes(seen)])


def _one(each: Peer, name: str, size: int, shadow: int, slow: int) -> Seen:
    each.program.forget_peak()
    before = each.program.rss_bytes()
    begin = time.perf_counter()
    _send(each.port, name, size)
    took = time.perf_counter() - begin
    growth = each.program.peak_bytes() - before
    if name == "alone":
        return Seen(size / took, growth)
    # What is under way to the healthy shadow arrives within a moment.
    end = time.monotonic() + 2
    while received(shadow) < size and time.monotonic() < end:
        time.sleep(0.05)
    return Seen(size / took, growth, received(shadow) / size, received(slow) / size)


def _send(port: int, name: str, size: int) -> None:
    head = f"POST /{name}/predict HTTP/1.1\r\nHost: bench\r\nContent-Length: {size}"
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(head.encode() + b"\r\n\r\n")
        for _ in range(size // len(PART)):
            sock.sendall(PART)
        sock.settimeout(60)
        answer = sock.recv(65536)
        while not answer.endswith(b"%d" % size):
            part = sock.recv(65536)
            if not part:
                raise ConnectionError(f"The upload was answered with {answer!r}.")
            answer += part


def _row(kind: str, seen: list[Seen]) -> dict[str, str]:
    is_alone = kind == "no shadow"
    return {
        "shadows": kind,
        "MiB/s": Spread([each.rate for each in seen]).text(0, 1 / MIB),
        "peak growth MiB": Spread([each.growth for each in seen]).text(1, 1 / MIB),
        "healthy shadow got": "" if is_alone else f"{min(s.shadow for s in seen):.1%}",
        "slow shadow got": "" if is_alone else f"{max(s.slow for s in seen):.1%}",
    }


def _notes(seen: dict[str, list[Seen]]) -> Iterator[str]:
    alone, copied = seen["alone"], seen["copied"]
    ratio = ratios([each.rate for each in copied], [each.rate for each in alone])
    yield f"Speed with shadows to without: {judged(ratio, MARK, at_least=True)}."
    growth = max(each.growth for each in copied) / MIB
    verdict = "reached" if growth <= MARK_MIB else "NOT reached"
    yield f"Peak memory growth: {growth:.1f} MiB; mark: {MARK_MIB} MiB, {verdict}."
