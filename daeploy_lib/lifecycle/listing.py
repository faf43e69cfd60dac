"""Which versions exist, and what each does right now."""

from collections.abc import Sequence
from datetime import UTC, datetime

from daeploy_lib.domain.service import Service, Status
from daeploy_lib.errors import (
    DeployError,
    ServiceNotFoundError,
    VersionNotFoundError,
)
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.registry.records import State, VersionRecord, not_deployed
from daeploy_lib.runtimes.base import Instance
from daeploy_lib.runtimes.uptime import matches_uptime


def list_services(
    project: Project, name: str | None = None, version: str | None = None
) -> Sequence[Service]:
    """
    Return the versions, or those of a name, in one call to the runtime.

    Names are alphabetical, versions in order of deployment. One that has
    vanished is ``missing``, one that cannot be read is ``unknown``.
    """
    records = [
        record
        for record in project.registry.versions()
        if name in (None, record.name) and version in (None, record.version)
    ]
    instances = {
        (instance.name, instance.version): instance
        for instance in project.runtime.list(project.name)
        if instance.registry == project.registry_id
    }
    return [
        service_of(project, record, instances.get((record.name, record.version)))
        for record in records
        if record.state is not State.reserved or record.owner.is_alive()
    ]


def service_of(
    project: Project, record: VersionRecord, instance: Instance | None
) -> Service:
    """Return a version as the user sees it; without an instance it is missing."""
    deployed = record.deployed
    return Service(
        project=project.name,
        name=record.name,
        version=record.version,
        is_main=record.is_main,
        status=_status(record, instance),
        started_at=_started_at(project, record, instance),
        created_at=record.created_at,
        port=deployed.port,
        endpoints=deployed.endpoints,
        image=deployed.image,
        source_digest=deployed.source_digest,
        source_origin=deployed.source_origin,
    )


def _status(record: VersionRecord, instance: Instance | None) -> Status:
    if record.state is State.reserved:
        return Status.deploying
    if instance is None:
        return Status.missing
    return instance.status


def _started_at(
    project: Project, record: VersionRecord, instance: Instance | None
) -> datetime | None:
    """
    Return when it last started, asking for a single instance only if it must.

    The listing has no such time, and the recorded one is wrong after a restart.
    """
    recorded = record.deployed.started_at
    if instance is None or instance.status is not Status.running:
        return recorded
    if instance.started_at is not None:
        return instance.started_at
    if matches_uptime(instance.uptime, recorded, datetime.now(UTC)):
        return recorded
    try:
        found = project.runtime.inspect(instance.id)
    except DeployError:
        return recorded
    return recorded if found is None else found.started_at


def find_record(
    records: Sequence[VersionRecord], name: str, version: str | None
) -> VersionRecord:
    """
    Return what the registry knows of a version; without one, of main.

    Args:
        records: All that it knows.
        name: The service.
        version: The version; None: main.

    Raises:
        ServiceNotFoundError: If no version of the name is known.
        VersionNotFoundError: If the version is not, or there is no main.
    """
    of_name = [record for record in records if record.name == name]
    if not of_name:
        known = tuple(dict.fromkeys(record.name for record in records))
        raise ServiceNotFoundError(name, known)
    for record in of_name:
        if record.is_main if version is None else record.version == version:
            return record
    known = _known(of_name, name)
    if version is None:
        # Main is on its way, or on its way out.
        raise not_deployed(of_name[0], known)
    raise VersionNotFoundError(name, version, known)


def running_instance(record: VersionRecord, records: Sequence[VersionRecord]) -> str:
    """
    Return the runtime's id of a version; *records* are all that are known.

    Raises:
        VersionNotFoundError: If it is still being deployed.
    """
    if not record.deployed.instance:
        raise not_deployed(record, _known(records, record.name))
    return record.deployed.instance


def _known(records: Sequence[VersionRecord], name: str) -> tuple[str, ...]:
    return tuple(
        r.version for r in records if r.name == name and r.state is State.deployed
    )
