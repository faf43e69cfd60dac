"""Checks of what a runtime starts, lists and reports."""

# Assertions are what a contract is made of.
# ruff: noqa: S101

import time
from datetime import UTC, datetime, timedelta

import attrs
import httpx

from daeploy_lib.domain.service import Status
from daeploy_lib.errors import NotReadyError, StartError
from daeploy_lib.runtimes.contract.case import (
    EXIT_CODE,
    EXIT_LINE,
    PATIENCE_S,
    Contract,
    raised,
)
from daeploy_lib.runtimes.readiness import wait_ready


def check_start(contract: Contract) -> None:
    """What is started runs, is listed by its labels, and answers once ready."""
    instance = contract.start()
    wanted = (contract.project, "answers", "1.0.0", contract.registry)
    found = (instance.project, instance.name, instance.version, instance.registry)
    assert found == wanted, f"{found} is not {wanted}"
    assert instance.status is Status.running, instance.status
    assert not instance.has_settled, "it has settled before it was ready"
    assert not instance.has_main_share, "it was started with main's share"
    ready = wait_ready(contract.runtime, instance, contract.spec())
    assert ready.id == instance.id, "another instance became ready"
    assert ready.started_at is not None, "a running instance has no start time"
    assert ready.started_at.tzinfo is not None, "the start time has no zone"
    for endpoint in ready.endpoints:
        assert httpx.get(endpoint + "/", trust_env=False).is_success, endpoint


def check_list(contract: Contract) -> None:
    """The list has every instance of the project, and none of another."""
    instance = contract.start()
    [listed] = contract.runtime.list(contract.project)
    for field in ("id", "name", "version", "registry", "status", "port", "endpoints"):
        mine, theirs = getattr(listed, field), getattr(instance, field)
        assert mine == theirs, f"{field}: listed {mine!r}, started {theirs!r}"
    source = contract.sources["answers"]
    assert listed.source_digest == source.digest, listed.source_digest
    assert listed.source_origin == source.origin, listed.source_origin
    expected = attrs.evolve(contract.spec(), environment={"TOKEN": ""})
    assert listed.spec == expected, f"the spec was not kept: {listed.spec}"
    assert contract.runtime.list(f"{contract.project}-other") == []


def check_versions_side_by_side(contract: Contract) -> None:
    """Two versions of one service run at two addresses."""
    first, second = contract.ready("1.0.0"), contract.ready("2.0.0")
    assert first.endpoints != second.endpoints, first.endpoints
    assert len(contract.runtime.list(contract.project)) == len((first, second))


def check_inspect(contract: Contract) -> None:
    """One instance can be looked at; what does not exist is None, not an error."""
    instance = contract.start()
    assert contract.runtime.inspect(instance.id) is not None
    assert contract.runtime.inspect("0" * 64) is None
    details = contract.runtime.details(instance.id)
    assert details, "there are no details"
    assert "TOKEN" in str(details), "the names of the environment are missing"
    assert "hunter2" not in str(details), "an environment value is in the details"
    assert "hunter2" not in repr(instance), "an environment value is in the repr"


def check_settle_and_share(contract: Contract) -> None:
    """Settling and shares are kept by the runtime itself, and can be read back."""
    runtime, instance = contract.runtime, contract.ready()
    runtime.settle(instance)
    runtime.set_share(instance.id, is_main=True)
    found = runtime.inspect(instance.id)
    assert found is not None
    assert found.has_settled, "it has not settled"
    assert found.has_main_share, "it has no main's share"
    assert found.started_at == instance.started_at, "it was restarted for that"
    runtime.set_share(instance.id, is_main=False)
    found = runtime.inspect(instance.id)
    assert found is not None
    assert not found.has_main_share, "it still has main's share"


def check_exit_at_once(contract: Contract) -> None:
    """What ends before it is ready is reported at once, with code and last lines."""
    began = time.monotonic()
    instance, spec = contract.start("exits"), contract.spec("exits")
    error = raised(StartError, lambda: wait_ready(contract.runtime, instance, spec))
    assert error.exit_code == EXIT_CODE, error.exit_code
    assert EXIT_LINE in error.log_lines, error.log_lines
    assert not error.oom_killed, "memory was not the reason"
    assert time.monotonic() - began < PATIENCE_S, "it was not reported at once"
    [listed] = contract.runtime.list(contract.project)
    assert listed.status is Status.exited, listed.status
    assert listed.exit_code == EXIT_CODE, listed.exit_code


def check_never_ready(contract: Contract) -> None:
    """What never answers is reported at the deadline, and is still listed."""
    instance = contract.start("silent")
    spec = contract.spec("silent")
    began = time.monotonic()
    error = raised(NotReadyError, lambda: wait_ready(contract.runtime, instance, spec))
    elapsed = time.monotonic() - began
    assert error.stage == "ready", error.stage
    assert elapsed >= spec.readiness.timeout, "it was given up too early"
    assert elapsed < spec.readiness.timeout + 2, f"it took {elapsed:.1f} s"
    assert len(contract.runtime.list(contract.project)) == 1


def check_logs(contract: Contract) -> None:
    """Lines come in order, cut by tail and since."""
    runtime, instance = contract.runtime, contract.ready()
    before = datetime.now(UTC) - timedelta(hours=1)
    after = datetime.now(UTC) + timedelta(hours=1)
    everything = list(runtime.logs(instance.id, tail=None, follow=False, since=before))
    assert "up" in [line.text for line in everything], everything
    assert all(line.stream in ("stdout", "stderr") for line in everything)
    times = [line.at for line in everything if line.at is not None]
    assert times == sorted(times), "the lines are out of order"
    assert not list(runtime.logs(instance.id, tail=0, follow=False, since=None))
    assert len(list(runtime.logs(instance.id, tail=1, follow=False, since=None))) == 1
    assert not list(runtime.logs(instance.id, tail=None, follow=False, since=after))


def check_following_logs(contract: Contract) -> None:
    """Following ends with the instance; closing the iterator ends it before."""
    runtime, instance = contract.runtime, contract.ready()
    lines = runtime.logs(instance.id, tail=None, follow=True, since=None)
    assert next(iter(lines)).text, "the first line is empty"
    lines.close()  # type: ignore[attr-defined]
    lines = runtime.logs(instance.id, tail=None, follow=True, since=None)
    assert next(iter(lines)).text, "the first line is empty"
    runtime.stop(instance.id, grace=5.0)
    began = time.monotonic()
    for _ in lines:
        pass
    assert time.monotonic() - began < PATIENCE_S, "following did not end"
