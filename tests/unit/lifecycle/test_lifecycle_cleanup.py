"""Cleanup removes what crashes have left, and nothing else."""

from pathlib import Path

from cut_short import Cut, hooked
from daeploy_lib import Deployer
from daeploy_lib.domain.spec import Spec
from daeploy_lib.lifecycle.killing import kill
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.lifecycle.sweeping import sweep
from daeploy_lib.registry.registry import Reservation
from deployer_process import run_python
from runtime_contexts import Files


def names(deployer: Deployer) -> list[str]:
    """Return what is listed."""
    return [f"{s.name} {s.version}" for s in deployer.ls()]


def dead(opened: Project, code: str) -> None:
    """Have a process do something to the registry and be killed."""
    begin = """
from daeploy_lib.registry.registry import Registry, Reservation
registry = Registry(state, "default")
registry.prepare()
def reserve(name, version):
    reservation = Reservation.of(Spec("default", name, version))
    registry.reserve(reservation)
    return reservation
"""
    done = run_python(begin + code + "\nos.kill(os.getpid(), 9)", opened.state)
    assert done.returncode == -9, done.stderr


def remains(opened: Project, version: str) -> None:
    """Leave on the runtime what a deployment makes before it is published."""
    spec = Spec("default", "hello", version)
    context = Files({"service.py": ""})
    runtime, registry = opened.runtime, opened.registry_id
    artifact = runtime.build(spec, context, lambda _: None, registry=registry)
    runtime.start(spec, artifact, registry=registry)


def test_cleanup_shows_first_what_it_then_removes(
    deployer: Deployer, opened: Project, source: Path
) -> None:
    """Reservations, instances and images of dead processes; a repeat finds none."""
    deployer.deploy("hello", "1", source)
    dead(opened, 'reserve("hello", "2")')
    remains(opened, "2")
    remains(opened, "3")
    assert names(deployer) == ["hello 1"]
    shown = deployer.cleanup(dry_run=True)
    assert deployer.cleanup(dry_run=True) == shown
    kinds = [leftover.kind for leftover in shown]
    assert kinds == ["reservation", "container", "container", "image", "image"]
    assert "was being deployed by process" in shown[0].reason
    assert deployer.cleanup() == shown
    assert deployer.cleanup() == []
    assert names(deployer) == ["hello 1"]
    assert [i.version for i in opened.runtime.list("default")] == ["1"]
    assert not deployer.deploy("hello", "2", source).is_main


def test_cleanup_completes_a_kill_of_a_dead_process(
    deployer: Deployer, opened: Project, source: Path
) -> None:
    """What was being killed is removed."""
    for version in ("1", "2"):
        deployer.deploy("hello", version, source)
    dead(opened, 'registry.retire("hello", "2")')
    [shown, *more] = deployer.cleanup()
    assert "was being killed by process" in shown.reason
    assert {leftover.kind for leftover in more} == {"container", "image"}
    assert deployer.cleanup() == []
    assert names(deployer) == ["hello 1"]


def test_a_dead_processs_version_can_be_deployed_or_killed_at_once(
    deployer: Deployer, opened: Project, source: Path
) -> None:
    """Without cleanup: its remains make way."""
    for verb in ("deploy", "kill", "kill name"):
        dead(opened, 'reserve("hello", "2")')
        remains(opened, "2")
        if verb == "deploy":
            deployer.deploy("hello", "2", source)
        assert deployer.kill("hello", None if verb == "kill name" else "2")
        assert opened.runtime.list("default") == []
        assert deployer.cleanup() == []


def test_cleanup_beside_a_deployment(deployer: Deployer, opened: Project) -> None:
    """What another process begins to deploy during a cleanup is left alone."""

    def begin(name: str, phase: str) -> None:
        if (name, phase) == ("leftovers", "before") and not len(deployer.ls()):
            opened.registry.reserve(Reservation.of(Spec("default", "hello", "1")))
            remains(opened, "1")

    assert sweep(hooked(opened, begin), dry_run=False) == []
    assert [i.version for i in opened.runtime.list("default")] == ["1"]


def test_two_cleanups_at_once(deployer: Deployer, opened: Project) -> None:
    """The slower one is not troubled by what has gone."""
    dead(opened, 'reserve("hello", "2")')
    remains(opened, "2")
    shown = deployer.cleanup(dry_run=True)

    def be_faster(name: str, phase: str) -> None:
        if (name, phase) == ("retire", "before"):
            assert deployer.cleanup() == shown

    assert sweep(hooked(opened, be_faster), dry_run=False) == shown
    assert opened.runtime.list("default") == []


def test_a_cleanup_that_is_cut_short(
    deployer: Deployer, opened: Project, source: Path
) -> None:
    """At every moment: a repeat removes the rest, and no version is touched."""
    deployer.deploy("hello", "1", source)
    moment = 0
    while True:
        deployer.deploy("hello", "2", source)
        kill(opened, "hello", "2", keep_image=True, grace=0.0)
        remains(opened, "3")
        cut = Cut(moment)
        try:
            sweep(hooked(opened, cut), dry_run=False)
        except KeyboardInterrupt:
            deployer.cleanup()
        assert deployer.cleanup() == []
        assert names(deployer) == ["hello 1"]
        if not cut.is_done:
            break
        moment += 1
    assert "after remove_leftover" in cut.seen
