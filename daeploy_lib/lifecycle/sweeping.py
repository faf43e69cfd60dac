"""Cleanup: what is left of deployments and kills that were cut short."""

import contextlib
from collections.abc import Sequence

from daeploy_lib.domain.names import version_segment
from daeploy_lib.domain.service import Leftover
from daeploy_lib.lifecycle.killing import kill
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.registry.records import State, VersionRecord


def sweep(project: Project, *, dry_run: bool) -> Sequence[Leftover]:
    """
    Remove what no version needs any more; return what that was.

    Only what carries our labels, this project and this registry is looked at.
    With *dry_run* it is the same, save that nothing is removed.
    """
    abandoned = [r for r in project.registry.versions() if _is_abandoned(r)]
    leftovers = _leftovers(project)
    if not dry_run:
        for record in abandoned:
            # Another process may have taken it over, or removed it.
            with contextlib.suppress(LookupError):
                kill(project, record.name, record.version, keep_image=False, grace=0.0)
        for leftover in leftovers:
            project.runtime.remove_leftover(leftover)
    return [*map(_reservation, abandoned), *leftovers]


def _leftovers(project: Project) -> Sequence[Leftover]:
    """
    Return what belongs to no version, or to one that is abandoned.

    Another process may begin to deploy a version after the registry was read. It
    reserves before it makes anything, so whatever the runtime shows belongs to a
    version that the registry knew before, or knows now.
    """
    known = _known(project)
    while True:
        found = project.runtime.leftovers(
            project.name, project.registry_id, sorted(known)
        )
        meanwhile = _known(project) - known
        if not meanwhile:
            return found
        known |= meanwhile


def _known(project: Project) -> set[tuple[str, str]]:
    """Return the versions that are deployed, or that a process works on."""
    return {
        (record.name, record.version)
        for record in project.registry.versions()
        if not _is_abandoned(record)
    }


def _is_abandoned(record: VersionRecord) -> bool:
    return record.state is not State.deployed and not record.owner.is_alive()


def _reservation(record: VersionRecord) -> Leftover:
    verb = "deployed" if record.state is State.reserved else "killed"
    return Leftover(
        kind="reservation",
        id=version_segment(record.name, record.version),
        name=f"{record.name} {record.version}",
        reason=f"was being {verb} by {record.owner}, which has ended",
    )
