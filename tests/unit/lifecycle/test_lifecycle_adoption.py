"""Adoption: what runs is read back from labels after the registry was lost."""

from pathlib import Path
from typing import cast

import attrs
import pytest

from cut_short import Altered
from daeploy_lib import Deployer, Status
from daeploy_lib.domain.spec import Spec
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.registry.state import DATABASE
from daeploy_lib.runtimes.base import Instance, Runtime
from daeploy_lib.runtimes.memory import MemoryRuntime


def lose(project: Project) -> None:
    """Delete the registry's file."""
    (project.state / DATABASE).unlink()


def roles(deployer: Deployer) -> list[str]:
    """Return what is listed, with a star for main."""
    return [f"{s.name} {s.version}{'*' * s.is_main}" for s in deployer.ls()]


def test_adoption_finds_main_by_its_share(
    deployer: Deployer, opened: Project, source: Path
) -> None:
    """Everything that was ready is found again; history begins anew."""
    for version in ("1", "2"):
        deployer.deploy("hello", version, source, port=9000)
    deployer.deploy("other", "1", source)
    deployer.assign("hello", "2")
    before = deployer.ls()
    lose(opened)
    assert roles(deployer) == ["hello 1", "hello 2*", "other 1*"]
    keep = attrs.fields_dict(type(before[0])).keys() - {"created_at", "started_at"}
    for was, now in zip(before, deployer.ls(), strict=True):
        assert {k: getattr(was, k) for k in keep} == {k: getattr(now, k) for k in keep}
    assert deployer.inspect("hello", "1")["spec"] == Spec(
        "default", "hello", "1", port=9000
    )
    assert [c.version for c in deployer.history("hello")] == ["2"]
    assert deployer.assign("hello", "1").is_main


@pytest.mark.parametrize("share", [True, False], ids=["two mains", "no main"])
def test_adoption_without_a_clear_main(
    deployer: Deployer,
    opened: Project,
    runtime: MemoryRuntime,
    source: Path,
    *,
    share: bool,
) -> None:
    """The oldest of those with main's share is main, or the oldest of all."""
    for version in ("1", "2", "3"):
        deployer.deploy("hello", version, source)
    oldest, *_ = runtime.list("default")
    for instance in runtime.list("default"):
        is_main = share and instance.id != oldest.id
        runtime.set_share(instance.id, is_main=is_main)
    lose(opened)
    main = "2" if share else "1"
    assert roles(deployer) == [f"hello {v}{'*' * (v == main)}" for v in "123"]


def test_adoption_with_labels_that_cannot_be_read(
    deployer: Deployer, opened: Project, source: Path
) -> None:
    """A version whose spec is unreadable is listed, assigned and killed as well."""
    for version in ("1", "2"):
        deployer.deploy("hello", version, source)
    strange = {"spec": None, "created_at": None, "status": Status.unknown}
    runtime = cast("Runtime", Altered(opened.runtime, {"2": strange}))
    lose(opened)
    with Deployer(runtime, state=opened.state) as again:
        found = {s.version: s.status for s in again.ls()}
        assert found == {"1": Status.running, "2": Status.unknown}
        assert again.inspect("hello", "2")["spec"] is None
        again.assign("hello", "2")
        again.assign("hello", "1")
        again.kill("hello", "2")
        assert roles(again) == ["hello 1*"]


def test_adoption_leaves_out_what_is_not_ours_or_never_was_ready(
    deployer: Deployer, opened: Project, source: Path
) -> None:
    """Other registries' versions, and one that was still being deployed."""
    for version in ("1", "2", "3"):
        deployer.deploy("hello", version, source)
    changes: dict[str, dict[str, object]] = {
        "2": {"registry": "another"},
        "3": {"has_settled": False},
    }
    runtime = cast("Runtime", Altered(opened.runtime, changes))
    lose(opened)
    with Deployer(runtime, state=opened.state) as again:
        assert roles(again) == ["hello 1*"]


def test_a_version_that_vanishes_while_it_is_adopted(
    deployer: Deployer, opened: Project, source: Path, runtime: MemoryRuntime
) -> None:
    """It is not taken up."""
    for version in ("1", "2"):
        deployer.deploy("hello", version, source)

    class _Vanishing(Altered):
        def inspect(self, instance_id: str) -> Instance | None:
            found = super().inspect(instance_id)
            return None if found is None or found.version == "1" else found

    lose(opened)
    vanishing = cast("Runtime", _Vanishing(runtime, {}))
    with Deployer(vanishing, state=opened.state) as again:
        assert roles(again) == ["hello 2*"]
