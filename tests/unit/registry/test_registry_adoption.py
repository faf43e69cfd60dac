"""Adoption: what runs is taken up once, after the registry was lost."""

from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

from daeploy_lib.domain.encoding import spec_to_json
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import RouteConflictError
from daeploy_lib.registry.records import Adopted
from daeploy_lib.registry.registry import Registry
from daeploy_lib.registry.state import DATABASE
from registry_process import PROJECT, deploy, deployed, open_registry


def lost(name: str, version: str, *, is_main: bool = False) -> Adopted:
    """Return a running version as its labels tell it."""
    return Adopted(
        name=name,
        version=version,
        is_main=is_main,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        spec_json=spec_to_json(Spec(PROJECT, name, version, port=9000)),
        deployed=deployed(),
    )


RUNNING = [lost("hello", "2"), lost("hello", "1", is_main=True), lost("a", "1")]


@pytest.fixture
def unknown(state: Path) -> Registry:
    """A registry that does not know yet what runs."""
    registry = Registry(state, PROJECT)
    registry.prepare()
    return registry


def test_what_runs_is_taken_up_with_its_main(unknown: Registry) -> None:
    """Versions, order, main, spec, address and routes are there again."""
    assert not unknown.is_adopted()
    unknown.adopt(RUNNING)
    assert unknown.is_adopted()
    found = unknown.versions()
    assert [(r.name, r.version, r.is_main) for r in found] == [
        ("a", "1", False),
        ("hello", "2", False),
        ("hello", "1", True),
    ]
    assert all(r.deployed == deployed() for r in found)
    assert all(r.spec and r.spec.port == 9000 for r in found)
    assert found[0].created_at == datetime(2026, 1, 2, tzinfo=UTC)
    assert [c.version for c in unknown.history("hello")] == ["1"]
    with pytest.raises(RouteConflictError):
        deploy(unknown, "hello_2", "1")


def test_the_first_word_stands(unknown: Registry) -> None:
    """Of several processes that adopt at once, later ones change nothing."""
    unknown.adopt(RUNNING)
    unknown.retire("hello", "2")
    before = unknown.versions()
    unknown.adopt(RUNNING)
    unknown.adopt([])
    assert unknown.versions() == before


def test_what_is_known_already_is_left(unknown: Registry) -> None:
    """A version that was deployed before the adoption keeps its row and role."""
    deploy(unknown, "hello", "1", 9007)
    unknown.adopt([lost("hello", "1"), lost("hello", "2", is_main=True)])
    assert [(r.version, r.deployed.port, r.is_main) for r in unknown.versions()] == [
        ("1", 9007, True),
        ("2", 9001, False),
    ]


def test_an_unreadable_spec_is_none(unknown: Registry) -> None:
    """A label that somebody spoiled does not stop the version from being listed."""
    unknown.adopt([attrs.evolve(lost("hello", "1", is_main=True), spec_json="")])
    [record] = unknown.versions()
    assert record.spec is None
    assert record.is_main


def test_adoption_is_asked_for_each_project_and_each_file(state: Path) -> None:
    """Another project, and a file that was lost, have to look again."""
    registry = open_registry(state)
    other = Registry(state, "other")
    assert not other.prepare() or not other.is_adopted()
    assert registry.is_adopted()
    (state / DATABASE).unlink()
    assert registry.prepare()
    assert not registry.is_adopted()
    assert not registry.prepare()
