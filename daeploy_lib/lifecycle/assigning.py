"""Assign and rollback: main changes in one transaction, to a ready version."""

from daeploy_lib.domain.spec import Readiness
from daeploy_lib.errors import NotReadyError, VersionNotFoundError
from daeploy_lib.lifecycle.listing import find_record
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.lifecycle.shares import share_processors
from daeploy_lib.registry.records import VersionRecord
from daeploy_lib.runtimes.readiness import probe_once


def assign(
    project: Project, name: str, version: str, *, expected: str | None = None
) -> None:
    """
    Make a version main; assigning main itself changes nothing.

    Raises:
        ServiceNotFoundError, VersionNotFoundError: If it is not deployed.
        NotReadyError: If it does not answer right now.
        StaleAssignError: If main is not the *expected* version.
    """
    _check_ready(find_record(project, name, version))
    previous = project.registry.assign(name, version, expected=expected)
    if previous != version:
        share_processors(project, name, {version, *filter(None, [previous])})


def rollback(project: Project, name: str) -> str:
    """
    Assign the version that was main before this one; return which that is.

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
    assign(project, name, previous, expected=current.version)
    return previous


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
