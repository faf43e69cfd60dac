"""Every case of the router, one after the other, as one page of results."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bench.router import needs
from bench.router.comparing import comparing
from bench.router.facts import facts
from bench.router.faults import faults
from bench.router.hung import hung
from bench.router.idle import idle
from bench.router.programs import CORES
from bench.router.section import Section
from bench.router.small import small
from bench.router.upload import QUICK_SIZE, upload

Case = Callable[[bool], Section]


def _small(case: str, is_quick: bool) -> Section:
    if is_quick:
        return small(case, rounds=2, seconds=1)
    return small(case, rounds=7, seconds=2)


def _hung(is_quick: bool) -> Section:
    return hung(rounds=2, seconds=1) if is_quick else hung(rounds=7, seconds=2)


def _faults(is_quick: bool) -> Section:
    return faults(rounds=2, seconds=1) if is_quick else faults(rounds=5, seconds=2)


def _upload(is_quick: bool) -> Section:
    return upload(rounds=1, size=QUICK_SIZE) if is_quick else upload(rounds=5)


def _idle(is_quick: bool) -> Section:
    return idle(clients=100 if is_quick else 1_000)


def _comparing(body: str, is_quick: bool) -> Section:
    if is_quick:
        return comparing(body, rounds=2, seconds=1)
    return comparing(body, rounds=7, seconds=2)


CASES: dict[str, Case] = {
    **{name: partial(_small, name) for name in ("one", "four", "post", "none")},
    **{name: partial(_comparing, name) for name in ("same", "differing")},
    "hung": _hung,
    "faults": _faults,
    "upload": _upload,
    "idle": _idle,
}


def router(chosen: Sequence[str] = (), *, is_quick: bool = False) -> Iterator[str]:
    """Run the chosen cases, or all; yield their results as Markdown."""
    unknown = [name for name in chosen if name not in CASES]
    if unknown:
        raise SystemExit(f"Unknown case {unknown[0]!r}; there are {', '.join(CASES)}.")
    needs.install()
    yield "\n".join(f"- {fact}" for fact in facts()) + "\n"
    for name in chosen or CASES:
        os.sched_setaffinity(0, CORES)
        yield CASES[name](is_quick).markdown()
