"""Assign and rollback: main changes in one transaction, to a ready version."""

from collections.abc import Sequence
from functools import partial

import attrs

from daeploy_lib.domain.service import Service, Status
from daeploy_lib.domain.spec import Readiness
from daeploy_lib.errors import NotReadyError, VersionNotFoundError
from daeploy_lib.lifecycle.listing import find_record, service_of
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.lifecycle.shares import share_processors, share_while
from daeploy_lib.registry.records import State, VersionRecord
from daeploy_lib.runtimes.readiness import probe_once


def assign(
    project: Project,
    name: str,
    version: str,
    *,
    expected: str | None = None,
    forced: bool = False,
    verdict: str | None = None,
) -> Service:
    """
    Make a version main and return it; assigning main itself changes nothing.

    Args:
        project: Where the versions are.
        name: The service.
        version: The version that becomes main.
        expected: The version that must be main until now.
        forced: Whether a gate was overruled, for the history.
        verdict: What the gate said, for the history.

    Raises:
        ServiceNotFoundError, VersionNotFoundError: If it is not deployed.
        NotReadyError: If it does not answer right now.
        StaleAssignError: If main is not the *expected* version.
    """
    records = project.registry.versions()
    record = find_record(records, name, version)
    # One that is being deployed or removed is refused in the transaction.
    if record.state is State.deployed:
        _check_ready(record)
    # The change stands once it is made, and it has just answered: after that
    # nothing is asked that may fail.
    changing = _new_roles(records, record)
    change = partial(
        project.registry.assign,
        name,
        version,
        expected=expected,
        forced=forced,
        verdict=verdict,
    )
    previous = share_while(change, project, changing) if changing else change()
    if previous not in (version, _main_of(records, name)):
        # Another process has assigned since the records were read.
        share_processors(project, name)
    record = attrs.evolve(record, is_main=True)
    service = service_of(project, record, None)
    return attrs.evolve(service, status=Status.running)


def rollback(project: Project, name: str) -> Service:
    """
    Assign the version that was main before this one; return it.

    Raises:
        VersionNotFoundError: If there was none, or it has been killed since.
    """
    current, previous = promotion(project, name)
    # If another process assigned meanwhile, this is not the return that was
    # asked for.
    return assign(project, name, previous, expected=current)


def promotion(project: Project, name: str) -> tuple[str, str]:
    """
    Return which version is main, and which was it before.

    Raises:
        ServiceNotFoundError: If no version of the name is deployed.
        VersionNotFoundError: If none was main before.
    """
    current = find_record(project.registry.versions(), name, None)
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
    return current.version, previous


def _new_roles(
    records: Sequence[VersionRecord], promoted: VersionRecord
) -> Sequence[VersionRecord]:
    """Return the versions whose role changes with a promotion, in the new role."""
    if promoted.is_main or promoted.state is not State.deployed:
        return []
    return [
        attrs.evolve(promoted, is_main=True),
        *(
            attrs.evolve(record, is_main=False)
            for record in records
            if record.name == promoted.name and record.is_main
        ),
    ]


def _main_of(records: Sequence[VersionRecord], name: str) -> str | None:
    return next((r.version for r in records if r.name == name and r.is_main), None)


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
