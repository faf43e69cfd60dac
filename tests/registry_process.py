"""
The registry in a process of its own, told what to do line by line.

Run as a program it is that process; imported it gives ``RegistryProcess``, the
test's end of it. A command with a gate waits there, so that many processes can
be let go at one moment: opening a FIFO blocks until somebody opens its other end.
"""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import DaeployError
from daeploy_lib.registry.inflight import InFlight, in_flight
from daeploy_lib.registry.reader import RegistryReader
from daeploy_lib.registry.records import Deployed
from daeploy_lib.registry.registry import Registry, Reservation
from daeploy_lib.registry.state import DATABASE

PROJECT = "races"


def open_registry(state: Path, project: str = PROJECT) -> Registry:
    """Return a registry that is made and knows that nothing runs yet."""
    registry = Registry(state, project)
    registry.prepare()
    registry.adopt([])
    return registry


def deployed(port: int = 9001) -> Deployed:
    """Return what a runtime would have made, at an address of its own."""
    return Deployed(
        instance=f"instance-{port}",
        port=port,
        endpoints=(f"http://127.0.0.1:{port}",),
        image=f"sha256:{port}",
    )


def deploy(registry: Registry, name: str, version: str, port: int = 9001) -> bool:
    """Reserve and publish; return whether it became main."""
    reservation = Reservation.of(Spec(PROJECT, name, version))
    registry.reserve(reservation)
    return registry.publish(reservation, deployed(port))


class Program:
    """What such a process can do; each method is one command."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.registry = Registry(state, PROJECT)
        self.reader = RegistryReader(state, PROJECT)
        self.counts = InFlight(state)
        self.kept: dict[str, Reservation] = {}
        self.held: sqlite3.Connection | None = None

    def prepare(self) -> bool:
        """Make or check the file."""
        return self.registry.prepare()

    def adopt(self) -> None:
        """Say that nothing runs."""
        self.registry.adopt([])

    def reserve(self, name: str, version: str) -> bool:
        """Take a version, and keep the reservation."""
        reservation = Reservation.of(Spec(PROJECT, name, version))
        self.kept[f"{name} {version}"] = reservation
        return self.registry.reserve(reservation)

    def publish(self, name: str, version: str, port: int = 9001) -> bool:
        """Publish the reservation that was kept."""
        return self.registry.publish(self.kept[f"{name} {version}"], deployed(port))

    def deploy(self, name: str, version: str, port: int = 9001) -> bool:
        """Reserve and publish."""
        return deploy(self.registry, name, version, port)

    def assign(
        self, name: str, version: str, expected: str | None = None
    ) -> str | None:
        """Make a version main; return the one before."""
        return self.registry.assign(name, version, expected=expected)

    def retire(self, name: str, version: str) -> str:
        """Unroute a version."""
        return self.registry.retire(name, version).version

    def forget(self, name: str, version: str) -> None:
        """Delete a retired version."""
        self.registry.forget(name, version)

    def main(self, name: str) -> str | None:
        """Return the main that a router here would use; "locked" if it must wait."""
        routes = self.reader.poll()
        if routes is None:
            return "locked"
        return routes[name].main if name in routes else None

    def enter(self, key: str) -> int:
        """Count a request; return its slot."""
        return self.counts.enter(key)

    def leave(self, slot: int) -> None:
        """Count it as ended."""
        self.counts.leave(slot)

    def in_flight(self, key: str) -> int:
        """Return how many requests are in flight anywhere."""
        return in_flight(self.state, key)

    def hold(self, change: str | None = None) -> None:
        """Take SQLite's exclusive lock, perhaps change something, and keep it."""
        self.held = sqlite3.connect(self.state / DATABASE, isolation_level=None)
        self.held.execute("BEGIN EXCLUSIVE")
        if change:
            self.held.execute(change)

    def drop(self) -> None:
        """Give that lock back, without the change."""
        if self.held is not None:
            self.held.rollback()
            self.held.close()


class RefusedError(Exception):
    """The process's command raised; the class's name is the first argument."""


class RegistryProcess:
    """One such process, as the test sees it."""

    def __init__(self, state: Path, prefix: Sequence[str] = ()) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, __file__, os.fspath(state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
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
            assert self._line() == "ready"

    def answer(self) -> Any:
        """Return what the last command returned; raise what it raised."""
        ok, value = self._line()
        if not ok:
            raise RefusedError(*value)
        return value

    def ask(self, verb: str, *args: object) -> Any:
        """Give a command and return its answer."""
        self.send(verb, *args)
        return self.answer()

    def _line(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"the process ended with {self.process.wait()}"
        return json.loads(line)


@contextmanager
def processes(state: Path, count: int) -> Iterator[list[RegistryProcess]]:
    """Give that many processes on one state directory."""
    with ExitStack() as stack:
        yield [stack.enter_context(RegistryProcess(state)) for _ in range(count)]


def together(
    gate: Path, ready: Sequence[RegistryProcess], commands: Sequence[Sequence[object]]
) -> list[Any]:
    """
    Have each process do its command, all let go at one moment.

    Returns:
        For each its answer, or its ``RefusedError``.
    """
    if not gate.exists():
        os.mkfifo(gate)
    for process, (verb, *args) in zip(ready, commands, strict=True):
        process.send(str(verb), *args, gate=gate)
    answers: list[Any] = []
    with gate.open("wb"):
        for process in ready:
            try:
                answers.append(process.answer())
            except RefusedError as error:
                answers.append(error)
    return answers


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
        try:
            say([True, step(*args)])
        except DaeployError as error:
            say([False, [type(error).__name__, str(error)]])


if __name__ == "__main__":
    _serve(Program(Path(sys.argv[1])))
