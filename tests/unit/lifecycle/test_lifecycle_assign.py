"""Assign and rollback: main changes to a ready version, or not at all."""

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from cut_short import hooked
from daeploy_lib import (
    Deployer,
    NotReadyError,
    RuntimeUnavailableError,
    ServiceNotFoundError,
    StaleAssignError,
    Status,
    VersionNotFoundError,
)
from daeploy_lib.domain.spec import Spec
from daeploy_lib.lifecycle.assigning import assign, rollback
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.registry.registry import Reservation
from daeploy_lib.runtimes.memory import MemoryRuntime


@pytest.fixture
def trio(deployer: Deployer, source: Path) -> Deployer:
    """Main 1.0.0 with the shadows 2.0.0 and 3.0.0."""
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        deployer.deploy("hello", version, source)
    return deployer


def main_of(deployer: Deployer) -> str:
    """Return which version is main."""
    return deployer.get("hello").version


def shares(runtime: MemoryRuntime) -> list[str]:
    """Return the versions that run with main's share."""
    return [i.version for i in runtime.list("default") if i.has_main_share]


def crash(runtime: MemoryRuntime, version: str) -> None:
    """Have a version end, as if by itself."""
    [found] = [i for i in runtime.list("default") if i.version == version]
    runtime.crash(found.id)


def test_assign_returns_the_new_main(trio: Deployer, runtime: MemoryRuntime) -> None:
    """As the listing shows it; the processor shares follow."""
    service = trio.assign("hello", "2.0.0")
    assert (service.version, service.is_main, service.status) == (
        "2.0.0",
        True,
        Status.running,
    )
    assert service == trio.get("hello")
    assert shares(runtime) == ["2.0.0"]


def test_assigning_main_changes_nothing(trio: Deployer) -> None:
    """It is returned, and the history has no entry of it."""
    before = trio.history("hello")
    assert trio.assign("hello", "1.0.0").is_main
    assert trio.history("hello") == before


def test_a_version_that_is_not_ready_is_not_assigned(
    trio: Deployer, runtime: MemoryRuntime
) -> None:
    """The error says what was observed; main, history and shares stay."""
    crash(runtime, "2.0.0")
    before = trio.ls(), trio.history("hello"), shares(runtime)
    with pytest.raises(NotReadyError, match=r"refuses the connection.*not changed"):
        trio.assign("hello", "2.0.0")
    assert (trio.ls(), trio.history("hello"), shares(runtime)) == before


def test_a_version_that_is_still_being_deployed(
    trio: Deployer, opened: Project
) -> None:
    """It cannot be main, be inspected, or give its log yet."""
    opened.registry.reserve(Reservation.of(Spec("default", "hello", "4.0.0")))
    attempts: list[Any] = [
        lambda: trio.assign("hello", "4.0.0"),
        lambda: trio.logs("hello", "4.0.0"),
        lambda: trio.inspect("hello", "4.0.0"),
    ]
    for attempt in attempts:
        with pytest.raises(VersionNotFoundError, match="is still being deployed") as e:
            attempt()
        assert e.value.known == ("1.0.0", "2.0.0", "3.0.0")
    assert trio.get("hello", "4.0.0").status is Status.deploying
    assert main_of(trio) == "1.0.0"


def test_a_stale_caller_is_refused(trio: Deployer) -> None:
    """Main is another than expected: nothing is changed."""
    with pytest.raises(StaleAssignError) as stale:
        trio.assign("hello", "3.0.0", expected="2.0.0")
    assert (stale.value.expected, stale.value.actual) == ("2.0.0", "1.0.0")
    assert main_of(trio) == "1.0.0"
    assert trio.assign("hello", "3.0.0", expected="1.0.0").is_main


def test_unknown_names_and_versions(trio: Deployer) -> None:
    """Each verb says what is deployed."""
    for verb in (trio.get, trio.assign, trio.kill, trio.inspect, trio.logs):
        with pytest.raises(ServiceNotFoundError, match="Deployed services: hello"):
            verb("nobody", "1.0.0")
        with pytest.raises(VersionNotFoundError, match=r"1\.0\.0, 2\.0\.0, 3\.0\.0"):
            verb("hello", "9")
    for one in (trio.get, trio.rollback, trio.history, trio.inspect, trio.logs):
        with pytest.raises(ServiceNotFoundError):
            one("nobody")
    assert len(trio.ls("nobody")) == 0
    assert [s.version for s in trio.ls("hello", "2.0.0")] == ["2.0.0"]
    with pytest.raises(ValueError, match="tail must be 0 or more"):
        trio.logs("hello", tail=-1)


def test_the_first_version_of_a_name_is_still_being_deployed(
    deployer: Deployer, opened: Project
) -> None:
    """Who asks for main is told which version comes, and from which process."""
    opened.registry.reserve(Reservation.of(Spec("default", "slow", "1.0.0")))
    words = "Version '1.0.0' of 'slow' is still being deployed by process"
    for verb in (deployer.get, deployer.logs, deployer.inspect, deployer.kill):
        with pytest.raises(VersionNotFoundError) as early:
            verb("slow")
        assert str(early.value).startswith(f"{words} {os.getpid()} on ")
        assert "Wait for that process" in str(early.value)


def test_rollback_and_again(trio: Deployer) -> None:
    """It returns to the main before, and a second one returns from there."""
    with pytest.raises(VersionNotFoundError, match="is the first main"):
        trio.rollback("hello")
    trio.assign("hello", "2.0.0")
    trio.assign("hello", "3.0.0")
    assert trio.rollback("hello").version == "2.0.0"
    assert trio.rollback("hello").version == "3.0.0"
    changes = [(c.previous, c.version) for c in trio.history("hello")]
    assert changes == [
        (None, "1.0.0"),
        ("1.0.0", "2.0.0"),
        ("2.0.0", "3.0.0"),
        ("3.0.0", "2.0.0"),
        ("2.0.0", "3.0.0"),
    ]


def test_rollback_to_a_killed_version(trio: Deployer) -> None:
    """There is nothing to return to, and main stays."""
    trio.assign("hello", "2.0.0")
    trio.kill("hello", "1.0.0")
    with pytest.raises(VersionNotFoundError) as missing:
        trio.rollback("hello")
    assert missing.value.version == "1.0.0"
    assert main_of(trio) == "2.0.0"


def test_rollback_to_a_version_that_is_not_ready(
    trio: Deployer, runtime: MemoryRuntime
) -> None:
    """Main stays."""
    trio.assign("hello", "2.0.0")
    crash(runtime, "1.0.0")
    with pytest.raises(NotReadyError):
        trio.rollback("hello")
    assert main_of(trio) == "2.0.0"


def test_rollback_beside_another_assign(trio: Deployer, opened: Project) -> None:
    """An assign that comes in between is not rolled back."""
    trio.assign("hello", "2.0.0")

    def interfere(name: str, phase: str) -> None:
        if (name, phase) == ("history", "after"):
            trio.assign("hello", "3.0.0")

    with pytest.raises(StaleAssignError):
        rollback(hooked(opened, interfere), "hello")
    assert main_of(trio) == "3.0.0"


@pytest.mark.parametrize(
    "moment", [("assign", "after"), ("main", "before"), ("main", "after")]
)
def test_shares_follow_an_assign_that_comes_in_between(
    trio: Deployer, opened: Project, runtime: MemoryRuntime, moment: tuple[str, str]
) -> None:
    """Of two assigns at once, the shares end as the registry says."""

    def interfere(name: str, phase: str) -> None:
        if (name, phase) == moment and main_of(trio) == "2.0.0":
            trio.assign("hello", "3.0.0")

    assert assign(hooked(opened, interfere), "hello", "2.0.0").version == "2.0.0"
    assert main_of(trio) == "3.0.0"
    assert shares(runtime) == ["3.0.0"]


@pytest.mark.parametrize("expected", [None, "1.0.0"])
def test_shares_follow_an_assign_that_was_faster(
    trio: Deployer, opened: Project, runtime: MemoryRuntime, expected: str | None
) -> None:
    """The roles are not those that were read, and the change may be refused."""

    def interfere(name: str, phase: str) -> None:
        if (name, phase) == ("assign", "before") and main_of(trio) == "1.0.0":
            trio.assign("hello", "3.0.0")

    refused = pytest.raises(StaleAssignError) if expected else contextlib.nullcontext()
    with refused:
        assign(hooked(opened, interfere), "hello", "2.0.0", expected=expected)
    assert main_of(trio) == ("3.0.0" if expected else "2.0.0")
    assert shares(runtime) == [main_of(trio)]


def test_shares_of_a_service_that_is_killed_meanwhile(
    trio: Deployer, opened: Project
) -> None:
    """There is nothing to share any more."""

    def interfere(name: str, phase: str) -> None:
        if (name, phase) == ("assign", "after"):
            trio.kill("hello")

    assign(hooked(opened, interfere), "hello", "2.0.0")
    assert not trio.ls()


class _WithoutShares(MemoryRuntime):
    def set_share(self, instance_id: str, *, is_main: bool) -> None:
        raise RuntimeUnavailableError(f"No share for {instance_id}: {is_main}.")

    def inspect(self, instance_id: str) -> Any:
        raise RuntimeUnavailableError(f"{instance_id} cannot be asked.")


def test_an_engine_that_is_gone_does_not_stop_an_assign(
    trio: Deployer, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Versions that answer can be assigned; that the shares stay is logged."""
    with Deployer(_WithoutShares(), state=state) as without:
        assert without.assign("hello", "2.0.0").is_main
        assert without.rollback("hello").version == "1.0.0"
    assert "Processor shares do not follow" in caplog.text
    assert main_of(trio) == "1.0.0"
