"""Cleanup: what is left of deployments and kills that were cut short."""

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
    """
    records = project.registry.versions()
    dead = [record for record in records if _is_abandoned(record)]
    known = [(r.name, r.version) for r in records if not _is_abandoned(r)]
    abandoned = [_reservation(record) for record in dead]
    if not dry_run:
        for record in dead:
            kill(project, record.name, record.version, keep_image=False, grace=0.0)
    leftovers = project.runtime.leftovers(project.name, project.registry_id, known)
    if not dry_run:
        for leftover in leftovers:
            project.runtime.remove_leftover(leftover)
    return [*abandoned, *leftovers]


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
