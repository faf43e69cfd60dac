"""The registry's verbs, one at a time, against the real file."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import (
    MainProtectedError,
    RouteConflictError,
    ServiceNotFoundError,
    StaleAssignError,
    VersionExistsError,
    VersionNotFoundError,
)
from daeploy_lib.registry.records import Deployed, State
from daeploy_lib.registry.registry import Registry, Reservation
from daeploy_lib.registry.state import DATABASE
from registry_process import PROJECT, deploy, deployed, open_registry


def reserved(registry: Registry, name: str, version: str) -> Reservation:
    """Reserve a version and return the reservation."""
    reservation = Reservation.of(Spec(PROJECT, name, version))
    registry.reserve(reservation)
    return reservation


def roles(registry: Registry) -> list[str]:
    """Return every version as text, main with a star."""
    return [
        f"{r.name} {r.version} {r.state.value}" + " *" * r.is_main
        for r in registry.versions()
    ]


@pytest.fixture
def registry(state: Path) -> Registry:
    """A registry that knows that nothing runs."""
    return open_registry(state)


@pytest.fixture
def three(registry: Registry) -> Registry:
    """A registry with main 1 and its shadows 2 and 3."""
    for version in "123":
        deploy(registry, "hello", version)
    return registry


def test_the_first_version_becomes_main_and_later_ones_do_not(
    registry: Registry,
) -> None:
    """Publish says which of the two happened, and the records show it."""
    assert deploy(registry, "hello", "1")
    assert not deploy(registry, "hello", "2")
    assert deploy(registry, "other", "2")
    assert roles(registry) == [
        "hello 1 deployed *",
        "hello 2 deployed",
        "other 2 deployed *",
    ]


def test_versions_are_in_order_of_deployment(registry: Registry) -> None:
    """Names are alphabetical; a version counts from when it was published."""
    slow = reserved(registry, "b", "1")
    for name, version in (("b", "9"), ("a", "2"), ("a", "10"), ("b", "0")):
        deploy(registry, name, version)
    registry.publish(slow, deployed())
    assert [(r.name, r.version) for r in registry.versions()] == [
        ("a", "2"),
        ("a", "10"),
        ("b", "9"),
        ("b", "0"),
        ("b", "1"),
    ]


def test_a_reserved_version_is_neither_main_nor_routed(registry: Registry) -> None:
    """It is only taken."""
    reservation = reserved(registry, "hello", "1")
    assert roles(registry) == ["hello 1 reserved"]
    assert registry.state_of(reservation) is State.reserved
    assert registry.history("hello") == ()


def test_a_taken_version_cannot_be_reserved(registry: Registry) -> None:
    """Reserved, deployed or leaving: each says which it is."""
    reservation = reserved(registry, "hello", "1")
    with pytest.raises(VersionExistsError, match="is being deployed by process"):
        reserved(registry, "hello", "1")
    registry.publish(reservation, deployed())
    with pytest.raises(VersionExistsError, match="is already deployed"):
        reserved(registry, "hello", "1")
    registry.retire("hello", "1")
    with pytest.raises(VersionExistsError, match="is being removed by process"):
        reserved(registry, "hello", "1")
    registry.forget("hello", "1")
    reserved(registry, "hello", "1")


def test_a_released_reservation_leaves_nothing(registry: Registry) -> None:
    """The version is free, its routes too; releasing again is no error."""
    reservation = reserved(registry, "hello", "1")
    registry.release(reservation)
    registry.release(reservation)
    assert registry.versions() == ()
    assert registry.state_of(reservation) is None
    deploy(registry, "hello_1", "1")


def test_a_released_reservation_does_not_touch_its_successor(
    registry: Registry,
) -> None:
    """Releasing and publishing with an old token change nothing."""
    old = reserved(registry, "hello", "1")
    registry.release(old)
    new = reserved(registry, "hello", "1")
    registry.release(old)
    assert registry.state_of(old) is None
    assert registry.state_of(new) is State.reserved
    with pytest.raises(VersionNotFoundError, match="lost its reservation"):
        registry.publish(old, deployed())
    assert roles(registry) == ["hello 1 reserved"]


def test_a_published_version_cannot_be_released(registry: Registry) -> None:
    """Release is for what was not published."""
    reservation = reserved(registry, "hello", "1")
    registry.publish(reservation, deployed())
    registry.release(reservation)
    assert registry.state_of(reservation) is State.deployed
    assert roles(registry) == ["hello 1 deployed *"]


def test_what_was_deployed_comes_back_whole(state: Path) -> None:
    """Every field of the runtime's survives, and the spec without its secrets."""
    registry = Registry(state, PROJECT, clock=lambda: 1_700_000_000.25)
    registry.prepare()
    registry.adopt([])
    spec = Spec(PROJECT, "hello", "1", port=9000, environment={"TOKEN": "secret"})
    reservation = Reservation.of(spec)
    registry.reserve(reservation)
    made = Deployed(
        instance="i",
        started_at=datetime(2026, 11, 22, 11, 30, 0, 123456, UTC),
        port=17001,
        endpoints=("http://127.0.0.1:17001", "http://10.0.0.1:80"),
        image="sha256:1",
        is_built=False,
        source_digest="sha256:2",
    )
    registry.publish(reservation, made)
    [record] = registry.versions()
    assert record.deployed == made
    assert record.created_at.timestamp() == 1_700_000_000.25
    assert record.spec is not None
    assert (record.spec.port, dict(record.spec.environment)) == (9000, {"TOKEN": ""})
    assert b"secret" not in (state / DATABASE).read_bytes()


def test_assign_moves_main_and_returns_the_old_one(three: Registry) -> None:
    """The old main stays, as a shadow."""
    assert three.assign("hello", "3") == "1"
    assert roles(three) == [
        "hello 1 deployed",
        "hello 2 deployed",
        "hello 3 deployed *",
    ]


def test_assigning_main_itself_changes_nothing(three: Registry) -> None:
    """Not even the history."""
    before = three.history("hello")
    assert three.assign("hello", "1") == "1"
    assert three.history("hello") == before


def test_assign_refuses_a_stale_caller(three: Registry) -> None:
    """With expected= main must be what the caller saw; nothing is changed."""
    assert three.assign("hello", "2", expected="1") == "1"
    with pytest.raises(StaleAssignError, match="expected to be '1' but is '2'"):
        three.assign("hello", "3", expected="1")
    assert [c.version for c in three.history("hello")] == ["1", "2"]


def test_only_a_deployed_version_can_be_assigned(three: Registry) -> None:
    """Unknown, reserved and leaving ones are refused; the message says why."""
    reserved(three, "hello", "4")
    three.retire("hello", "3")
    with pytest.raises(ServiceNotFoundError, match="services: hello"):
        three.assign("nobody", "1")
    with pytest.raises(VersionNotFoundError, match=r"'9'.*versions: 1, 2"):
        three.assign("hello", "9")
    with pytest.raises(VersionNotFoundError, match="still being deployed"):
        three.assign("hello", "4")
    with pytest.raises(VersionNotFoundError, match="still being removed"):
        three.assign("hello", "3")
    assert [r.version for r in three.versions() if r.is_main] == ["1"]


def test_history_is_kept_and_ordered(state: Path) -> None:
    """Every change with the one before it, when, and whether it was forced."""
    clock = iter((10.0, 11.0, 12.0, 5.0, 13.0, 14.0))
    registry = Registry(state, PROJECT, clock=lambda: next(clock))
    registry.prepare()
    registry.adopt([])
    deploy(registry, "hello", "1")
    deploy(registry, "hello", "2")
    # A clock that goes back changes the times, never the order.
    registry.assign("hello", "2", forced=True, verdict="Too few requests.")
    registry.assign("hello", "1")
    found = [
        (c.version, c.previous, c.at.timestamp(), c.forced, c.verdict)
        for c in registry.history("hello")
    ]
    assert found == [
        ("1", None, 11.0, False, None),
        ("2", "1", 5.0, True, "Too few requests."),
        ("1", "2", 13.0, False, None),
    ]


def test_history_outlives_its_service(registry: Registry) -> None:
    """What was main once can be read after the kill; a stranger's cannot."""
    deploy(registry, "hello", "1")
    registry.retire("hello", "1")
    registry.forget("hello", "1")
    assert [c.version for c in registry.history("hello")] == ["1"]
    with pytest.raises(ServiceNotFoundError, match="services: none"):
        registry.history("nobody")


def test_main_with_shadows_is_protected(three: Registry) -> None:
    """Retiring it raises with the shadows' versions and changes nothing."""
    before = three.versions()
    with pytest.raises(MainProtectedError, match="2, 3") as caught:
        three.retire("hello", "1")
    assert caught.value.shadows == ("2", "3")
    assert three.versions() == before


def test_a_shadow_may_always_go_and_main_when_it_is_alone(three: Registry) -> None:
    """Shadows first, then the lone main, then nothing is left."""
    for version in "231":
        assert three.retire("hello", version).version == version
        three.forget("hello", version)
    assert three.versions() == ()
    with pytest.raises(ServiceNotFoundError):
        three.retire("hello", "1")


def test_a_retired_main_is_no_main(registry: Registry) -> None:
    """The next version to be published takes its place at once."""
    deploy(registry, "hello", "1")
    record = registry.retire("hello", "1")
    assert record.is_main
    assert record.state is State.deployed
    assert roles(registry) == ["hello 1 leaving"]
    assert deploy(registry, "hello", "2")


def test_a_kill_that_was_cut_short_can_be_repeated(registry: Registry) -> None:
    """Retiring again returns what has still to be removed; forgetting ends it."""
    deploy(registry, "hello", "1", 9005)
    first = registry.retire("hello", "1")
    again = registry.retire("hello", "1")
    assert again.deployed == first.deployed
    registry.forget("hello", "1")
    registry.forget("hello", "1")
    assert registry.versions() == ()


def test_a_version_being_deployed_cannot_be_retired(registry: Registry) -> None:
    """Its process lives: the refusal names it."""
    reservation = reserved(registry, "hello", "1")
    with pytest.raises(VersionNotFoundError, match="still being deployed by process"):
        registry.retire("hello", "1")
    assert registry.publish(reservation, deployed())


def test_forgetting_what_is_not_retired_changes_nothing(registry: Registry) -> None:
    """Of two kills at once, the slower one may find the version deployed anew."""
    deploy(registry, "hello", "1")
    registry.forget("hello", "1")
    registry.forget("nobody", "1")
    assert roles(registry) == ["hello 1 deployed *"]
    with pytest.raises(RouteConflictError):
        deploy(registry, "hello_1", "1")


@pytest.mark.parametrize(
    ("first", "second"),
    [(("hello", "1"), ("hello_1", "x")), (("hello_1", "x"), ("hello", "1"))],
)
def test_a_route_belongs_to_one_service(
    registry: Registry, first: tuple[str, str], second: tuple[str, str]
) -> None:
    """Version 1 of hello and the service hello_1 exclude one another."""
    deploy(registry, *first)
    with pytest.raises(RouteConflictError, match="/hello_1 is taken by") as caught:
        deploy(registry, *second)
    assert caught.value.segment == "hello_1"
    assert first[0] in caught.value.taken_by
    registry.retire(*first)
    with pytest.raises(RouteConflictError):
        deploy(registry, *second)
    registry.forget(*first)
    assert deploy(registry, *second)


def test_a_name_keeps_its_route_until_its_last_version_goes(
    registry: Registry,
) -> None:
    """Killing one version frees that version's route only."""
    deploy(registry, "hello_1", "x")
    deploy(registry, "hello_1", "y")
    registry.retire("hello_1", "y")
    registry.forget("hello_1", "y")
    with pytest.raises(RouteConflictError):
        deploy(registry, "hello", "1")


def test_projects_do_not_see_one_another(state: Path) -> None:
    """Same file, same names, same routes: each has its own."""
    one, other = open_registry(state), open_registry(state, "other")
    deploy(one, "hello", "1")
    reservation = Reservation.of(Spec("other", "hello_1", "1"))
    other.reserve(reservation)
    assert other.publish(reservation, deployed())
    assert [r.name for r in one.versions()] == ["hello"]
    assert [r.name for r in other.versions()] == ["hello_1"]
    with pytest.raises(ServiceNotFoundError):
        other.retire("hello", "1")
    with pytest.raises(ServiceNotFoundError):
        other.history("hello")


def test_two_mains_cannot_be_written(three: Registry, state: Path) -> None:
    """Not even by hand: main is a pointer, and points to what exists."""
    connection = sqlite3.connect(state / DATABASE)
    connection.execute("PRAGMA foreign_keys = ON")
    try:
        for version in ("2", "9"):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(
                    "INSERT INTO mains VALUES (?, 'hello', ?)", (PROJECT, version)
                )
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute("DELETE FROM versions WHERE version = '1'")
    finally:
        connection.close()
    assert three.assign("hello", "1") == "1"
