"""Kill: unroute, let requests in flight end, stop, remove, forget."""

import contextlib
import time
from collections.abc import Callable

from daeploy_lib import interruption
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import MainProtectedError
from daeploy_lib.lifecycle.listing import find_record
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.registry.inflight import in_flight
from daeploy_lib.registry.records import State, VersionRecord

# A router that took its snapshot just before the version was unrouted counts
# its request within this time; seconds.
_SETTLE_S = 0.05
_POLL_S = 0.02


def kill(
    project: Project, name: str, version: str, *, keep_image: bool, grace: float
) -> VersionRecord:
    """
    Remove one version; return what it was.

    A repeat, after the first attempt was cut short anywhere, completes it.

    Args:
        project: Where it is.
        name: The service.
        version: The version.
        keep_image: Whether the image that we built stays.
        grace: Seconds for requests in flight to end, and once more for the
            version itself after it was asked to.

    Raises:
        ServiceNotFoundError, VersionNotFoundError: If it is not deployed.
        MainProtectedError: If it is main and has shadows.
    """
    record = project.registry.retire(name, version)
    _drain(project, record, grace)
    for instance_id in _instances(project, record):
        project.runtime.stop(instance_id, grace=grace)
    if record.deployed.is_built and not keep_image:
        project.runtime.remove_artifact(
            Spec(project.name, name, version), registry=project.registry_id
        )
    project.registry.forget(name, version)
    return record


def kill_name(
    project: Project, name: str, *, keep_image: bool, grace: float
) -> list[VersionRecord]:
    """
    Remove every version of a name: shadows first, main last.

    Returns:
        What this call removed; another process may have removed the others.

    Raises:
        ServiceNotFoundError: If no version of it is known.
        VersionNotFoundError: If all are still being deployed.
    """
    killed: list[VersionRecord] = []
    records = _to_kill(project, name)
    if not records:
        find_record(project.registry.versions(), name, None)
    while records:
        first = min(records, key=lambda record: record.is_main)
        # A shadow may have come meanwhile, or another process may be faster.
        with contextlib.suppress(MainProtectedError, LookupError):
            killed.append(
                kill(project, name, first.version, keep_image=keep_image, grace=grace)
            )
        records = _to_kill(project, name)
    return killed


def _to_kill(project: Project, name: str) -> list[VersionRecord]:
    """Return versions of a name that no living process is still deploying."""
    return [
        record
        for record in project.registry.versions()
        if record.name == name
        and (record.state is not State.reserved or not record.owner.is_alive())
    ]


def _instances(project: Project, record: VersionRecord) -> list[str]:
    """Return what runs of a version, also of one that was never published."""
    if record.deployed.instance:
        return [record.deployed.instance]
    return [
        instance.id
        for instance in project.runtime.list(project.name)
        if (instance.name, instance.version) == (record.name, record.version)
        and instance.registry == project.registry_id
    ]


def _drain(
    project: Project,
    record: VersionRecord,
    grace: float,
    sleep: Callable[[float], None] = interruption.wait,
) -> None:
    """Wait until no router has a request in flight to the version."""
    key = f"{project.name}\0{record.name}\0{record.version}"
    sleep(_SETTLE_S)
    deadline = time.monotonic() + grace
    while in_flight(project.state, key) and time.monotonic() < deadline:
        sleep(_POLL_S)
