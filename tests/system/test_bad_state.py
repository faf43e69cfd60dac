"""State directories that cannot be used are refused, and left as they are."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daeploy_lib import Deployer, ShadowRouter, StateError
from daeploy_lib.registry.schema import APPLICATION_ID, SCHEMA_VERSION
from daeploy_lib.registry.state import DATABASE
from daeploy_lib.runtimes.memory import MemoryRuntime
from daeploy_lib.testing import AsgiDriver

VERBS: dict[str, Callable[[Deployer, Path], object]] = {
    "ls": lambda d, _: d.ls(),
    "get": lambda d, _: d.get("hello"),
    "deploy": lambda d, source: d.deploy("hello", "9.0.0", source),
    "assign": lambda d, _: d.assign("hello", "2.0.0"),
    "rollback": lambda d, _: d.rollback("hello"),
    "history": lambda d, _: d.history("hello"),
    "kill": lambda d, _: d.kill("hello", "2.0.0"),
    "kill a name": lambda d, _: d.kill("hello"),
    "kill_all": lambda d, _: d.kill_all(),
    "logs": lambda d, _: list(d.logs("hello")),
    "inspect": lambda d, _: d.inspect("hello"),
    "cleanup": lambda d, _: d.cleanup(),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory that can be deployed."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "service.py").write_text("")
    return folder


@pytest.fixture
def runtime(state: Path, source: Path) -> Iterator[MemoryRuntime]:
    """Two versions that run, and are in the state directory's registry."""
    runtime = MemoryRuntime()
    with Deployer(runtime, state=state) as deployer:
        for version in ("1.0.0", "2.0.0"):
            deployer.deploy("hello", version, source)
    yield runtime
    for instance in runtime.list("default"):
        runtime.stop(instance.id, grace=0.0)


def overwritten(file: Path) -> None:
    """Write something else into the file."""
    file.write_bytes(b"this is no database" * 500)


def damaged(file: Path) -> None:
    """Overwrite every page but the first half of the first."""
    content = file.read_bytes()
    file.write_bytes(content[:2048] + b"\xff" * (len(content) - 2048))


def cut(file: Path) -> None:
    """Lose the second half of the file."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def pragma(file: Path, words: str) -> None:
    """Change a number in the file's head."""
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA {words}")
    connection.commit()
    connection.close()


def newer(file: Path) -> None:
    """Make the file that of a later release."""
    pragma(file, f"user_version = {SCHEMA_VERSION + 1}")


def foreign(file: Path) -> None:
    """Make the file that of another program."""
    pragma(file, f"application_id = {APPLICATION_ID + 1}")


WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "overwritten": (
        overwritten,
        "damaged .*; it was left as it is. Move the file away",
    ),
    "damaged": (damaged, "damaged .*; it was left as it is. Move the file away"),
    "cut": (cut, "damaged .*; it was left as it is. Move the file away"),
    "newer": (newer, "newer than 2 .*; it was left as it is. Update daeploy-lib"),
    "foreign": (foreign, "another program; it was left as it is. Name another"),
}


def content(state: Path) -> dict[str, bytes]:
    """Return every file of the state directory."""
    return {
        str(f.relative_to(state)): f.read_bytes()
        for f in state.rglob("*")
        if f.is_file()
    }


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("is_open", [False, True], ids=["at the start", "in use"])
def test_a_state_file_that_cannot_be_used(
    state: Path,
    runtime: MemoryRuntime,
    source: Path,
    *,
    wrong: str,
    verb: str,
    is_open: bool,
) -> None:
    """Every verb says so, names the file, and changes neither it nor what runs."""
    spoil, words = WRONG[wrong]
    with Deployer(runtime, state=state) as deployer:
        if is_open:
            deployer.ls()
        spoil(state / DATABASE)
        before = content(state), runtime.list("default")
        with pytest.raises(StateError, match=words) as refused:
            VERBS[verb](deployer, source)
        assert (content(state), runtime.list("default")) == before
    assert refused.value.path == str(state / DATABASE)
    assert str(state) in str(refused.value)


async def test_a_router_goes_on_with_its_last_routes(
    state: Path, runtime: MemoryRuntime
) -> None:
    """Requests are answered as before when the file is damaged under a router."""
    assert len(runtime.list("default")) == 2
    router = ShadowRouter(Deployer(runtime, state=state))
    driver = AsgiDriver(router)
    statuses = []
    for spoil in (lambda _: None, damaged, overwritten):
        spoil(state / DATABASE)
        status, _ = await (call := driver.request("GET", b"/hello/")).start()
        await call.body()
        statuses.append(status)
    assert statuses == [200, 200, 200]
    await router.aclose()


def test_moved_away_it_is_adopted_again(state: Path, runtime: MemoryRuntime) -> None:
    """The remedy of the message works."""
    damaged(state / DATABASE)
    (state / DATABASE).rename(state / "damaged.sqlite")
    with Deployer(runtime, state=state) as deployer:
        assert [s.version for s in deployer.ls()] == ["1.0.0", "2.0.0"]


def test_a_state_directory_that_is_a_file(tmp_path: Path, source: Path) -> None:
    """It is left alone."""
    file = tmp_path / "state"
    file.write_text("mine")
    for path in (file, file / "below"):
        deployer = Deployer(MemoryRuntime(), state=path)
        with pytest.raises(StateError, match="Name another with Deployer"):
            deployer.deploy("hello", "1", source)
    assert file.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_directory_that_one_may_not_write(tmp_path: Path, source: Path) -> None:
    """The error says so."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o500)
    with pytest.raises(StateError, match="can be written"):
        Deployer(MemoryRuntime(), state=folder).deploy("hello", "1", source)
