"""Kill: cut short anywhere it leaves a legal state, and a repeat completes it."""

import contextlib
from pathlib import Path

import pytest

from cut_short import Cut, hooked
from daeploy_lib import (
    Deployer,
    MainProtectedError,
    RuntimeUnavailableError,
    ServiceNotFoundError,
    Status,
    VersionExistsError,
    VersionNotFoundError,
)
from daeploy_lib.domain.spec import Spec
from daeploy_lib.lifecycle.killing import kill, kill_name
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.registry.inflight import InFlight
from daeploy_lib.registry.registry import Reservation
from daeploy_lib.runtimes.memory import MemoryRuntime


@pytest.fixture
def pair(deployer: Deployer, source: Path) -> Deployer:
    """Main 1.0.0 and its shadow 2.0.0."""
    deployer.deploy("hello", "1.0.0", source)
    deployer.deploy("hello", "2.0.0", source)
    return deployer


def left(project: Project) -> list[object]:
    """Return what the runtime has of no version."""
    known = [(r.name, r.version) for r in project.registry.versions()]
    return list(
        project.runtime.leftovers(project.name, project.registry_id, sorted(known))
    )


def is_cut(project: Project, version: str | None) -> bool:
    """Kill a version, or all; return whether that was interrupted."""
    try:
        if version is None:
            kill_name(project, "hello", keep_image=False, grace=0.0)
        else:
            kill(project, "hello", version, keep_image=False, grace=0.0)
    except KeyboardInterrupt:
        return True
    return False


@pytest.mark.parametrize("version", ["2.0.0", None], ids=["shadow", "name"])
def test_a_kill_that_is_cut_short_is_completed_by_a_repeat(
    deployer: Deployer,
    opened: Project,
    runtime: MemoryRuntime,
    source: Path,
    version: str | None,
) -> None:
    """At every moment: main is main or gone last, nothing is lost, a repeat ends it."""
    moments: list[str] = []
    cut = Cut(0)
    while True:
        for missing in ("1.0.0", "2.0.0"):
            if missing not in {s.version for s in deployer.ls("hello")}:
                deployer.deploy("hello", missing, source, on_event=lambda _: None)
        deployer.assign("hello", "1.0.0")
        if not is_cut(hooked(opened, cut), version):
            break
        moments = cut.seen
        mains = {r.version: r.is_main for r in opened.registry.versions()}
        assert mains.get("1.0.0") or (version is None and "2.0.0" not in mains)
        assert left(opened) == []
        # Interrupted when all was done.
        with contextlib.suppress(LookupError):
            deployer.kill("hello", version, grace=0.0)
        assert left(opened) == []
        kept = [] if version is None else ["1.0.0"]
        assert [i.version for i in runtime.list("default")] == kept
        assert [s.version for s in deployer.ls()] == kept
        cut = Cut(cut.moment + 1)
    assert {"after retire", "after stop", "before remove_artifact"} <= set(moments)


def test_a_version_that_is_being_removed_cannot_be_deployed(
    pair: Deployer, opened: Project, source: Path
) -> None:
    """Its row stays until the kill is completed."""
    assert is_cut(hooked(opened, Cut(2)), "2.0.0")
    with pytest.raises(VersionExistsError, match="is being removed"):
        pair.deploy("hello", "2.0.0", source)
    with pytest.raises(VersionNotFoundError, match="is still being removed"):
        pair.assign("hello", "2.0.0")
    pair.kill("hello", "2.0.0")
    assert not pair.deploy("hello", "2.0.0", source).is_main


def test_main_with_shadows_is_protected(pair: Deployer, runtime: MemoryRuntime) -> None:
    """Nothing is changed, and the error names the shadows."""
    before = pair.ls(), runtime.list("default")
    with pytest.raises(MainProtectedError, match=r"shadows \(2\.0\.0\)"):
        pair.kill("hello", "1.0.0")
    assert (pair.ls(), runtime.list("default")) == before


def test_a_name_goes_shadows_first(pair: Deployer, source: Path) -> None:
    """The order of removal, main being neither the first nor the last deployed."""
    pair.deploy("hello", "3.0.0", source)
    pair.assign("hello", "2.0.0")
    assert [s.version for s in pair.kill("hello")] == ["1.0.0", "3.0.0", "2.0.0"]


def test_a_shadow_that_comes_while_a_name_is_killed(
    pair: Deployer, opened: Project, source: Path
) -> None:
    """It is killed as well; main still goes last."""
    has_come = False

    def come(name: str, phase: str) -> None:
        nonlocal has_come
        # The second removal would be that of main.
        is_last = (name, phase) == ("retire", "before") and len(pair.ls()) == 1
        if is_last and not has_come:
            has_come = True
            pair.deploy("hello", "3.0.0", source)

    killed = kill_name(hooked(opened, come), "hello", keep_image=False, grace=0.0)
    assert [r.version for r in killed] == ["2.0.0", "3.0.0", "1.0.0"]


def test_two_kills_of_one_name_at_once(pair: Deployer, opened: Project) -> None:
    """Another process that is faster does not fail this one."""

    def be_faster(name: str, phase: str) -> None:
        if (name, phase) == ("retire", "before") and len(pair.ls()) == 2:
            pair.kill("hello")

    killed = kill_name(hooked(opened, be_faster), "hello", keep_image=False, grace=0.0)
    assert killed == []
    assert not pair.ls()


def test_kill_all_goes_on_when_another_process_is_faster(
    pair: Deployer, opened: Project, source: Path, runtime: MemoryRuntime
) -> None:
    """What has vanished meanwhile is no error."""
    pair.deploy("other", "1", source)
    with Deployer(runtime, state=opened.state) as another:

        def be_faster(name: str, phase: str) -> None:
            if (name, phase) == ("retire", "before") and len(pair.ls("other")):
                pair.kill("other")

        another._opened = hooked(opened, be_faster)
        assert [s.name for s in another.kill_all()] == ["hello", "hello"]
    assert not pair.ls()


def test_what_was_killed_has_exited(pair: Deployer, source: Path) -> None:
    """It is returned as what was removed on purpose, and not as missing."""
    [shadow] = pair.kill("hello", "2.0.0")
    pair.deploy("hello", "3.0.0", source)
    assert [shadow.status, *(s.status for s in pair.kill_all())] == [Status.exited] * 3


def test_nothing_to_kill(deployer: Deployer, opened: Project, source: Path) -> None:
    """Unknown names and versions, and one that is still being deployed."""
    with pytest.raises(ServiceNotFoundError):
        deployer.kill("hello")
    with pytest.raises(ServiceNotFoundError):
        deployer.kill("hello", "1.0.0")
    opened.registry.reserve(Reservation.of(Spec("default", "hello", "1.0.0")))
    with pytest.raises(VersionNotFoundError, match="is still being deployed by"):
        deployer.kill("hello", "1.0.0")
    with pytest.raises(VersionNotFoundError):
        deployer.kill("hello")
    assert len(deployer.kill_all()) == 0
    deployer.deploy("hello", "2.0.0", source)
    with pytest.raises(VersionNotFoundError, match="Deployed versions: 2\\.0\\.0"):
        deployer.kill("hello", "3.0.0")
    assert [s.version for s in deployer.kill("hello")] == ["2.0.0"]


@pytest.mark.parametrize("grace", [-1, float("nan"), float("inf")])
def test_a_wrong_grace(pair: Deployer, grace: float) -> None:
    """It is refused before anything is touched."""
    with pytest.raises(ValueError, match="grace must be seconds"):
        pair.kill("hello", "2.0.0", grace=grace)
    with pytest.raises(ValueError, match="grace must be seconds"):
        pair.kill_all(grace=grace)
    assert len(pair.ls()) == 2


def test_an_image_can_be_kept(pair: Deployer, opened: Project) -> None:
    """With keep_image it stays, until cleanup."""
    pair.kill("hello", "2.0.0", keep_image=True)
    kept = left(opened)
    assert len(kept) == 1
    assert pair.cleanup() == kept
    assert left(opened) == []


def test_a_kill_without_an_engine(pair: Deployer, opened: Project) -> None:
    """The version is unrouted; when the engine is back, a repeat completes it."""

    def be_gone(name: str, phase: str) -> None:
        if (name, phase) == ("stop", "before"):
            raise RuntimeUnavailableError("It is gone.")

    with pytest.raises(RuntimeUnavailableError):
        kill(hooked(opened, be_gone), "hello", "2.0.0", keep_image=False, grace=0.0)
    assert [s.version for s in pair.ls()] == ["1.0.0", "2.0.0"]
    assert [s.version for s in pair.kill("hello", "2.0.0")] == ["2.0.0"]
    assert [s.version for s in pair.ls()] == ["1.0.0"]


def test_a_vanished_version_can_be_killed(
    pair: Deployer, runtime: MemoryRuntime
) -> None:
    """One that somebody else removed is listed as missing, and killed all the same."""
    [gone] = [i for i in runtime.list("default") if i.version == "2.0.0"]
    runtime.stop(gone.id, grace=0.0)
    assert [s.status for s in pair.ls()] == [Status.running, Status.missing]
    assert pair.get("hello", "2.0.0").status is Status.missing
    assert pair.inspect("hello", "2.0.0")["runtime"] == {}
    pair.kill("hello", "2.0.0")
    assert [s.version for s in pair.ls()] == ["1.0.0"]


def test_requests_in_flight_are_waited_for(
    pair: Deployer, opened: Project, state: Path
) -> None:
    """Not longer than the grace, and only for those to this version."""
    counts = InFlight(state)
    counts.enter("default\0hello\x001.0.0")
    slot = counts.enter("default\0hello\x002.0.0")
    try:
        seen: list[float] = []

        def leave(name: str, phase: str) -> None:
            if (name, phase) == ("stop", "before"):
                seen.append(counts._counts[slot * 4 + 3] if counts._counts else -1)

        kill(hooked(opened, leave), "hello", "2.0.0", keep_image=False, grace=0.2)
        assert seen == [1]
        assert [s.version for s in pair.ls()] == ["1.0.0"]
    finally:
        counts.close()
