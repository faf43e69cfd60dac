"""
Run every benchmark and print its marks: ``nox -s bench``.

``nox -s bench -- deploy ls`` runs two of them, ``nox -s bench -- router one four``
two cases of the router's; ``--quick`` shows in a minute that everything works, and
its figures mean nothing; ``--write FILE`` puts the router's results into a page,
once all of them are there.
"""

import argparse
import signal
from pathlib import Path

RESULTS = "<!-- results: everything below is written by the benchmark -->\n"
VERBS = ("notice", "deploy", "ls", "assign")


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("chosen", nargs="*", help=", ".join([*VERBS, "router"]))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", type=Path, metavar="FILE")
    words = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    if "router" in words.chosen:
        before, cases = _split(words.chosen)
    else:
        before, cases = words.chosen, []
    if words.write is not None and (cases or words.quick):
        parser.error("--write replaces the whole page: not with --quick, nor cases.")
    for name in before if words.chosen else VERBS:
        _verb(name)
    if not words.chosen or "router" in words.chosen:
        _router(cases, is_quick=words.quick, page=words.write)


def _stop(number: int, frame: object) -> None:
    """End what was started; a second signal must not cut that short."""
    del frame
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _split(chosen: list[str]) -> tuple[list[str], list[str]]:
    place = chosen.index("router")
    return chosen[:place], chosen[place + 1 :]


def _verb(name: str) -> None:
    from bench import registry, verbs  # noqa: PLC0415 - need an engine's client

    known = {
        "notice": registry.notice,
        "deploy": verbs.deploy,
        "ls": verbs.ls,
        "assign": verbs.assign,
    }
    if name not in known:
        raise SystemExit(f"Unknown benchmark {name!r}.")
    for line in known[name]():
        print(f"{name:<8} {line}", flush=True)


def _router(cases: list[str], *, is_quick: bool, page: Path | None) -> None:
    from bench.router.run import router  # noqa: PLC0415 - Linux only

    parts = []
    for part in router(cases, is_quick=is_quick):
        print(part, flush=True)
        parts.append(part)
    if page is not None:
        above, marker, _ = page.read_text().partition(RESULTS)
        if not marker:
            raise SystemExit(f"{page} has no line {RESULTS!r}.")
        page.write_text(above + marker + "\n" + "\n".join(parts))


if __name__ == "__main__":
    main()
