"""Listing: what there is and what it does, in one call to the runtime."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from cut_short import Altered, hooked, on
from daeploy_lib import Deployer, RuntimeUnavailableError, Status
from daeploy_lib.lifecycle.listing import list_services
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.runtimes.base import Instance


def names(deployer: Deployer) -> list[str]:
    """Return what is listed."""
    return [f"{s.name} {s.version}" for s in deployer.ls()]


def test_the_order(deployer: Deployer, source: Path) -> None:
    """Names alphabetical, versions in order of deployment."""
    for name, version in (("b", "2"), ("a", "10"), ("b", "1"), ("a", "9")):
        deployer.deploy(name, version, source)
    assert names(deployer) == ["a 10", "a 9", "b 2", "b 1"]


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.deploying])
def test_every_status(
    deployer: Deployer, opened: Project, source: Path, status: Status
) -> None:
    """The listing says what the runtime says, in one call to it."""
    deployer.deploy("hello", "1", source)
    deployer.deploy("hello", "2", source)
    uptime = {"uptime": "Up Less than a second"}
    changes: dict[str, dict[str, object]] = {
        "1": {"status": status, **uptime},
        "2": {"status": Status.exited},
    }
    runtime = Altered(opened.runtime, changes)
    assert [s.status for s in list_services(on(opened, runtime))] == [
        status,
        Status.exited,
    ]
    assert runtime.asked == ["list"]


def test_when_a_version_has_started_again(
    deployer: Deployer, opened: Project, source: Path
) -> None:
    """The recorded start is not believed when the runtime's words contradict it."""
    recorded = deployer.deploy("hello", "1", source).started_at
    again = datetime.now(UTC) + timedelta(hours=1)
    changes = {"1": {"uptime": "Up 3 days", "started_at": again}}
    runtime = Altered(opened.runtime, changes)
    # As it is listed by a runtime whose listing knows.
    assert list_services(on(opened, runtime))[0].started_at == again
    assert runtime.asked == ["list"]

    class _Unsure(Altered):
        def list(self, project: str) -> Sequence[Instance]:
            found = super().list(project)
            return [attrs.evolve(i, started_at=None) for i in found]

    unsure = _Unsure(opened.runtime, changes)
    assert list_services(on(opened, unsure))[0].started_at == again
    assert unsure.asked == ["list", "inspect"]

    class _Gone(_Unsure):
        def inspect(self, instance_id: str) -> Instance | None:
            del instance_id
            return None

    class _Refusing(_Unsure):
        def inspect(self, instance_id: str) -> Instance | None:
            raise RuntimeUnavailableError(instance_id)

    for kind in (_Gone, _Refusing):
        sly = kind(opened.runtime, changes)
        assert list_services(on(opened, sly))[0].started_at == recorded


def test_an_engine_that_is_gone(
    deployer: Deployer, opened: Project, source: Path
) -> None:
    """What needs the engine says so; routes and history are still there."""
    deployer.deploy("hello", "1", source)

    def be_gone(name: str, phase: str) -> None:
        if name == "list" and phase == "before":
            raise RuntimeUnavailableError("It is gone.")

    with Deployer(opened.runtime, state=opened.state) as without:
        without._opened = hooked(opened, be_gone)
        for look in (without.ls, lambda: without.get("hello")):
            with pytest.raises(RuntimeUnavailableError):
                look()
        assert len(without.history("hello")) == 1
