"""Owners: a process is told from a dead one, and from a later one with its pid."""

import os
import subprocess
import sys
import time
from pathlib import Path

import attrs
import psutil
import pytest

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import VersionExistsError
from daeploy_lib.registry.owner import Owner
from daeploy_lib.registry.records import State
from daeploy_lib.registry.registry import Reservation
from registry_process import (
    PROJECT,
    RefusedError,
    RegistryProcess,
    deployed,
    open_registry,
)


def owner_of(pid: int) -> Owner:
    """Return the owner that a living process would write for itself."""
    program = (
        "import os; from daeploy_lib.registry import owner\n"
        f"os.getpid = lambda: {pid}\n"
        "print(owner.Owner.current().to_json())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return Owner.from_json(done.stdout)


def test_this_process_lives() -> None:
    """Its owner is alive, equal each time, and survives its JSON."""
    owner = Owner.current()
    assert owner.is_alive()
    assert owner == Owner.current()
    assert Owner.from_json(owner.to_json()) == owner
    assert str(owner) == f"process {os.getpid()} on {owner.host}"


def test_other_processes_see_the_same_owner() -> None:
    """What tells a process from others does not depend on who looks."""
    assert owner_of(os.getpid()) == Owner.current()


def test_a_reused_pid_counts_as_dead() -> None:
    """The same pid with another start, or from before a reboot, is another."""
    owner = Owner.current()
    boot, ticks = owner.born.split("/")
    assert not attrs.evolve(owner, born=f"{boot}/{int(ticks) + 1}").is_alive()
    assert not attrs.evolve(owner, born=f"{boot[::-1]}/{ticks}").is_alive()
    assert not attrs.evolve(owner, born="").is_alive()


def test_an_ended_process_and_a_zombie_count_as_dead() -> None:
    """From the kill on, also while nobody has waited for it."""
    with subprocess.Popen(["sleep", "60"]) as process:
        owner = owner_of(process.pid)
        assert owner.is_alive()
        process.kill()
        deadline = time.monotonic() + 10
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
        assert not owner.is_alive()
        process.wait()
        assert not owner.is_alive()


def test_a_stopped_process_lives() -> None:
    """It may go on: what it holds is not taken from it."""
    with subprocess.Popen(["sleep", "60"]) as process:
        owner = owner_of(process.pid)
        psutil.Process(process.pid).suspend()
        assert owner.is_alive()
        process.kill()


def test_a_process_of_another_host_counts_as_alive() -> None:
    """It cannot be looked at."""
    assert Owner("elsewhere.example", 2**22 + 1, "").is_alive()


def test_a_program_may_have_any_name(tmp_path: Path) -> None:
    """A name with brackets and spaces does not hide the fields behind it."""
    program = tmp_path / "a) Z (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as process:
        assert owner_of(process.pid).is_alive()
        process.kill()


def test_the_reservation_of_a_killed_process_is_taken_over(state: Path) -> None:
    """The next deploy gets the version and is told that something may be left."""
    registry = open_registry(state)
    mine = Reservation.of(Spec(PROJECT, "hello", "1"))
    with RegistryProcess(state) as process:
        assert not process.ask("reserve", "hello", "1")
        with pytest.raises(VersionExistsError, match=f"process {process.process.pid}"):
            registry.reserve(mine)
        process.process.kill()
        process.process.wait()
        assert registry.reserve(mine)
    [record] = registry.versions()
    assert record.owner == Owner.current()
    assert registry.publish(mine, deployed())


def test_the_removal_of_a_killed_process_is_taken_over(state: Path) -> None:
    """A version that was being killed can be deployed again, or killed again."""
    registry = open_registry(state)
    with RegistryProcess(state) as process:
        for version in "12":
            process.ask("deploy", "hello", version)
        process.ask("retire", "hello", "2")
        process.process.kill()
        process.process.wait()
    assert registry.reserve(Reservation.of(Spec(PROJECT, "hello", "2")))
    assert registry.retire("hello", "1").state is State.deployed


def test_an_abandoned_reservation_can_be_killed(state: Path) -> None:
    """Its owner is dead, so that the version is free afterwards."""
    registry = open_registry(state)
    with RegistryProcess(state) as process:
        process.ask("reserve", "hello", "1")
        process.process.kill()
        process.process.wait()
    assert registry.retire("hello", "1").state is State.reserved
    registry.forget("hello", "1")
    assert registry.versions() == ()


def test_a_lost_reservation_cannot_be_published(state: Path) -> None:
    """A process that was taken for dead, wrongly, does not overwrite the other."""
    registry = open_registry(state)
    mine = Reservation.of(Spec(PROJECT, "hello", "1"))
    registry.reserve(mine)
    with RegistryProcess(state) as process:
        with pytest.raises(RefusedError, match="VersionExistsError"):
            process.ask("reserve", "hello", "1")
        registry.release(mine)
        process.ask("reserve", "hello", "1")
        with pytest.raises(LookupError, match="lost its reservation"):
            registry.publish(mine, deployed())
        assert process.ask("publish", "hello", "1")
