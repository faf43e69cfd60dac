"""Disks that are full, and directories that may not be written."""

import contextlib
import logging
import os
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest

from daeploy_lib.errors import StateError
from daeploy_lib.registry.reader import RegistryReader
from daeploy_lib.registry.records import State
from daeploy_lib.registry.registry import Registry
from daeploy_lib.registry.state import COMMITS, DATABASE
from registry_process import PROJECT, deploy, open_registry

# Only Python itself runs in the children, and they end without cleaning up.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")

NOBODY = 65534
PAGE = 4096


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A state directory on a file system of 256 KiB."""
    where = tmp_path / "small"
    where.mkdir()
    options = ["-t", "tmpfs", "-o", "size=256k", "tmpfs"]
    mounted = subprocess.run(
        ["mount", *options, where], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    yield where
    subprocess.run(["umount", where], check=True)


def fill(directory: Path, free_pages: int) -> None:
    """Leave that many pages of a file system."""
    filler = directory / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * PAGE)
    os.truncate(filler, filler.stat().st_size - free_pages * PAGE)


def main_of(reader: RegistryReader) -> str | None:
    """Return the main of hello as a router sees it now."""
    routes = reader.poll()
    assert routes is not None
    return routes["hello"].main


def test_a_full_disk_refuses_and_keeps_what_there_was(small: Path) -> None:
    """Each verb raises StateError or succeeds whole, however much room is left."""
    registry = open_registry(small)
    deploy(registry, "hello", "1")
    deploy(registry, "hello", "2")
    reader = RegistryReader(small, PROJECT)
    assert main_of(reader) == "1"
    refused = 0
    for free_pages in range(24):
        (small / "filler").unlink(missing_ok=True)
        fill(small, free_pages)
        before = [(r.version, r.state, r.is_main) for r in registry.versions()]
        try:
            deploy(registry, "hello", f"3-{free_pages}")
        except StateError as error:
            refused += 1
            assert "disk has room" in str(error)  # noqa: PT017 - it may succeed too
        after = [(r.version, r.state, r.is_main) for r in registry.versions()]
        assert after[: len(before)] == before
        assert {r.version for r in registry.versions() if r.is_main} == {"1"}
        with registry._database.reading() as connection:
            check = connection.execute("PRAGMA integrity_check").fetchone()
        assert check[0] == "ok"
        assert main_of(reader) == "1"
    assert refused > 2
    (small / "filler").unlink()
    assert registry.assign("hello", "2") == "1"
    assert main_of(reader) == "2"
    reader.close()


def test_an_assign_on_a_full_disk_happens_or_does_not(small: Path) -> None:
    """With no room at all main stays, for the registry and for routers."""
    registry = open_registry(small)
    deploy(registry, "hello", "1")
    deploy(registry, "hello", "2")
    reader = RegistryReader(small, PROJECT)
    assert main_of(reader) == "1"
    fill(small, 0)
    with pytest.raises(StateError, match="full"):
        registry.assign("hello", "2")
    assert main_of(reader) == "1"
    assert [c.version for c in registry.history("hello")] == ["1"]
    reader.close()


def test_a_registry_is_not_made_on_a_full_disk(small: Path) -> None:
    """It is refused with the remedy, and made when there is room."""
    for free_pages in range(16):
        (small / "filler").unlink(missing_ok=True)
        (small / DATABASE).unlink(missing_ok=True)
        fill(small, free_pages)
        try:
            Registry(small, PROJECT).prepare()
        except StateError as error:
            assert "disk has room" in str(error)  # noqa: PT017 - it may succeed too
    (small / "filler").unlink()
    assert deploy(open_registry(small), "hello", "1")


def test_a_commit_without_room_for_its_acknowledgement_is_followed(
    small: Path,
) -> None:
    """A router notices it by the file's time, also when there is no commits file."""
    registry = open_registry(small)
    deploy(registry, "hello", "1")
    deploy(registry, "hello", "2")
    reader = RegistryReader(small, PROJECT)
    assert main_of(reader) == "1"
    (small / COMMITS).unlink()
    (small / COMMITS).mkdir()
    for version in "2121":
        registry.assign("hello", version)
        assert main_of(reader) == version
    reader.close()


def unprivileged(step: Callable[[], None]) -> None:
    """Do the step in a child without root's rights; raise what it raised."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            step()
            status = 0
        except BaseException:  # noqa: BLE001 - told to the parent
            os.write(writing, traceback.format_exc().encode())
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as told:
        text = told.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, text


@pytest.fixture
def shared() -> Iterator[Path]:
    """A state directory that everybody may read and only its owner may write."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "state"
        directory.mkdir()
        Path(name).chmod(0o755)
        directory.chmod(0o755)
        yield directory
        directory.chmod(0o755)


def test_a_directory_that_cannot_be_written_is_refused(shared: Path) -> None:
    """The Deployer says so, with the path and a remedy, and makes nothing."""
    shared.chmod(0o555)

    def step() -> None:
        with pytest.raises(StateError, match="can be written") as caught:
            Registry(shared, PROJECT).prepare()
        assert str(shared) in str(caught.value)
        with pytest.raises(StateError, match="Name another"):
            Registry(shared / "below", PROJECT).prepare()

    unprivileged(step)
    assert list(shared.iterdir()) == []


def test_a_router_follows_a_registry_that_it_may_only_read(shared: Path) -> None:
    """It routes, follows, and says once that it cannot count; nothing is written."""
    registry = open_registry(shared)
    for version in "12":
        deploy(registry, "hello", version)
    for file in shared.iterdir():
        file.chmod(0o444)
    shared.chmod(0o555)
    before = (shared / DATABASE).read_bytes()

    def step() -> None:
        told = StringIO()
        logging.getLogger("daeploy_lib").addHandler(logging.StreamHandler(told))
        reader = RegistryReader(shared, PROJECT)
        assert main_of(reader) == "1"
        for _ in range(3):
            reader.leave(reader.enter("hello", "1"))
        reader.close()
        assert told.getvalue().count("Cannot count requests in flight") == 1
        with pytest.raises(StateError, match="cannot be used"):
            Registry(shared, PROJECT).assign("hello", "2")
        assert main_of(reader) == "1"

    unprivileged(step)
    assert (shared / DATABASE).read_bytes() == before
    assert not (shared / "in-flight").exists()


def test_a_router_that_may_not_read_has_no_routes_and_does_not_fail(
    shared: Path,
) -> None:
    """Nor does it keep anybody waiting."""
    registry = open_registry(shared)
    deploy(registry, "hello", "1")
    (shared / DATABASE).chmod(0o600)

    def step() -> None:
        reader = RegistryReader(shared, PROJECT)
        assert reader.poll() == {}
        assert reader.poll() == {}
        with pytest.raises(StateError, match="unable to open"):
            Registry(shared, PROJECT).versions()

    if os.getuid() != 0:
        (shared / DATABASE).chmod(0)
    unprivileged(step)
    (shared / DATABASE).chmod(0o600)
    assert registry.versions()[0].state is State.deployed
