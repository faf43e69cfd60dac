"""
A deployment in a process of its own, for tests that interrupt it.

Run as a program: ``deploying_process.py URL PROJECT STATE KIND BASE_IMAGE``; each
event of the deployment is a line of its output.
"""

import os
import signal
import sys
from pathlib import Path

from daeploy_lib.domain.spec import Readiness, Spec
from daeploy_lib.lifecycle.deploying import deploy
from daeploy_lib.lifecycle.project import open_project
from daeploy_lib.runtimes.base import Event
from daeploy_lib.runtimes.docker import DockerRuntime
from runtime_contexts import ANSWERS, SILENT, Files, on_base

# Distinct words, so that its step's container can be told from others.
SLOW_STEP = "sleep 79"


def source_of(kind: str, base_image: str) -> Files:
    """Return what is deployed: slow to build, never ready, or a plain service."""
    if kind == "slow build":
        return on_base(base_image, ANSWERS, f"RUN echo building; {SLOW_STEP}")
    return on_base(base_image, SILENT if kind == "never ready" else ANSWERS)


def environment() -> dict[str, str]:
    """Return what the program needs: a safe path leaves its folder out."""
    folder = str(Path(__file__).parent)
    paths = [folder, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def main(url: str, project: str, state: str, kind: str, base_image: str) -> None:
    """Deploy, and say so."""
    # A shell's background jobs, such as a test run, ignore Ctrl-C and pass that on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    runtime = DockerRuntime(url)
    spec = Spec(project, "hello", "1.0.0", readiness=Readiness(timeout=60))
    opened = open_project(project, Path(state), runtime)
    deploy(opened, spec, source_of(kind, base_image), _say)


def _say(event: Event) -> None:
    sys.stdout.write(f"{event.stage} {event.text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
