"""Any history of the registry, against a simple model of its rules."""

import functools
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import (
    DaeployError,
    MainProtectedError,
    RouteConflictError,
    ServiceNotFoundError,
    StaleAssignError,
    VersionExistsError,
    VersionNotFoundError,
)
from daeploy_lib.registry.owner import Owner
from daeploy_lib.registry.reader import RegistryReader
from daeploy_lib.registry.registry import Reservation
from daeploy_lib.registry.state import DATABASE
from registry_process import PROJECT, deployed, open_registry

# Few, and chosen so that routes of one are routes of another.
NAMES = st.sampled_from(["hello", "hello_1", "a"])
VERSIONS = st.sampled_from(["1", "2", "1-x"])
T = TypeVar("T")
RESERVED, DEPLOYED, LEAVING = "reserved", "deployed", "leaving"


@functools.cache
def dead_owner() -> str:
    """Return the owner of a process that has ended."""
    command = (
        "from daeploy_lib.registry.owner import Owner; print(Owner.current().to_json())"
    )
    done = subprocess.run(
        [sys.executable, "-c", command], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def refused_or(refused: type[DaeployError] | None, step: Callable[[], T]) -> T | None:
    """Return what the step returns, unless exactly that refusal is expected."""
    if refused is None:
        return step()
    with pytest.raises(DaeployError) as caught:
        step()
    assert caught.type is refused
    return None


@attrs.define
class Entry:
    """One version of the model."""

    name: str
    version: str
    state: str = RESERVED
    has_dead_owner: bool = False


class Histories(RuleBasedStateMachine):
    """
    Every verb in any order; each is compared with what the model expects.

    The model is a list of versions in order of deployment, a main for each
    name, and a history for each name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state = Path(tempfile.mkdtemp(prefix="registry-"))
        self.registry = open_registry(self.state)
        self.reader = RegistryReader(self.state, PROJECT)
        self.entries: list[Entry] = []
        self.mains: dict[str, str] = {}
        self.histories: dict[str, list[tuple[str, str | None]]] = {}
        self.open: dict[tuple[str, str], Reservation] = {}

    def teardown(self) -> None:
        """Remove the state directory."""
        self.reader.close()
        shutil.rmtree(self.state)

    # -------------------------------------------------------------- model

    def find(self, name: str, version: str) -> Entry | None:
        """Return one version of the model."""
        return next(
            (e for e in self.entries if (e.name, e.version) == (name, version)), None
        )

    def of_name(self, name: str, state: str | None = None) -> list[Entry]:
        """Return the versions of a name, or those of them in a state."""
        return [e for e in self.entries if e.name == name and state in (None, e.state)]

    def segments(self) -> dict[str, tuple[str, str | None]]:
        """Return every route that is held, with its holder."""
        named: dict[str, tuple[str, str | None]] = {
            e.name: (e.name, None) for e in self.entries
        }
        return named | {
            f"{e.name}_{e.version}": (e.name, e.version) for e in self.entries
        }

    def point(self, name: str, version: str) -> None:
        """Point the model's main to a version."""
        change = (version, self.mains.get(name))
        self.histories.setdefault(name, []).append(change)
        self.mains[name] = version

    def missing(self, name: str) -> type[DaeployError]:
        """Return the refusal of a version that is not deployed."""
        return VersionNotFoundError if self.of_name(name) else ServiceNotFoundError

    # -------------------------------------------------------------- rules

    @rule(name=NAMES, version=VERSIONS)
    def reserve(self, name: str, version: str) -> None:
        """Take a version, unless it or a route of it is taken."""
        segments, entry = self.segments(), self.find(name, version)
        refused: type[DaeployError] | None = None
        if segments.get(name, (name, None)) != (name, None) or segments.get(
            f"{name}_{version}", (name, version)
        ) != (name, version):
            refused = RouteConflictError
        elif entry and not entry.has_dead_owner:
            refused = VersionExistsError
        reservation = Reservation.of(Spec(PROJECT, name, version))
        is_reclaimed = refused_or(refused, lambda: self.registry.reserve(reservation))
        if refused:
            return
        assert is_reclaimed == (entry is not None)
        if entry:
            self.entries.remove(entry)
        self.entries.append(Entry(name, version))
        self.open[name, version] = reservation

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        """Make a reservation visible; the first of its name becomes main."""
        key = data.draw(st.sampled_from(sorted(self.open)))
        entry = self.find(*key)
        assert entry
        is_main = self.registry.publish(self.open.pop(key), deployed())
        entry.state, entry.has_dead_owner = DEPLOYED, False
        self.entries.remove(entry)
        self.entries.append(entry)
        assert is_main == (key[0] not in self.mains)
        if is_main:
            self.point(*key)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Give a reservation back."""
        key = data.draw(st.sampled_from(sorted(self.open)))
        entry = self.find(*key)
        assert entry
        self.registry.release(self.open.pop(key))
        self.entries.remove(entry)

    @rule(name=NAMES, version=VERSIONS, expected=st.none() | VERSIONS)
    def assign(self, name: str, version: str, expected: str | None) -> None:
        """Move main, if the version is deployed and the caller not stale."""
        entry = self.find(name, version)
        refused: type[DaeployError] | None = None
        if entry is None or entry.state != DEPLOYED:
            refused = self.missing(name)
        elif expected is not None and self.mains[name] != expected:
            refused = StaleAssignError
        previous = refused_or(
            refused, lambda: self.registry.assign(name, version, expected=expected)
        )
        if refused:
            return
        assert previous == self.mains[name]
        if previous != version:
            self.point(name, version)

    @rule(name=NAMES, version=VERSIONS)
    def retire(self, name: str, version: str) -> None:
        """Unroute a version, unless it is main with shadows."""
        entry = self.find(name, version)
        is_main = self.mains.get(name) == version
        refused: type[DaeployError] | None = None
        if entry is None or (entry.state == RESERVED and not entry.has_dead_owner):
            refused = self.missing(name)
        elif is_main and len(self.of_name(name, DEPLOYED)) > 1:
            refused = MainProtectedError
        record = refused_or(refused, lambda: self.registry.retire(name, version))
        if refused:
            return
        assert entry
        assert record
        assert record.state == entry.state
        entry.state, entry.has_dead_owner = LEAVING, False
        self.open.pop((name, version), None)
        if is_main:
            del self.mains[name]

    @rule(name=NAMES, version=VERSIONS)
    def forget(self, name: str, version: str) -> None:
        """Delete a retired version; any other is left."""
        entry = self.find(name, version)
        self.registry.forget(name, version)
        if entry and entry.state == LEAVING:
            self.entries.remove(entry)

    @rule()
    def die(self) -> None:
        """Have the processes behind all reservations and removals end."""
        connection = sqlite3.connect(self.state / DATABASE)
        with connection:
            connection.execute(
                "UPDATE versions SET owner = ? WHERE state != 'deployed'",
                (dead_owner(),),
            )
        connection.close()
        self.open.clear()
        for entry in self.entries:
            entry.has_dead_owner |= entry.state != DEPLOYED

    # --------------------------------------------------------- invariants

    @invariant()
    def versions_are_those_of_the_model(self) -> None:
        """Same versions, states and mains, in the same order."""
        assert [
            (r.name, r.version, r.state.value, r.is_main)
            for r in self.registry.versions()
        ] == [
            (e.name, e.version, e.state, self.mains.get(e.name) == e.version)
            for e in sorted(self.entries, key=lambda e: e.name)
        ]

    @invariant()
    def every_non_empty_service_has_one_main(self) -> None:
        """One for each name with a deployed version, none for any other."""
        records = self.registry.versions()
        mains = [r.name for r in records if r.is_main]
        assert sorted(mains) == sorted({r.name for r in records if r.state == DEPLOYED})

    @invariant()
    def segments_are_those_of_the_versions(self) -> None:
        """No route is held by nobody, and none is free that should be held."""
        connection = sqlite3.connect(self.state / DATABASE)
        rows = connection.execute("SELECT segment, name, version FROM segments")
        assert {row[0]: (row[1], row[2]) for row in rows} == self.segments()
        connection.close()

    @invariant()
    def history_is_that_of_the_model(self) -> None:
        """Ordered, complete, and each entry begins where the last one ended."""
        for name, changes in self.histories.items():
            found = self.registry.history(name)
            assert [(c.version, c.previous) for c in found] == changes

    @invariant()
    def routes_are_the_deployed_versions(self) -> None:
        """A router that polls now routes exactly what is deployed."""
        routes = self.reader.poll()
        assert routes is not None
        assert {
            name: (list(route.addresses), route.main) for name, route in routes.items()
        } == {
            name: ([e.version for e in self.of_name(name, DEPLOYED)], main)
            for name, main in self.mains.items()
        }


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)


def test_the_dead_owner_is_dead() -> None:
    """The histories' owner of abandoned reservations has really ended."""
    assert json.loads(dead_owner())["pid"] > 0
    assert not Owner.from_json(dead_owner()).is_alive()
