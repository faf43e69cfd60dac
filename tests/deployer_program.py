"""
A Deployer in a process of its own, told what to do line by line.

Run as a program it is that process; imported it gives ``DeployerProcess``, the
test's end of it. A command with a gate waits there, so that many processes can
be let go at one moment: opening a FIFO blocks until somebody opens its other end.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import uvicorn

from daeploy_lib import DaeployError, Deployer, Event, ShadowRouter


class Program:
    """What such a process can do; each method is one command."""

    def __init__(self, project: str, state: str) -> None:
        self.deployer = Deployer(project=project, state=state)

    def deploy(self, name: str, version: str, source: str, greeting: str) -> Any:
        """Deploy; return whether it became main, or the error, and the stages."""
        stages: list[str] = []

        def keep(event: Event) -> None:
            stages.append(event.stage)

        try:
            service = self.deployer.deploy(
                name,
                version,
                source,
                environment={"GREETING": greeting},
                on_event=keep,
            )
        except DaeployError as error:
            return [type(error).__name__, stages]
        return [service.is_main, stages]

    def assign(self, name: str, version: str) -> tuple[float, float]:
        """Assign; return when that began and when it had returned."""
        began = time.monotonic()
        self.deployer.assign(name, version)
        return began, time.monotonic()

    def kill(self, name: str) -> list[str]:
        """Kill all versions of a name; return those that went by this call."""
        return [service.version for service in self.deployer.kill(name)]

    def cleanup(self) -> int:
        """Clean up; return how much was removed."""
        return len(self.deployer.cleanup())

    def serve(self, descriptor: int) -> None:
        """Route what comes in at a listening socket until the process is killed."""
        listener = socket.socket(fileno=descriptor)
        config = uvicorn.Config(ShadowRouter(self.deployer), log_level="warning")
        uvicorn.Server(config).run([listener])

    def get(self, url: str) -> Any:
        """Return a JSON answer."""
        return httpx.get(url, trust_env=False).json()


class DeployerProcess:
    """One such process, as the test sees it."""

    def __init__(
        self, project: str, state: Path, descriptors: Sequence[int] = ()
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, project, os.fspath(state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=descriptors,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def send(self, verb: str, *args: object, gate: Path | None = None) -> None:
        """Give a command; with a gate, return when the process stands before it."""
        assert self.process.stdin
        command = [verb, args, None if gate is None else os.fspath(gate)]
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        if gate is not None:
            assert self.answer() == "ready"

    def answer(self) -> Any:
        """Return what the last command returned."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"the process ended with {self.process.wait()}"
        return json.loads(line)

    def ask(self, verb: str, *args: object) -> Any:
        """Give a command and return its answer."""
        self.send(verb, *args)
        return self.answer()


@contextmanager
def deployers(project: str, state: Path, count: int) -> Iterator[list[DeployerProcess]]:
    """Give that many processes with one project and one state directory."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(DeployerProcess(project, state)) for _ in range(count)
        ]


def together(
    gate: Path, processes: Sequence[DeployerProcess], *commands: Sequence[object]
) -> list[Any]:
    """Have each process do its command, all let go at one moment; return answers."""
    if not gate.exists():
        os.mkfifo(gate)
    for process, (verb, *args) in zip(processes, commands, strict=True):
        process.send(str(verb), *args, gate=gate)
    with gate.open("wb"):
        return [process.answer() for process in processes]


def _serve(program: Program) -> None:
    def say(value: object) -> None:
        print(json.dumps(value), flush=True)  # noqa: T201 - it is the protocol

    for line in sys.stdin:
        verb, args, gate = json.loads(line)
        step: Callable[..., object] = getattr(program, verb)
        if gate is not None:
            say("ready")
            with Path(gate).open("rb"):
                pass
        say(step(*args))


if __name__ == "__main__":
    _serve(Program(*sys.argv[1:]))
