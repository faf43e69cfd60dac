"""Deploy is all or nothing, whatever fails and whenever."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cut_short import Cut, Hook, hooked
from daeploy_lib import (
    BuildError,
    Deployer,
    DeployError,
    Event,
    NotReadyError,
    Readiness,
    RuntimeUnavailableError,
    Service,
    ServiceNotFoundError,
    StartError,
    StateError,
    Status,
    VersionExistsError,
    VersionNotFoundError,
)
from daeploy_lib.domain.spec import Spec
from daeploy_lib.lifecycle.deploying import deploy
from daeploy_lib.lifecycle.killing import kill
from daeploy_lib.lifecycle.project import Project, open_project
from daeploy_lib.lifecycle.sweeping import sweep
from daeploy_lib.registry.registry import Registry, Reservation
from daeploy_lib.registry.state import DATABASE
from daeploy_lib.runtimes.memory import Behaviour, MemoryRuntime
from runtime_contexts import Files

QUICK = Readiness(timeout=0.3, interval=0.05)
CONTENT = Files({"service.py": ""})


def ignore(event: Event) -> None:
    """Take an event that nobody looks at."""
    del event


def deploy_version(project: Project, version: str) -> Service:
    """Deploy a version of the service of these tests."""
    spec = Spec(project.name, "hello", version, readiness=QUICK)
    return deploy(project, spec, CONTENT, ignore)


def facts(project: Project) -> object:
    """Return all that a failed deployment must not change."""
    registry, runtime = project.registry, project.runtime
    known = [(r.name, r.version) for r in registry.versions()]
    return (
        registry.versions(),
        list(runtime.list(project.name)),
        runtime.leftovers(project.name, project.registry_id, known),
    )


@pytest.fixture(params=["first", "shadow"])
def prepared(request: pytest.FixtureRequest, opened: Project) -> Project:
    """A project with nothing in it, or with a main."""
    if request.param == "shadow":
        deploy_version(opened, "1.0.0")
    return opened


@pytest.mark.parametrize(
    ("behaviour", "error", "stage"),
    [
        (Behaviour(build_error="no such base"), BuildError, "build"),
        (Behaviour(start_error="no such program"), StartError, "start"),
        (Behaviour(exit_code=3, lines=("at the end",)), StartError, "ready"),
        (Behaviour(is_silent=True), NotReadyError, "ready"),
        (Behaviour(status=503), NotReadyError, "ready"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_failed_stage(
    prepared: Project,
    runtime: MemoryRuntime,
    behaviour: Behaviour,
    error: type[DeployError],
    stage: str,
) -> None:
    """The error names the stage, nothing is left, and the version is free."""
    before = facts(prepared)
    runtime.behave("hello", behaviour)
    with pytest.raises(error) as failed:
        deploy_version(prepared, "2.0.0")
    assert type(failed.value) is error
    assert failed.value.stage == stage
    assert (failed.value.name, failed.value.version) == ("hello", "2.0.0")
    if behaviour.exit_code:
        assert failed.value.exit_code == behaviour.exit_code
        assert failed.value.log_lines == behaviour.lines
    assert facts(prepared) == before
    runtime.behave("hello", Behaviour())
    assert deploy_version(prepared, "2.0.0").version == "2.0.0"


def test_a_deployed_version_is_returned(opened: Project) -> None:
    """It runs, the first is main, and it is the same that the listing shows."""
    first = deploy_version(opened, "1.0.0")
    second = deploy_version(opened, "2.0.0")
    assert (first.is_main, second.is_main) == (True, False)
    assert first.status is second.status is Status.running
    assert first.started_at is not None
    assert first.source_digest == CONTENT.digest
    shares = {i.version: i.has_main_share for i in opened.runtime.list("default")}
    assert shares == {"1.0.0": True, "2.0.0": False}
    assert all(i.has_settled for i in opened.runtime.list("default"))


def cuts(times: int) -> Iterator[Cut]:
    """Yield a cut at each moment, until one comes too late to be seen."""
    moment = 0
    while True:
        cut = Cut(moment, times=times)
        yield cut
        if not cut.is_done:
            return
        moment += 1


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_ctrl_c_at_every_moment(
    prepared: Project, times: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Before and after each call: nothing is left, and the version is free."""
    caplog.set_level(logging.CRITICAL)
    before = facts(prepared)
    moments = []
    for cut in cuts(times):
        cut_project = hooked(prepared, cut)
        moments = cut.seen
        if not _is_interrupted(cut_project):
            break
        assert facts(prepared) == before, cut.seen
    assert {"after reserve", "after build", "after start", "after settle"} < set(
        moments
    )
    assert "after publish" in moments
    assert [r.version for r in prepared.registry.versions()][-1] == "2.0.0"


def _is_interrupted(project: Project) -> bool:
    try:
        deploy_version(project, "2.0.0")
    except KeyboardInterrupt:
        return True
    return False


@pytest.mark.parametrize("stage", ["build", "start", "ready", "done"])
def test_ctrl_c_in_a_hook(prepared: Project, stage: str) -> None:
    """An interrupt while an event is shown undoes the deployment as well."""
    before = facts(prepared)

    def interrupt(event: Event) -> None:
        if event.stage == stage:
            raise KeyboardInterrupt

    spec = Spec("default", "hello", "2.0.0")
    with pytest.raises(KeyboardInterrupt):
        deploy(prepared, spec, CONTENT, interrupt)
    assert facts(prepared) == before
    deploy_version(prepared, "2.0.0")


def test_a_hook_that_fails_does_not_fail_the_deployment(
    opened: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever on_event raises is logged."""

    def fail(event: Event) -> None:
        raise RuntimeError(event.stage)

    service = deploy(opened, Spec("default", "hello", "1.0.0"), CONTENT, fail)
    assert service.is_main
    assert "on_event failed" in caplog.text


def gone_from(moment: int, exempt: Callable[[str], bool]) -> Hook:
    """Return a hook after whose moment the engine is gone."""
    count = 0

    def hook(name: str, phase: str) -> None:
        nonlocal count
        if exempt(name):
            return
        count += 1
        if count > moment and phase == "before":
            raise RuntimeUnavailableError("It is gone.")

    return hook


REGISTRY_CALLS = frozenset(name for name in vars(Registry) if name[0] != "_")


def test_an_engine_that_goes_away_at_any_moment(
    prepared: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """The version is free at once; what the engine still has, cleanup removes."""
    caplog.set_level(logging.CRITICAL)
    versions = prepared.registry.versions()
    # Each call of a deployment to its runtime: build, start, inspect, settle.
    for moment in range(0, 8, 2):
        cut = hooked(prepared, gone_from(moment, REGISTRY_CALLS.__contains__))
        with pytest.raises(RuntimeUnavailableError):
            deploy_version(cut, "2.0.0")
        assert prepared.registry.versions() == versions
        shown = sweep(prepared, dry_run=True)
        assert bool(shown) == (moment > 0)
        assert sweep(prepared, dry_run=False) == shown
        assert sweep(prepared, dry_run=False) == []
    deploy_version(prepared, "2.0.0")


def test_an_engine_that_goes_away_when_all_is_done(opened: Project) -> None:
    """Shares that cannot be set do not undo what is published."""
    cut = hooked(opened, gone_from(8, REGISTRY_CALLS.__contains__))
    assert deploy_version(cut, "1.0.0").is_main


@pytest.mark.parametrize("anew", [False, True], ids=["gone", "made anew"])
def test_a_registry_that_is_lost_midway(
    opened: Project, state: Path, runtime: MemoryRuntime, *, anew: bool
) -> None:
    """The deployment fails, and what it made is removed."""

    def lose(name: str, phase: str) -> None:
        if (name, phase) == ("settle", "after"):
            (state / DATABASE).unlink()
            if anew:
                Registry(state, "default").prepare()

    with pytest.raises(VersionNotFoundError if anew else StateError):
        deploy_version(hooked(opened, lose), "1.0.0")
    assert runtime.list("default") == []
    again = open_project("default", state, runtime)
    assert again.registry.versions() == ()
    assert again.runtime.leftovers("default", again.registry_id, []) == []
    assert deploy_version(again, "1.0.0").is_main


def test_a_lost_registry_that_has_adopted_it(
    opened: Project, state: Path, runtime: MemoryRuntime
) -> None:
    """What another process has taken up meanwhile is left to it."""

    def adopt(name: str, phase: str) -> None:
        if (name, phase) == ("settle", "after"):
            (state / DATABASE).unlink()
            open_project("default", state, runtime)

    with pytest.raises(VersionNotFoundError, match="lost its reservation"):
        deploy_version(hooked(opened, adopt), "1.0.0")
    with Deployer(runtime, state=state) as deployer:
        assert [s.version for s in deployer.ls()] == ["1.0.0"]
        assert [s.version for s in deployer.kill("hello")] == ["1.0.0"]


def test_a_registry_that_cannot_be_used_at_all(
    opened: Project, state: Path, runtime: MemoryRuntime
) -> None:
    """Nothing is made, and the error is the registry's own."""
    (state / DATABASE).unlink()
    with pytest.raises(StateError):
        deploy_version(opened, "1.0.0")
    assert runtime.list("default") == []


def test_a_version_that_is_killed_before_deploy_returns(opened: Project) -> None:
    """The caller is told; nothing is left of it."""

    def remove(name: str, phase: str) -> None:
        if (name, phase) == ("publish", "after"):
            kill(opened, "hello", "1.0.0", keep_image=False, grace=0.0)

    with pytest.raises(ServiceNotFoundError):
        deploy_version(hooked(opened, remove), "1.0.0")
    assert opened.registry.versions() == ()
    assert opened.runtime.list("default") == []


def test_a_version_that_others_rely_on_is_not_undone(
    opened: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """Interrupted after it became main, and has a shadow already: it stays."""

    def interrupt(name: str, phase: str) -> None:
        if (name, phase) == ("publish", "after"):
            deploy_version(opened, "2.0.0")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deploy_version(hooked(opened, interrupt), "1.0.0")
    assert [r.version for r in opened.registry.versions()] == ["1.0.0", "2.0.0"]
    assert "Could not undo" in caplog.text


def test_a_taken_version_is_refused_before_anything_is_built(opened: Project) -> None:
    """Deployed, or being deployed: nothing of it is touched."""
    deploy_version(opened, "1.0.0")
    opened.registry.reserve(Reservation.of(Spec("default", "hello", "2.0.0")))
    before = facts(opened)
    for version in ("1.0.0", "2.0.0"):
        cut = Cut(1_000)
        with pytest.raises(VersionExistsError):
            deploy_version(hooked(opened, cut), version)
        assert not any("build" in moment for moment in cut.seen)
        assert facts(opened) == before


def test_deploying_while_main_is_being_killed(
    opened: Project, deployer: Deployer, source: Path
) -> None:
    """A version deployed while the lone main ends becomes main."""
    deploy_version(opened, "1.0.0")

    def deploy_another(name: str, phase: str) -> None:
        if (name, phase) == ("retire", "after"):
            assert deployer.deploy("hello", "2.0.0", source).is_main

    kill(hooked(opened, deploy_another), "hello", "1.0.0", keep_image=False, grace=0.0)
    assert [(s.version, s.is_main) for s in deployer.ls()] == [("2.0.0", True)]
