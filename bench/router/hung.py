"""A shadow that accepts and never answers, beside one that is well."""

import contextlib
import os
import sys
from collections.abc import Iterator

from bench.router.loads import Seen, arriving, row_of, saturated
from bench.router.peers import Peer, peer
from bench.router.programs import OTHERS, free_port, running
from bench.router.section import Section, Spread, judged, ratios
from bench.router.upstreams import Upstream, upstreams
from bench.router.wrk import wrk

LOAD = 0.4  # of what the router can do with a healthy shadow
MARK = 1.1
WELL, AGAIN, HUNG, SHORT = (
    "healthy shadow",
    "healthy shadow, once more (A/A)",
    "hung shadow",
    "hung shadow, deadline 1 s instead of 30 s",
)


@contextlib.contextmanager
def _routers() -> Iterator[tuple[dict[str, Peer], Upstream]]:
    """Yield a router for each kind of shadow, and main."""
    with contextlib.ExitStack() as stack:
        main, well = stack.enter_context(upstreams(2))
        port = free_port()
        stand_in = [sys.executable, "-m", "bench.router.stand_ins", "hung", str(port)]
        stack.enter_context(running(stand_in, port=port))
        found = {}
        for kind, shadow, deadline in (
            (WELL, well.address, 30.0),
            (AGAIN, well.address, 30.0),
            (HUNG, f"127.0.0.1:{port}", 30.0),
            (SHORT, f"127.0.0.1:{port}", 1.0),
        ):
            services = {"one": [main.address, shadow]}
            started = peer("ours", services, shadow_deadline=deadline)
            found[kind] = stack.enter_context(started)
        yield found, main


def hung(*, rounds: int, seconds: float) -> Section:
    """Compare at saturation, then at a fixed arrival rate."""
    os.sched_setaffinity(0, OTHERS)
    with _routers() as (routers, main):
        for each in routers.values():
            wrk(f"http://127.0.0.1:{each.port}/one/predict", 1)
        full: dict[str, list[Seen]] = {kind: [] for kind in routers}
        for _ in range(rounds):
            for kind, each in routers.items():
                full[kind].append(saturated(each, main, seconds))
        rate = LOAD * Spread([seen.rate for seen in full[WELL]]).median
        fixed: dict[str, list[Seen]] = {kind: [] for kind in routers}
        # Many short rounds: what else the machine does spoils some of them.
        for _ in range(rounds * 2):
            for kind, each in routers.items():
                fixed[kind].append(arriving(each, main, rate, seconds))
    rows = [row_of(kind, "saturation", seen) for kind, seen in full.items()]
    at_rate = f"{rate:.0f} requests/s"
    rows += [row_of(kind, at_rate, seen) for kind, seen in fixed.items()]
    notes = [*_notes("at saturation", full), *_notes(f"at {at_rate}", fixed)]
    return Section("GET, a shadow that accepts and never answers", rows, notes)


def _notes(where: str, seen: dict[str, list[Seen]]) -> Iterator[str]:
    well = seen[WELL]
    for kind in (AGAIN, HUNG, SHORT):
        rounds = seen[kind]
        cpu = ratios([each.cpu for each in rounds], [each.cpu for each in well])
        p99 = ratios([each.p99 for each in rounds], [each.p99 for each in well])
        if kind == AGAIN:
            texts = f"CPU {cpu.text()}; main's p99 {p99.text()}"
        else:
            texts = f"CPU {judged(cpu, MARK)}; main's p99 {judged(p99, MARK)}"
        yield f"{kind}, {where}, to the healthy one: {texts}."
