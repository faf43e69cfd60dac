"""Small requests at saturation: what each proxy pays for one, rounds interleaved."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from bench.router.peers import Peer, missing, peer
from bench.router.programs import OTHERS
from bench.router.section import Section, Spread, judged, ratios
from bench.router.sinks import copies_whole
from bench.router.upstreams import Upstream, settled, upstreams
from bench.router.wrk import Load, wrk

PEERS = ("ours", "envoy", "traefik", "nginx")
# Only in the first case's table: what the server in front costs, and what the
# router one would write oneself does.
ALSO = ("starlette", "granian", "plain")
NAMES = {
    "ours": "daeploy_lib, uvicorn",
    "envoy": "Envoy",
    "traefik": "Traefik",
    "nginx": "nginx mirror",
    "starlette": "daeploy_lib in Starlette, uvicorn",
    "granian": "daeploy_lib, granian",
    "plain": "httpx router of ten lines, uvicorn",
}
TITLES = {
    "one": "GET, 1 shadow",
    "four": "GET, 4 shadows",
    "post": "POST 1 KiB JSON, 1 shadow",
    "none": "GET, no shadow",
}
SHADOWS = {"one": 1, "four": 4, "post": 1, "none": 0}
MARKS = {
    "one": {"envoy": 0.95, "traefik": 0.8},
    "four": {"envoy": 0.75, "traefik": 0.65},
    "post": {"envoy": 0.95, "traefik": 0.75},
    "none": {"envoy": 1.05},
}
ALSO_ROUNDS = 3

POST = """
wrk.method = "POST"
wrk.body = {body}
wrk.headers["content-type"] = "application/json"
"""


@attrs.frozen
class Round:
    """
    One proxy under load once.

    Attributes:
        load: What wrk saw.
        cpu: Seconds of the proxy's processor time for each request.
        copies: Fraction of the requests that reached each shadow, the least.
        dialled: Connections that main had to accept.
    """

    load: Load
    cpu: float
    copies: float
    dialled: int


def small(case: str, *, rounds: int, seconds: float) -> Section:
    """Measure every proxy that is installed; the rest is named."""
    wanted = PEERS + (ALSO if case == "one" else ())
    absent = {name: why for name in wanted if (why := missing(name))}
    names = [name for name in wanted if name not in absent]
    with contextlib.ExitStack() as stack:
        os.sched_setaffinity(0, OTHERS)  # wrk inherits it
        fleet = stack.enter_context(upstreams(SHADOWS[case] + 1))
        services = {case: [upstream.address for upstream in fleet]}
        script = stack.enter_context(_script(case))
        started = [stack.enter_context(peer(name, services)) for name in names]
        for each in started:
            one_round(each, case, fleet, 1, script)  # fills pools and caches
        seen: dict[str, list[Round]] = {name: [] for name in names}
        for number in range(rounds):
            start = number % len(started)
            for each in started[start:] + started[:start]:
                if each.name not in ALSO or number < ALSO_ROUNDS:
                    done = one_round(each, case, fleet, seconds, script)
                    seen[each.name].append(done)
    notes = [*_notes(case, seen)]
    if case == "post":
        cut = [NAMES[name] for name in names if not copies_whole(name)]
        notes.append(f"Copies that were not whole: {', '.join(cut) or 'none'}.")
    notes += [f"{NAMES[name]}: not measured, {why}." for name, why in absent.items()]
    rows = [_row(name, done, is_alone=not SHADOWS[case]) for name, done in seen.items()]
    return Section(TITLES[case], rows, notes)


@contextlib.contextmanager
def _script(case: str) -> Iterator[Path | None]:
    if case != "post":
        yield None
        return
    row = {"text": "x" * 990, "id": 1234567}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "post.lua")
        body = json.dumps(row).ljust(1024)
        script.write_text(POST.format(body=json.dumps(body)))
        yield script


def one_round(
    each: Peer,
    case: str,
    fleet: Sequence[Upstream],
    seconds: float,
    script: Path | None,
) -> Round:
    """Load one proxy for a while, and wait until no copy is under way."""
    before, dialled = settled(fleet), fleet[0].accepted()
    cpu = each.program.cpu_seconds()
    load = wrk(f"http://127.0.0.1:{each.port}/{case}/predict", seconds, script)
    after = settled(fleet)
    cpu = each.program.cpu_seconds() - cpu
    main, *shadows = [b - a for a, b in zip(before, after, strict=True)]
    if not load.requests or main < load.requests:
        raise RuntimeError(f"{each.name}: {load.requests} answers, {main} asked for")
    copies = min(shadows, default=main) / main
    return Round(load, cpu / main, copies, fleet[0].accepted() - dialled)


def _row(name: str, done: Sequence[Round], *, is_alone: bool) -> dict[str, str]:
    failed = sum(each.load.failed for each in done)
    return {
        "proxy": NAMES[name],
        "CPU µs/request": Spread([each.cpu for each in done]).text(0, 1e6),
        "requests/s": Spread([each.load.rate for each in done]).text(0),
        "p50 ms": Spread([each.load.p50 for each in done]).text(2, 1e3),
        "p99 ms": Spread([each.load.p99 for each in done]).text(2, 1e3),
        "copies": "" if is_alone else f"{min(e.copies for e in done):.2%}",
        "failed": str(failed),
        "dialled": str(max(each.dialled for each in done)),
    }


def _notes(case: str, seen: dict[str, list[Round]]) -> Iterator[str]:
    ours = [each.cpu for each in seen["ours"]]
    for name in PEERS[1:]:
        if name not in seen:
            continue
        ratio = ratios(ours, [each.cpu for each in seen[name]])
        mark = MARKS[case].get(name)
        text = ratio.text() if mark is None else judged(ratio, mark)
        yield f"CPU per request, ours to {NAMES[name]}'s: {text}."
