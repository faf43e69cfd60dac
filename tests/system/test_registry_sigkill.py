"""
SIGKILL at every write: nothing acknowledged is lost, the state is always legal.

Each verb runs in a process under strace, which kills it as it enters the k-th
call of a kind, for k = 1, 2, … until the verb completes untouched.

Source:
    SQLite's own method: https://sqlite.org/testing.html, section 3.3.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from daeploy_lib.domain.route import Route
from daeploy_lib.domain.spec import Spec
from daeploy_lib.registry.reader import RegistryReader
from daeploy_lib.registry.records import State
from daeploy_lib.registry.registry import Registry, Reservation
from daeploy_lib.registry.state import DATABASE
from registry_process import PROJECT, Program, deploy, deployed, open_registry

# Only Python itself runs in the children, and they end without cleaning up.
pytestmark = [
    pytest.mark.once,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded"),
]

# The acknowledgement is the first "write" of a verb, its answer the second.
CALLS = ("pwrite64", "fdatasync", "fsync", "unlink", "ftruncate", "write")
# No verb comes near: a verb that does never ends.
MOST_CALLS = 200


@contextmanager
def killed_at(pid: int, call: str, when: int) -> Iterator[None]:
    """Have a process killed as it enters its k-th call of a kind from now on."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (apt-get install strace)")
    # Without --seccomp-bpf, under which strace 6.1 delivers no signal.
    inject = f"inject={call}:signal=KILL:when={when}"
    command = ["strace", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
    with subprocess.Popen(
        [*command, "-p", str(pid)], stderr=subprocess.PIPE, text=True
    ) as tracer:
        assert tracer.stderr
        said = tracer.stderr.readline()
        if "attached" not in said:
            pytest.skip(f"strace cannot trace here: {said.strip()}")
        yield


def nothing(_: Registry) -> None:
    """Begin with a registry that is made and empty."""


def two(registry: Registry) -> None:
    """Begin with main 1 and its shadow 2."""
    deploy(registry, "hello", "1")
    deploy(registry, "hello", "2")


def retired(registry: Registry) -> None:
    """Begin with main 1, and 2 about to be forgotten."""
    two(registry)
    registry.retire("hello", "2")


@attrs.frozen
class Verb:
    """One verb, what it begins with, and what it can be repeated with."""

    words: tuple[str, ...]
    before: Callable[[Registry], None]


VERBS = {
    "reserve": Verb(("reserve", "hello", "3"), two),
    "first deploy": Verb(("deploy", "hello", "1"), nothing),
    "deploy": Verb(("deploy", "hello", "3"), two),
    "assign": Verb(("assign", "hello", "2"), two),
    "retire": Verb(("retire", "hello", "2"), two),
    "forget": Verb(("forget", "hello", "2"), retired),
}


def dump(state: Path) -> list[object]:
    """Return all that the registry has stored, but for times and owners."""
    connection = sqlite3.connect(state / DATABASE)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return [
            connection.execute(f"SELECT {columns} ORDER BY 1, 2, 3").fetchall()
            for columns in (
                "name, version, state, port FROM versions",
                "name, version, project FROM mains",
                "id, version, previous FROM history",
                "segment, name, version FROM segments",
            )
        ]
    finally:
        connection.close()


def steps_of(verb: Verb, start: Path, scratch: Path) -> list[list[object]]:
    """Return what is stored before the verb, and after each commit of it."""
    shutil.copytree(start, scratch)
    stored = [dump(scratch)]
    if verb.words[0] == "deploy":
        registry = Registry(scratch, PROJECT)
        reservation = Reservation.of(Spec(PROJECT, verb.words[1], verb.words[2]))
        registry.reserve(reservation)
        stored.append(dump(scratch))
        registry.publish(reservation, deployed())
    else:
        do(scratch, verb.words)
    stored.append(dump(scratch))
    return stored


def assert_legal(state: Path) -> None:
    """Check that every name with a deployed version has one main."""
    records = Registry(state, PROJECT).versions()
    names = {r.name for r in records if r.state is State.deployed}
    assert sorted(r.name for r in records if r.is_main) == sorted(names)
    assert all(r.state is State.deployed for r in records if r.is_main)


def settled(reader: RegistryReader) -> Mapping[str, Route]:
    """Poll as a router does, until there is nothing to wait for."""
    deadline = time.monotonic() + 10
    while (routes := reader.poll()) is None:
        assert time.monotonic() < deadline
    return routes


def do(state: Path, words: tuple[str, ...]) -> None:
    """Do a verb in this process."""
    getattr(Program(state), words[0])(*words[1:])


def run_killed(state: Path, verb: Verb, call: str, when: int) -> bool:
    """Do the verb, killed at that call; return whether it was acknowledged."""
    waiting, go = os.pipe()
    told, telling = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.read(waiting, 1)
            do(state, verb.words)
            os.write(telling, b".")
        finally:
            os._exit(0)
    os.close(telling)
    try:
        with killed_at(child, call, when):
            os.write(go, b".")
            answer = os.read(told, 1)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for descriptor in (waiting, go, told):
            os.close(descriptor)
    return bool(answer)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", VERBS)
def test_a_verb_may_be_killed_at_any_write(name: str, tmp_path: Path) -> None:
    """Stored is what was acknowledged, or one step more; a repeat completes it."""
    verb, start = VERBS[name], tmp_path / "start"
    verb.before(open_registry(start))
    stored = steps_of(verb, start, tmp_path / "steps")
    kills: list[str] = []
    for call in CALLS:
        for when in range(1, MOST_CALLS):
            state = tmp_path / f"{call}-{when}"
            shutil.copytree(start, state)
            reader = RegistryReader(state, PROJECT)
            settled(reader)
            is_acknowledged = run_killed(state, verb, call, when)
            # Either may be the first to open what a crash has left.
            if when % 2:
                settled(reader)
            after = dump(state)
            assert after == stored[-1] if is_acknowledged else after in stored
            assert_legal(state)
            fresh = RegistryReader(state, PROJECT)
            assert settled(reader) == settled(fresh)
            if not is_acknowledged:
                kills.append(call)
                repeat(state, verb)
                assert dump(state)[1:] == stored[-1][1:]
                assert settled(reader) == settled(fresh)
            reader.close()
            fresh.close()
            shutil.rmtree(state)
            if is_acknowledged:
                break
        else:
            pytest.fail(f"{name} did not end within {MOST_CALLS} calls of {call}")
    # Journal and database pages, their syncs, the journal's end, the byte.
    assert {"pwrite64", "unlink", "write"} <= set(kills)
    assert {"fdatasync", "fsync"} & set(kills)
    assert len(kills) > 15


def repeat(state: Path, verb: Verb) -> None:
    """Do again what was cut short, as its caller would."""
    found = {(r.name, r.version): r.state for r in Registry(state, PROJECT).versions()}
    is_done = found.get((verb.words[1], verb.words[2])) is State.deployed
    if verb.words[0] != "deploy" or not is_done:
        do(state, verb.words)


@pytest.mark.timeout(300)
def test_the_registry_may_be_killed_while_it_is_made(tmp_path: Path) -> None:
    """Whoever comes next makes it, or finds it made."""
    made = Verb(("prepare",), nothing)
    for call in CALLS:
        for when in range(1, MOST_CALLS):
            state = tmp_path / f"{call}-{when}"
            state.mkdir()
            is_acknowledged = run_killed(state, made, call, when)
            reader = RegistryReader(state, PROJECT)
            assert settled(reader) == {}
            assert deploy(open_registry(state), "hello", "1")
            assert settled(reader)["hello"].main == "1"
            reader.close()
            shutil.rmtree(state)
            if is_acknowledged:
                break
