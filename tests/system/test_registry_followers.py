"""Routers follow what other processes do, from the very next request on."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daeploy_lib.registry.reader import RegistryReader
from daeploy_lib.registry.state import DATABASE
from registry_process import (
    PROJECT,
    RegistryProcess,
    deploy,
    open_registry,
    processes,
)

ASSIGNS = 1000


@pytest.fixture
def reader(state: Path) -> Iterator[RegistryReader]:
    """A reader in this process."""
    found = RegistryReader(state, PROJECT)
    yield found
    found.close()


def test_every_assign_is_seen_by_the_next_poll(
    state: Path, reader: RegistryReader
) -> None:
    """A thousand of them, made in another process; not one is late."""
    registry = open_registry(state)
    for version in "12":
        deploy(registry, "hello", version)
    late = 0
    with RegistryProcess(state) as writer:
        for n in range(ASSIGNS):
            version = "21"[n % 2]
            writer.ask("assign", "hello", version)
            routes = reader.poll()
            late += routes is None or routes["hello"].main != version
    assert late == 0


def test_routers_in_other_processes_follow_too(state: Path) -> None:
    """Three of them, each asked after every assign."""
    registry = open_registry(state)
    for version in "12":
        deploy(registry, "hello", version)
    with processes(state, 3) as routers:
        for n in range(100):
            registry.assign("hello", "21"[n % 2])
            seen = [router.ask("main", "hello") for router in routers]
            assert seen == ["21"[n % 2]] * 3


def test_assigns_are_seen_in_the_crowd(state: Path, reader: RegistryReader) -> None:
    """While others write without pause, a poll may ask to wait, but never is late."""
    registry = open_registry(state)
    for version in "12":
        deploy(registry, "hello", version)
    deploy(registry, "noise", "1")
    deploy(registry, "noise", "2")
    late, waited = 0, 0
    with processes(state, 2) as (writer, noise):
        for n in range(300):
            version = "21"[n % 2]
            noise.send("assign", "noise", version)
            writer.ask("assign", "hello", version)
            while (routes := reader.poll()) is None:
                waited += 1
                time.sleep(0.0005)
            late += routes["hello"].main != version
            noise.answer()
    assert late == 0
    assert waited < 3000


def test_a_deleted_registry_is_followed_when_another_process_makes_it_anew(
    state: Path, reader: RegistryReader
) -> None:
    """The last routes between, never empty ones, then the adopted ones."""
    deploy(open_registry(state), "hello", "1")
    routes = reader.poll()
    assert routes
    with RegistryProcess(state) as other:
        for version in "234":
            (state / DATABASE).unlink()
            assert reader.poll() is routes
            other.ask("prepare")
            assert reader.poll() is routes
            other.ask("adopt")
            # Nothing ran, it says.
            assert reader.poll() == {}
            other.ask("deploy", "hello", version)
            routes = reader.poll()
            assert routes
            assert routes["hello"].main == version
