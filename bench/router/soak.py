"""
An hour of load, and what the router holds after it that it did not hold before.

``nox -s soak`` (60 minutes), ``nox -s soak -- 5``. One shadow is well, one accepts
and never answers, one is not there. Rounds of load alternate with pauses in which
everything under way ends; memory, descriptors and threads are read in the pauses.
Fails if they have grown.
"""

import os
import statistics
import sys
import time
from collections.abc import Iterator

import attrs
import psutil

from bench.router import needs
from bench.router.peers import Peer, peer
from bench.router.programs import OTHERS, free_port, running
from bench.router.upstreams import upstreams
from bench.router.wrk import wrk

MIB = 1024 * 1024
ROUND_S = 10.0
# More than the shadows' deadline and a pool's idle time: then nothing is held.
PAUSE_S = 6.0
DEADLINE_S = 1.0
# uvicorn holds a connection that was reset until this is over: a little for each.
KEEP_ALIVE_S = 5
# What an allocator does not give back comes in steps of about a MiB.
MAX_GROWTH = 8 * MIB


@attrs.frozen
class Held:
    """What the router's process holds while nothing is under way."""

    requests: int
    rss: int
    descriptors: int
    threads: int

    def __str__(self) -> str:
        return (
            f"{self.requests:>12,} requests  {self.rss / MIB:7.1f} MiB  "
            f"{self.descriptors:4} descriptors  {self.threads:3} threads"
        )


def soak(minutes: float) -> Iterator[Held]:
    """Load the router for so long; yield what it holds after each round."""
    os.sched_setaffinity(0, OTHERS)
    port = free_port()
    stand_in = [sys.executable, "-m", "bench.router.stand_ins", "hung", str(port)]
    with upstreams(2) as fleet, running(stand_in, port=port):
        main, well = (version.address for version in fleet)
        nobody = f"127.0.0.1:{free_port()}"
        services = {"one": [main, well, f"127.0.0.1:{port}", nobody]}
        with peer(
            "ours", services, shadow_deadline=DEADLINE_S, keep_alive=KEEP_ALIVE_S
        ) as router:
            yield from _rounds(router, minutes * 60)


def _rounds(router: Peer, seconds: float) -> Iterator[Held]:
    end = time.monotonic() + seconds
    requests = 0
    while time.monotonic() < end:
        load = wrk(f"http://127.0.0.1:{router.port}/one/predict", ROUND_S)
        if load.failed:
            raise RuntimeError(f"{load.failed} requests failed.")
        requests += load.requests
        time.sleep(PAUSE_S)
        yield _held(router, requests)


def _held(router: Peer, requests: int) -> Held:
    process = psutil.Process(router.program.pid)
    return Held(
        requests,
        process.memory_info().rss,
        process.num_fds(),
        process.num_threads(),
    )


def main(words: list[str]) -> int:
    """Print what is held after each round; return 1 if it has grown."""
    needs.install()
    minutes = float(words[0]) if words else 60.0
    seen: list[Held] = []
    for held in soak(minutes):
        seen.append(held)
        print(held, flush=True)
    # The first rounds fill pools, caches and the allocator's arenas.
    settled = seen[len(seen) // 5 :]
    part = max(1, len(settled) // 4)
    early, late = settled[:part], settled[-part:]
    growth = statistics.median(h.rss for h in late) - statistics.median(
        h.rss for h in early
    )
    descriptors = late[-1].descriptors - early[0].descriptors
    threads = late[-1].threads - early[0].threads
    print(
        f"after {seen[-1].requests:,} requests: {growth / MIB:+.1f} MiB (mark: "
        f"{MAX_GROWTH / MIB:.0f}), {descriptors:+} descriptors, {threads:+} threads"
    )
    return int(growth > MAX_GROWTH or descriptors > 0 or threads > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
