"""What comparing answers costs: the router with it beside the router without."""

import contextlib
import json
import os

from bench.router.peers import peer
from bench.router.programs import OTHERS
from bench.router.section import Section, Spread, judged, ratios
from bench.router.small import Round, one_round
from bench.router.upstreams import ANSWER, upstreams

TITLES = {
    "same": "Comparing: GET, 1 shadow, the same 63 bytes",
    "differing": "Comparing: GET, 1 shadow, 2 KiB of JSON, one value differs",
}
MARKS = {"same": 1.10, "differing": 1.60}
NAMES = {"ours": "answers not compared", "comparing": "answers compared"}


def comparing(case: str, *, rounds: int, seconds: float) -> Section:
    """Measure the router with and without comparing, in turn."""
    with contextlib.ExitStack() as stack:
        os.sched_setaffinity(0, OTHERS)  # wrk inherits it
        fleet = stack.enter_context(upstreams(2, _answers(case)))
        services = {case: [upstream.address for upstream in fleet]}
        started = [stack.enter_context(peer(name, services)) for name in NAMES]
        for each in started:
            one_round(each, case, fleet, 1, None)  # fills pools and caches
        seen: dict[str, list[Round]] = {name: [] for name in NAMES}
        for number in range(rounds):
            for each in started[:: -1 if number % 2 else 1]:
                seen[each.name].append(one_round(each, case, fleet, seconds, None))
    rows = [
        {
            "router": NAMES[name],
            "CPU µs/request": Spread([each.cpu for each in done]).text(0, 1e6),
            "requests/s": Spread([each.load.rate for each in done]).text(0),
            "p99 ms": Spread([each.load.p99 for each in done]).text(2, 1e3),
        }
        for name, done in seen.items()
    ]
    cost = ratios(*([each.cpu for each in seen[n]] for n in ("comparing", "ours")))
    note = f"CPU per request, compared to not: {judged(cost, MARKS[case])}."
    return Section(TITLES[case], rows, [note])


def _answers(case: str) -> list[str]:
    """Return what main and the shadow answer."""
    if case == "same":
        return [ANSWER, ANSWER]
    rows = [{"id": n, "label": "ham", "probability": n / 64} for n in range(43)]
    other = [*rows[:-1], {**rows[-1], "probability": 0.5}]
    return [json.dumps(rows), json.dumps(other)]
