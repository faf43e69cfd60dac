"""Every case of the router, one after the other, as one page of results."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bench.router import needs
from bench.router.facts import facts
from bench.router.programs import CORES
from bench.router.section import Section
from bench.router.small import small

Case = Callable[[bool], Section]


def _small(case: str, is_quick: bool) -> Section:
    if is_quick:
        return small(case, rounds=2, seconds=1)
    return small(case, rounds=9, seconds=2)


CASES: dict[str, Case] = {
    name: partial(_small, name) for name in ("one", "four", "post", "none")
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
