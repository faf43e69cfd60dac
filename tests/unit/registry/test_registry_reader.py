"""The router's view: the right routes at once, and the last ones in any trouble."""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from daeploy_lib.domain.route import Route
from daeploy_lib.registry.reader import RegistryReader
from daeploy_lib.registry.registry import Registry
from daeploy_lib.registry.state import COMMITS, DATABASE
from registry_process import (
    PROJECT,
    RegistryProcess,
    deploy,
    deployed,
    open_registry,
)

# Only Python itself runs in the children, and they end without cleaning up.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")

# Seconds; a poll takes microseconds, and one that waits for SQLite's lock takes
# five seconds unless told otherwise. This allows for a busy machine.
QUICKLY = 1.0


@pytest.fixture
def reader(state: Path) -> Iterator[RegistryReader]:
    """A reader of the state directory."""
    found = RegistryReader(state, PROJECT)
    yield found
    found.close()


def routes_of(reader: RegistryReader) -> Mapping[str, Route]:
    """Poll, which must return quickly, and not have to wait."""
    started = time.monotonic()
    routes = reader.poll()
    assert time.monotonic() - started < QUICKLY
    assert routes is not None
    return routes


def main_of(reader: RegistryReader) -> str | None:
    """Return the main of hello."""
    return routes_of(reader)["hello"].main


def wait_past_the_tick(state: Path) -> None:
    """Return when a change would move the file's time."""
    deadline = time.monotonic() + 10
    while abs(time.time_ns() - (state / DATABASE).stat().st_mtime_ns) < 50_000_000:
        assert time.monotonic() < deadline


def test_routes_are_what_is_deployed(state: Path, reader: RegistryReader) -> None:
    """In order of deployment, with main; reserved and leaving ones are not there."""
    registry = open_registry(state)
    for version, port in (("2", 9002), ("1", 9001), ("3", 9003)):
        deploy(registry, "hello", version, port)
    deploy(registry, "a", "1", 9004)
    registry.retire("hello", "3")
    routes = routes_of(reader)
    assert list(routes) == ["a", "hello"]
    assert list(routes["hello"].addresses.items()) == [
        ("2", "http://127.0.0.1:9002"),
        ("1", "http://127.0.0.1:9001"),
    ]
    assert routes["hello"].main == "2"
    with pytest.raises(TypeError):
        routes["hello"] = routes["a"]  # type: ignore[index]


def test_the_same_object_while_nothing_changed(
    state: Path, reader: RegistryReader
) -> None:
    """Also within the tick of the last change, and when another project changes."""
    registry = open_registry(state)
    deploy(registry, "hello", "1")
    routes = routes_of(reader)
    for _ in range(100):
        assert routes_of(reader) is routes
    wait_past_the_tick(state)
    assert routes_of(reader) is routes
    open_registry(state, "other")
    assert routes_of(reader) is routes
    deploy(registry, "hello", "2")
    assert routes_of(reader) is not routes
    assert list(routes["hello"].addresses) == ["1"]


def test_a_registry_that_does_not_exist_has_no_routes(tmp_path: Path) -> None:
    """Neither without a directory nor without a file, and asking makes no file."""
    state = tmp_path / "state"
    reader = RegistryReader(state, PROJECT)
    shutil.rmtree(state)
    assert routes_of(reader) == {}
    assert not state.exists()
    state.mkdir()
    assert routes_of(reader) == {}
    assert list(state.iterdir()) == []
    deploy(open_registry(state), "hello", "1")
    assert main_of(reader) == "1"
    reader.close()


def test_a_closed_reader_opens_again(state: Path, reader: RegistryReader) -> None:
    """Closing frees the file; the next poll sees what happened meanwhile."""
    registry = open_registry(state)
    deploy(registry, "hello", "1")
    assert main_of(reader) == "1"
    reader.close()
    deploy(registry, "hello", "2")
    registry.assign("hello", "2")
    assert main_of(reader) == "2"


def test_a_reader_works_on_both_sides_of_a_fork(
    state: Path, reader: RegistryReader
) -> None:
    """SQLite's connections must not be carried across; the child has its own."""
    registry = open_registry(state)
    for version in "12":
        deploy(registry, "hello", version)
    assert main_of(reader) == "1"
    registry.assign("hello", "2")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if main_of(reader) == "2" else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert main_of(reader) == "2"
    registry.assign("hello", "1")
    assert main_of(reader) == "1"


def test_the_old_routes_stand_while_a_writer_holds_the_lock(
    state: Path, reader: RegistryReader
) -> None:
    """Nothing has been acknowledged: the last routes are still the right ones."""
    registry = open_registry(state)
    for version in "12":
        deploy(registry, "hello", version)
    with RegistryProcess(state) as other:
        routes = routes_of(reader)
        other.ask("hold", "UPDATE mains SET version = '2'")
        for _ in range(20):
            assert routes_of(reader) is routes
        # Its time may move before the commit, as it does when pages are written.
        os.utime(state / DATABASE)
        assert routes_of(reader) is routes
        other.ask("drop")
        assert routes_of(reader) is routes


def test_an_acknowledged_change_behind_a_lock_is_waited_for(
    state: Path, reader: RegistryReader
) -> None:
    """None while it cannot be read; the new routes, and never the old, then."""
    registry = open_registry(state)
    for version in "12":
        deploy(registry, "hello", version)
    assert main_of(reader) == "1"
    with RegistryProcess(state) as other:
        registry.assign("hello", "2")
        other.ask("hold")
        for _ in range(20):
            started = time.monotonic()
            assert reader.poll() is None
            assert time.monotonic() - started < QUICKLY
        assert reader.last["hello"].main == "1"
        other.ask("drop")
        assert main_of(reader) == "2"


def test_a_first_look_behind_a_lock_is_waited_for(
    state: Path, reader: RegistryReader
) -> None:
    """A router that starts then has nothing to go on with."""
    deploy(open_registry(state), "hello", "1")
    with RegistryProcess(state) as other:
        other.ask("hold")
        assert reader.poll() is None
        other.process.kill()
        other.process.wait()
        assert main_of(reader) == "1"


def test_a_change_without_acknowledgement_is_noticed_by_the_files_time(
    state: Path, reader: RegistryReader
) -> None:
    """For a writer that was killed between its commit and its byte."""
    registry = open_registry(state)
    for version in "12":
        deploy(registry, "hello", version)
    for commits in ("kept", "deleted"):
        if commits == "deleted":
            (state / COMMITS).unlink()
        for version in "21" * 10:
            assert main_of(reader) != version
            connection = sqlite3.connect(state / DATABASE)
            with connection:
                connection.execute("UPDATE mains SET version = ?", (version,))
            connection.close()
            assert main_of(reader) == version
    deploy(registry, "hello", "3")
    assert len(routes_of(reader)["hello"].addresses) == 3


def test_two_changes_within_one_tick_of_the_files_time_are_both_noticed(
    state: Path, reader: RegistryReader
) -> None:
    """A file's time may not move between them: Linux before 6.13, HZ=100."""
    registry = open_registry(state)
    for version in "12":
        deploy(registry, "hello", version)
    path = state / DATABASE
    deadline = time.monotonic() + 10
    while True:
        tick = time.time_ns()
        os.utime(path, ns=(tick, tick))
        assert main_of(reader) == "1"
        if time.time_ns() - tick < 10_000_000:
            break
        # The machine was busy: the tick was over before the poll.
        assert time.monotonic() < deadline
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE mains SET version = '2'")
    connection.close()
    os.utime(path, ns=(tick, tick))
    assert main_of(reader) == "2"


def test_routes_outlive_a_deleted_file_until_it_is_adopted(
    state: Path, reader: RegistryReader
) -> None:
    """The last routes while it is gone and while it is new, then the new ones."""
    registry = open_registry(state)
    deploy(registry, "hello", "1")
    routes = routes_of(reader)
    (state / DATABASE).unlink()
    assert routes_of(reader) is routes
    registry.prepare()
    assert registry.versions() == ()
    for _ in range(3):
        assert routes_of(reader) is routes
    wait_past_the_tick(state)
    assert routes_of(reader) is routes
    registry.adopt([])
    assert routes_of(reader) == {}
    deploy(registry, "hello", "2")
    assert main_of(reader) == "2"


def test_routes_outlive_a_deleted_directory(
    state: Path, reader: RegistryReader
) -> None:
    """It may come back, under the same name."""
    registry = open_registry(state)
    deploy(registry, "hello", "1")
    assert main_of(reader) == "1"
    moved = state.rename(state.with_name("moved"))
    assert main_of(reader) == "1"
    again = open_registry(state)
    deploy(again, "hello", "7")
    assert main_of(reader) == "7"
    assert Registry(moved, PROJECT).versions()[0].version == "1"


@pytest.mark.parametrize(
    "content",
    [b"", b"not a database at all\n" * 500, b"SQLite format 3\0" + b"\xff" * 8176],
    ids=["empty", "text", "garbage"],
)
def test_routes_outlive_a_damaged_file(
    state: Path, reader: RegistryReader, content: bytes
) -> None:
    """The Deployer reports it; traffic goes on, and the file stays as it is."""
    deploy(open_registry(state), "hello", "1")
    path = state / DATABASE
    healthy = path.read_bytes()
    routes = routes_of(reader)
    path.write_bytes(content)
    for _ in range(3):
        assert routes_of(reader) is routes
    # A writer's byte does not make it readable, so nobody is kept waiting.
    with (state / COMMITS).open("ab") as commits:
        commits.write(b".")
    assert routes_of(reader) is routes
    assert path.read_bytes() == content
    path.write_bytes(healthy)
    assert main_of(reader) == "1"


def test_routes_outlive_damage_inside_the_file(
    state: Path, reader: RegistryReader
) -> None:
    """Pages of garbage, one after another, in place."""
    deploy(open_registry(state), "hello", "1")
    routes = routes_of(reader)
    path = state / DATABASE
    healthy = path.read_bytes()
    for start in range(0, len(healthy), 4096):
        path.write_bytes(healthy[:start] + b"\xff" * 4096 + healthy[start + 4096 :])
        assert routes_of(reader) == routes


@pytest.mark.parametrize("endpoints", ["", "{", "[1]", "7", '{"a": 1}', '["ftp://h"]'])
def test_routes_outlive_rows_that_make_no_sense(
    state: Path, reader: RegistryReader, endpoints: str
) -> None:
    """Somebody's hand in the file does not stop the traffic."""
    registry = open_registry(state)
    deploy(registry, "hello", "1")
    routes = routes_of(reader)
    connection = sqlite3.connect(state / DATABASE)
    with connection:
        connection.execute("UPDATE versions SET endpoints = ?", (endpoints,))
    connection.close()
    for _ in range(3):
        assert routes_of(reader) is routes


def test_a_damaged_file_at_the_start_has_no_routes(
    state: Path, reader: RegistryReader
) -> None:
    """There is nothing to go on with, and nobody is kept waiting."""
    (state / COMMITS).write_bytes(b"...")
    for content in (b"", b"not a database at all\n" * 500):
        (state / DATABASE).write_bytes(content)
        assert routes_of(reader) == {}
        assert (state / DATABASE).read_bytes() == content


def test_a_version_without_an_address_is_not_routed(
    state: Path, reader: RegistryReader
) -> None:
    """A service whose main has none has shadows but no main."""
    registry = open_registry(state)
    deploy(registry, "hello", "1")
    deploy(registry, "hello", "2")
    connection = sqlite3.connect(state / DATABASE)
    with connection:
        connection.execute("UPDATE versions SET endpoints = '[]' WHERE version = '1'")
    connection.close()
    route = routes_of(reader)["hello"]
    assert (list(route.addresses), route.main) == (["2"], None)
    assert deployed().endpoints == tuple(route.addresses.values())


def test_a_hot_journal_is_rolled_back_by_whoever_comes_first(state: Path) -> None:
    """After a crash in a commit a reader may be the first to open the file."""
    registry = open_registry(state)
    for version in "12":
        deploy(registry, "hello", version)
    path, journal = state / DATABASE, state / f"{DATABASE}-journal"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("PRAGMA cache_spill = 1")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("UPDATE mains SET version = '2'")
    # Enough that pages reach the file before the commit, as in a crash.
    connection.execute(
        "INSERT INTO history (project, name, version, at) WITH RECURSIVE n(i) AS"
        " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
        " SELECT 'x', 'x', hex(randomblob(200)), i FROM n"
    )
    crashed = state.with_name("crashed")
    crashed.mkdir()
    for source in (path, journal):
        (crashed / source.name).write_bytes(source.read_bytes())
    connection.rollback()
    connection.close()
    assert (crashed / journal.name).read_bytes()[:8] == b"\xd9\xd5\x05\xf9 \xa1c\xd7"
    reader = RegistryReader(crashed, PROJECT)
    assert main_of(reader) == "1"
    assert not (crashed / journal.name).exists()
    reader.close()
    assert Registry(crashed, PROJECT).assign("hello", "2") == "1"
