"""Races between real processes: whatever comes first, the rules hold."""

import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from daeploy_lib.registry.records import State
from daeploy_lib.registry.registry import Registry
from daeploy_lib.registry.state import COMMITS, DATABASE
from registry_process import (
    PROJECT,
    RefusedError,
    RegistryProcess,
    deploy,
    open_registry,
    processes,
    together,
)

pytestmark = pytest.mark.once

RACERS = 16
ROUNDS = 3


@pytest.fixture
def racers(state: Path) -> Iterator[list[RegistryProcess]]:
    """Sixteen processes on one state directory."""
    with processes(state, RACERS) as started:
        yield started


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Where all of them wait to be let go at one moment."""
    return tmp_path / "gate"


def mains(registry: Registry, name: str) -> list[str]:
    """Return every version of a name that is main."""
    return [r.version for r in registry.versions() if r.name == name and r.is_main]


def is_sound(state: Path) -> bool:
    """Return whether SQLite finds the file and its references in order."""
    connection = sqlite3.connect(state / DATABASE)
    try:
        integrity = connection.execute("PRAGMA integrity_check").fetchall()
        dangling = connection.execute("PRAGMA foreign_key_check").fetchall()
    finally:
        connection.close()
    return integrity == [("ok",)] and not dangling


def test_of_many_first_deploys_one_becomes_main(
    state: Path, racers: list[RegistryProcess], gate: Path
) -> None:
    """Different versions of one name: all succeed, one is told that it is main."""
    registry = open_registry(state)
    for round_ in range(ROUNDS):
        name = f"hello-{round_}"
        commands = [("deploy", name, f"{n}") for n in range(RACERS)]
        answers = together(gate, racers, commands)
        assert sorted(answers) == [False] * (RACERS - 1) + [True]
        assert mains(registry, name) == [f"{answers.index(True)}"]
        [first] = registry.history(name)
        assert (first.version, first.previous) == (f"{answers.index(True)}", None)
    assert len(registry.versions()) == ROUNDS * RACERS
    assert is_sound(state)


def test_of_many_equal_deploys_one_succeeds(
    state: Path, racers: list[RegistryProcess], gate: Path
) -> None:
    """The others are refused at once, before anything would be built."""
    registry = open_registry(state)
    for round_ in range(ROUNDS):
        commands = [("reserve", "hello", f"{round_}")] * RACERS
        answers = together(gate, racers, commands)
        refused = [a for a in answers if isinstance(a, RefusedError)]
        assert len(refused) == RACERS - 1
        assert {error.args[0] for error in refused} == {"VersionExistsError"}
        [winner] = [racers[i] for i, answer in enumerate(answers) if answer is False]
        assert all(f"process {winner.process.pid} " in str(error) for error in refused)
        assert winner.ask("publish", "hello", f"{round_}") == (round_ == 0)
    assert [r.version for r in registry.versions()] == ["0", "1", "2"]


def test_many_deploys_of_one_route_leave_it_to_one_service(
    state: Path, racers: list[RegistryProcess], gate: Path
) -> None:
    """Half want version 1 of hello, half the service hello_1."""
    registry = open_registry(state)
    commands = [
        ("deploy", "hello", "1") if n % 2 else ("deploy", "hello_1", f"{n}")
        for n in range(RACERS)
    ]
    answers = together(gate, racers, commands)
    names = {r.name for r in registry.versions()}
    assert len(names) == 1
    succeeded = [a for a in answers if not isinstance(a, RefusedError)]
    assert len(succeeded) == (1 if names == {"hello"} else RACERS // 2)
    assert succeeded.count(True) == 1


def test_many_assigns_all_return_and_the_last_one_is_main(
    state: Path, racers: list[RegistryProcess], gate: Path
) -> None:
    """History has each of them, in one unbroken chain."""
    registry = open_registry(state)
    deploy(registry, "hello", "first")
    for n in range(RACERS):
        deploy(registry, "hello", f"{n}")
    for round_ in range(ROUNDS):
        registry.assign("hello", "first")
        before = registry.history("hello")
        acknowledged = (state / COMMITS).stat().st_size
        commands = [("assign", "hello", f"{n}") for n in range(RACERS)]
        answers = together(gate, racers, commands)
        after = registry.history("hello")
        changes = after[len(before) :]
        assert after[: len(before)] == before
        assert sorted(int(c.version) for c in changes) == list(range(RACERS)), round_
        chain = ["first", *(c.version for c in changes)]
        assert [c.previous for c in changes] == chain[:-1]
        # Each caller was told what it really replaced.
        assert answers == [chain[chain.index(f"{n}") - 1] for n in range(RACERS)]
        assert mains(registry, "hello") == [chain[-1]]
        assert (state / COMMITS).stat().st_size == acknowledged + RACERS


def test_of_many_assigns_that_expect_the_same_main_one_wins(
    state: Path, racers: list[RegistryProcess], gate: Path
) -> None:
    """For every expected value exactly one; the others change nothing."""
    registry = open_registry(state)
    deploy(registry, "hello", "first")
    for n in range(RACERS):
        deploy(registry, "hello", f"{n}")
    expected = "first"
    for _ in range(ROUNDS):
        others = [n for n in range(RACERS) if f"{n}" != expected]
        commands = [
            ("assign", "hello", f"{others[n % len(others)]}", expected)
            for n in range(RACERS)
        ]
        answers = together(gate, racers, commands)
        winners = [n for n, answer in enumerate(answers) if answer == expected]
        stale = [a for a in answers if isinstance(a, RefusedError)]
        # One target is wanted twice; whoever comes second finds it main already,
        # and is stale all the same.
        assert len(winners) == 1
        assert {error.args[0] for error in stale} == {"StaleAssignError"}
        assert len(stale) == RACERS - 1
        expected = str(commands[winners[0]][2])
        assert mains(registry, "hello") == [expected]
    assert len(registry.history("hello")) == 1 + ROUNDS


def test_many_processes_may_make_the_registry_at_once(
    state: Path, racers: list[RegistryProcess], gate: Path
) -> None:
    """One makes the file, all can use it; also after it was deleted."""
    for _ in range(ROUNDS):
        (state / DATABASE).unlink(missing_ok=True)
        assert together(gate, racers, [("prepare",)] * RACERS) == [True] * RACERS
        assert together(gate, racers, [("adopt",)] * RACERS) == [None] * RACERS
        commands = [("deploy", "hello", f"{n}") for n in range(RACERS)]
        assert together(gate, racers, commands).count(True) == 1
        assert is_sound(state)


def test_kills_against_deploys_and_assigns_leave_one_main(
    state: Path, racers: list[RegistryProcess], gate: Path
) -> None:
    """Whoever wins, a name with versions has one main, and no other has one."""
    registry = open_registry(state)
    for round_ in range(ROUNDS):
        name = f"hello-{round_}"
        for version in ("0", "1", "2"):
            deploy(registry, name, version)
        commands = [
            (("retire", name, f"{n % 3}"), ("assign", name, f"{n % 3}"))[n // 3 % 2]
            if n < 12
            else ("deploy", name, f"{n}")
            for n in range(RACERS)
        ]
        answers = together(gate, racers, commands)
        refusals = {a.args[0] for a in answers if isinstance(a, RefusedError)}
        assert refusals <= {"MainProtectedError", "VersionNotFoundError"}
        deployed = [
            r
            for r in registry.versions()
            if r.name == name and r.state is State.deployed
        ]
        assert len(mains(registry, name)) == 1
        assert mains(registry, name)[0] in {r.version for r in deployed}
        assert {f"{n}" for n in range(12, RACERS)} <= {r.version for r in deployed}
        chain = [(c.previous, c.version) for c in registry.history(name)]
        broken = [
            later
            for (_, sooner), (later, _) in itertools.pairwise(chain)
            if later not in (sooner, None)
        ]
        assert not broken
    assert is_sound(state)


def test_a_writer_that_is_stopped_only_delays_the_others(state: Path) -> None:
    """Whoever waits for the lock goes on when it is given back."""
    registry = open_registry(state)
    for version in "12":
        deploy(registry, "hello", version)
    with processes(state, 2) as (holder, waiter):
        holder.ask("hold")
        waiter.send("assign", "hello", "2")
        assert waiter.process.poll() is None
        holder.ask("drop")
        assert waiter.answer() == "1"
    assert mains(registry, "hello") == ["2"]
    assert Registry(state, PROJECT).history("hello")[-1].version == "2"
