"""Run a command with a container engine: ``python -m container_engine COMMAND...``."""

import argparse
import subprocess
import sys

from container_engine.engine import running_engine
from container_engine.errors import EngineUnavailableError


def main(arguments: list[str]) -> int:
    """Run the command of *arguments* and return its exit code; 2 without an engine."""
    parser = argparse.ArgumentParser(prog="python -m container_engine")
    parser.add_argument("--podman", action="store_true", help="start a private Podman")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if not options.command:
        parser.error("name a command to run")
    try:
        with running_engine(_say, podman=options.podman) as engine:
            _say(f"{engine.url}, base image {engine.base_image}")
            return subprocess.run(options.command, check=False).returncode
    except EngineUnavailableError as error:
        _say(str(error))
        return 2


def _say(line: str) -> None:
    sys.stderr.write(f"container engine: {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
