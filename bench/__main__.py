"""Run every benchmark and print a line for each mark: ``nox -s bench``."""

import sys

from bench import registry, verbs

BENCHMARKS = {
    "notice": registry.notice,
    "deploy": verbs.deploy,
    "ls": verbs.ls,
    "assign": verbs.assign,
}


def main(chosen: list[str]) -> None:
    """Run the chosen benchmarks, or all."""
    for name in chosen or BENCHMARKS:
        for line in BENCHMARKS[name]():
            print(f"{name:<8} {line}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
