"""Checks of what a runtime stops, removes and finds left over."""

# Assertions are what a contract is made of.
# ruff: noqa: S101

import attrs

from daeploy_lib.domain.spec import Readiness
from daeploy_lib.errors import StartError
from daeploy_lib.runtimes.contract.case import Contract, raised
from daeploy_lib.runtimes.readiness import probe_once


def check_stop(contract: Contract) -> None:
    """What was stopped is gone: from the list and from its address."""
    runtime, instance = contract.runtime, contract.ready()
    runtime.stop(instance.id, grace=5.0)
    assert runtime.list(contract.project) == []
    assert runtime.inspect(instance.id) is None
    assert runtime.details(instance.id) == {}
    observed = probe_once(instance.endpoints, Readiness())
    assert observed is not None, "it still answers"
    runtime.stop(instance.id, grace=5.0)


def check_again_after_stop(contract: Contract) -> None:
    """A version that was removed can be deployed again."""
    instance = contract.ready()
    contract.runtime.stop(instance.id, grace=0.0)
    contract.runtime.remove_artifact(contract.spec(), registry=contract.registry)
    contract.runtime.remove_artifact(contract.spec(), registry=contract.registry)
    again = contract.ready()
    assert again.id != instance.id, "the old instance came back"


def check_remains_make_way(contract: Contract) -> None:
    """What a crashed deployment left of a version makes way for the next."""
    left = contract.start()
    again = contract.start()
    assert again.id != left.id, "the old instance was taken for the new one"
    assert [i.id for i in contract.runtime.list(contract.project)] == [again.id]


def check_other_registry_is_left_alone(contract: Contract) -> None:
    """The same version of another registry is not touched: the start is refused."""
    first = contract.ready()
    other = attrs.evolve(contract, registry="somebody-else")
    try:
        error = raised(StartError, other.start)
        assert error.stage == "start", error.stage
        other.runtime.remove_artifact(other.spec(), registry=other.registry)
        found = contract.runtime.inspect(first.id)
        assert found is not None, "the other registry's instance was removed"
        assert found.started_at == first.started_at, "it was restarted"
        leftovers = contract.runtime.leftovers(contract.project, other.registry, [])
        assert first.id not in {left.id for left in leftovers}, leftovers
    finally:
        for left in contract.runtime.leftovers(contract.project, other.registry, []):
            contract.runtime.remove_leftover(left)


def check_leftovers(contract: Contract) -> None:
    """What no known version needs is found, and once removed it is not again."""
    runtime, instance = contract.runtime, contract.ready()
    known = [("answers", "1.0.0")]
    project, registry = contract.project, contract.registry
    assert list(runtime.leftovers(project, registry, known)) == []
    found = runtime.leftovers(project, registry, [])
    assert instance.id in {left.id for left in found}, found
    assert all(left.reason and left.name for left in found), found
    for _ in range(2):
        for left in found:
            runtime.remove_leftover(left)
    assert runtime.list(project) == []
    contract.assert_nothing_left()
