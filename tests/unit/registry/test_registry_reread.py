"""Versions are read once while the file does not change, and anew when it has."""

import os
import shutil
import time
from pathlib import Path

import pytest

from daeploy_lib.errors import StateError
from daeploy_lib.registry.database import Database
from daeploy_lib.registry.registry import Registry
from daeploy_lib.registry.state import DATABASE
from registry_process import deploy, open_registry


def settle(state: Path) -> None:
    """Wait until the file's time tells its changes apart."""
    end = time.monotonic() + 10
    while Database(state).signature() is None:
        assert time.monotonic() < end
        time.sleep(0.01)


def versions(registry: Registry) -> list[str]:
    """Return the versions that it knows."""
    return [record.version for record in registry.versions()]


def test_a_file_that_does_not_change_is_read_once(state: Path) -> None:
    """The same records are given again, until another process commits."""
    registry, other = open_registry(state), open_registry(state)
    deploy(registry, "hello", "0")
    for number in range(1, 4):
        settle(state)
        records = registry.versions()
        assert registry.versions() is records
        deploy(other, "hello", str(number))
        assert versions(registry) == [str(n) for n in range(number + 1)]


def test_a_file_that_has_just_changed_is_read_again(state: Path) -> None:
    """Its time may not move with the next change."""
    registry, other = open_registry(state), open_registry(state)
    for number in range(20):
        deploy(other, "hello", str(number))
        assert len(registry.versions()) == number + 1


def test_another_file_in_its_place_is_noticed(state: Path, tmp_path: Path) -> None:
    """Also with the size, and the time of writing, of the first."""
    registry = open_registry(state)
    deploy(registry, "hello", "1")
    deploy(open_registry(tmp_path / "other"), "hello", "2")
    settle(state)
    assert versions(registry) == ["1"]
    assert not registry.prepare()
    before = (state / DATABASE).stat()
    shutil.copy(tmp_path / "other" / DATABASE, state / "copy")
    (state / "copy").replace(state / DATABASE)
    os.utime(state / DATABASE, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert versions(registry) == ["2"]
    assert registry.prepare()
    assert not registry.prepare()


def test_a_file_that_is_gone_is_not_remembered(state: Path) -> None:
    """What was read of it is not given again."""
    registry = open_registry(state)
    deploy(registry, "hello", "1")
    settle(state)
    assert versions(registry) == ["1"]
    (state / DATABASE).unlink()
    with pytest.raises(StateError):
        registry.versions()


@pytest.mark.parametrize(("nanoseconds", "is_told_apart"), [(0, False), (1, True)])
def test_round_times_are_not_believed_as_soon(
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    nanoseconds: int,
    *,
    is_told_apart: bool,
) -> None:
    """A file system that keeps whole seconds shows a second change late."""
    open_registry(state)
    database = Database(state)
    found = (state / DATABASE).stat()
    whole = found.st_ctime_ns // 10**9 * 10**9 + nanoseconds

    class Stat:
        st_dev, st_ino, st_ctime_ns = found.st_dev, found.st_ino, whole

    monkeypatch.setattr(Path, "stat", lambda _: Stat)
    monkeypatch.setattr(time, "time_ns", lambda: whole + 10**9)
    assert (database.signature() is not None) == is_told_apart
    monkeypatch.setattr(time, "time_ns", lambda: whole + 3 * 10**9)
    assert database.signature() is not None
    monkeypatch.setattr(time, "time_ns", lambda: whole - 10**9)
    assert database.signature() is None
