"""Assign and rollback: main changes in one transaction, to a ready version."""

import attrs

from daeploy_lib.domain.service import Service, Status
from daeploy_lib.domain.spec import Readiness
from daeploy_lib.errors import NotReadyError, VersionNotFoundError
from daeploy_lib.lifecycle.listing import find_record, service_of
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.lifecycle.shares import share_processors
from daeploy_lib.registry.records import State, VersionRecord
from daeploy_lib.runtimes.readiness import probe_once


def assign(
    project: Project, name: str, version: str, *, expected: str | None = None
) -> Service:
    """
    Make a version main and return it; assigning main itself changes nothing.

    Raises:
        ServiceNotFoundError, VersionNotFoundError: If it is not deployed.
        NotReadyError: If it does not answer right now.
        StaleAssignError: If main is not the *expected* version.
    """
    record = find_record(project, name, version)
    # One that is being deployed or removed is refused in the transaction.
    if record.state is State.deployed:
        _check_ready(record)
    previous = project.registry.assign(name, version, expected=expected)
    if previous != version:
        share_processors(project, name, {version, *filter(None, [previous])})
    # The change stands, and it has just answered: nothing is asked that may fail.
    service = service_of(project, attrs.evolve(record, is_main=True), None)
    return attrs.evolve(service, status=Status.running)


def rollback(project: Project, name: str) -> Service:
    """
    Assign the version that was main before this one; return it.

    Raises:
        VersionNotFoundError: If there was none, or it has been killed since.
    """
    current = find_record(project, name, None)
    previous = next(
        (
            change.previous
            for change in reversed(project.registry.history(name))
            if change.version == current.version
        ),
        None,
    )
    if previous is None:
        raise VersionNotFoundError(
            name,
            current.version,
            reason="is the first main: there is none to return to",
        )
    # If another process assigned meanwhile, this is not the return that was
    # asked for.
    return assign(project, name, previous, expected=current.version)


def _check_ready(record: VersionRecord) -> None:
    readiness = record.spec.readiness if record.spec else Readiness()
    observed = probe_once(record.deployed.endpoints, readiness)
    if observed is not None:
        raise NotReadyError(
            f"It is not ready now: {observed}. Main was not changed.",
            record.name,
            record.version,
            "ready",
        )
