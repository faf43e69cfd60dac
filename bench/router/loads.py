"""One router under load, as fast as it goes or at a fixed arrival rate."""

import json
import subprocess
import sys

import attrs

from bench.router.peers import Peer
from bench.router.section import Spread
from bench.router.upstreams import Upstream, settled
from bench.router.wrk import wrk


@attrs.frozen
class Seen:
    """
    One round.

    Attributes:
        cpu: Seconds of the router's processor time for each request.
        rate: Requests per second.
        p50: Seconds.
        p99: Seconds.
    """

    cpu: float
    rate: float
    p50: float
    p99: float


def saturated(each: Peer, main: Upstream, seconds: float) -> Seen:
    """Load it as fast as it goes."""
    before, cpu = settled([main])[0], each.program.cpu_seconds()
    load = wrk(f"http://127.0.0.1:{each.port}/one/predict", seconds)
    count = settled([main])[0] - before
    cpu = each.program.cpu_seconds() - cpu
    return Seen(cpu / count, load.rate, load.p50, load.p99)


def arriving(each: Peer, main: Upstream, rate: float, seconds: float) -> Seen:
    """Send so many requests a second, whether the earlier ones were answered or not."""
    before, cpu = settled([main])[0], each.program.cpu_seconds()
    words = [str(each.port), "/one/predict", str(rate), str(seconds)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.router.open_loop", *words],
        check=True,
        capture_output=True,
        timeout=seconds + 30,
    )
    figures = json.loads(done.stdout)
    count = settled([main])[0] - before
    cpu = each.program.cpu_seconds() - cpu
    return Seen(cpu / count, rate, figures["p50"], figures["p99"])


def row_of(kind: str, at: str, seen: list[Seen]) -> dict[str, str]:
    """Return a line of the table."""
    return {
        "shadow": kind,
        "at": at,
        "CPU µs/request": Spread([each.cpu for each in seen]).text(0, 1e6),
        "requests/s": Spread([each.rate for each in seen]).text(0),
        "p50 ms": Spread([each.p50 for each in seen]).text(2, 1e3),
        "p99 ms": Spread([each.p99 for each in seen]).text(2, 1e3),
    }
