"""Main beside every kind of bad shadow: its latencies, and those of an A/A run."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

from bench.router.bad_shadows import KINDS
from bench.router.loads import Seen, arriving, row_of, saturated
from bench.router.peers import Peer, peer
from bench.router.programs import OTHERS, free_port, running
from bench.router.section import Section, Spread, ratios
from bench.router.upstreams import Upstream, upstreams
from bench.router.wrk import wrk

LOAD = 0.4  # of what the router can do with a healthy shadow
DEADLINE_S = 1.0
WELL, AGAIN = "healthy", "healthy, once more (A/A)"
REFUSING, STOPPED = "refuses connections", "stopped by SIGSTOP"


@contextlib.contextmanager
def _shadows(stack: contextlib.ExitStack, well: str) -> Iterator[dict[str, str]]:
    """Yield the address of each kind of shadow."""
    found = {WELL: well, AGAIN: well, REFUSING: f"127.0.0.1:{free_port()}"}
    for kind in (*KINDS, STOPPED):
        port = free_port()
        words = ["-m", "bench.router.bad_shadows", kind, str(port)]
        program = stack.enter_context(running([sys.executable, *words], port=port))
        if kind == STOPPED:
            os.kill(program.pid, signal.SIGSTOP)
        found[kind] = f"127.0.0.1:{port}"
    yield found


@contextlib.contextmanager
def _routers() -> Iterator[tuple[dict[str, Peer], Upstream]]:
    with contextlib.ExitStack() as stack:
        main, well = stack.enter_context(upstreams(2))
        shadows = stack.enter_context(_shadows(stack, well.address))
        found = {}
        for kind, shadow in shadows.items():
            services = {"one": [main.address, shadow]}
            started = peer("ours", services, shadow_deadline=DEADLINE_S)
            found[kind] = stack.enter_context(started)
        yield found, main


def faults(*, rounds: int, seconds: float) -> Section:
    """Compare at saturation, then at a fixed arrival rate."""
    os.sched_setaffinity(0, OTHERS)
    with _routers() as (routers, main):
        for each in routers.values():
            wrk(f"http://127.0.0.1:{each.port}/one/predict", 1)
        full: dict[str, list[Seen]] = {kind: [] for kind in routers}
        fixed: dict[str, list[Seen]] = {kind: [] for kind in routers}
        for _ in range(rounds):
            for kind, each in routers.items():
                full[kind].append(saturated(each, main, seconds))
        rate = LOAD * Spread([seen.rate for seen in full[WELL]]).median
        for _ in range(rounds):
            for kind, each in routers.items():
                fixed[kind].append(arriving(each, main, rate, seconds))
    at_rate = f"{rate:.0f} requests/s"
    rows = [row_of(kind, "saturation", seen) for kind, seen in full.items()]
    rows += [row_of(kind, at_rate, seen) for kind, seen in fixed.items()]
    notes = [*_notes("at saturation", full), *_notes(f"at {at_rate}", fixed)]
    return Section("GET, one shadow, in all ways bad", rows, notes)


def _notes(where: str, seen: dict[str, list[Seen]]) -> Iterator[str]:
    """Yield main's latencies over those beside a healthy shadow, round by round."""
    well = seen[WELL]
    for kind, rounds in seen.items():
        if kind != WELL:
            p50 = ratios([each.p50 for each in rounds], [each.p50 for each in well])
            p99 = ratios([each.p99 for each in rounds], [each.p99 for each in well])
            yield f"{kind}, {where}: main's p50 {p50.text()}, p99 {p99.text()}."
