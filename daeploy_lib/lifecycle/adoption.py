"""What runs, read back from labels after the registry was lost."""

from collections.abc import Sequence
from datetime import UTC, datetime

from daeploy_lib.domain.encoding import spec_to_json
from daeploy_lib.registry.records import Adopted, Deployed
from daeploy_lib.runtimes.base import Instance, Runtime

_LONG_AGO = datetime.fromtimestamp(0, UTC)


def adopt_running(
    runtime: Runtime, project: str, registry_id: str
) -> Sequence[Adopted]:
    """
    Return the versions of a project that were ready once, oldest first.

    Labels never change, so they cannot tell which version is main; the share
    of the processors does. Where that is not clear the oldest version is main.
    """
    instances = [
        found
        for listed in runtime.list(project)
        if listed.registry == registry_id
        and (found := runtime.inspect(listed.id)) is not None
        and found.has_settled
    ]
    instances.sort(key=lambda instance: instance.created_at or _LONG_AGO)
    mains = _mains(instances)
    return [
        _adopted(instance, is_main=mains[instance.name] == instance.version)
        for instance in instances
    ]


def _mains(instances: Sequence[Instance]) -> dict[str, str]:
    mains: dict[str, str] = {}
    for instance in [i for i in instances if i.has_main_share] + list(instances):
        mains.setdefault(instance.name, instance.version)
    return mains


def _adopted(instance: Instance, *, is_main: bool) -> Adopted:
    return Adopted(
        name=instance.name,
        version=instance.version,
        is_main=is_main,
        created_at=instance.created_at or _LONG_AGO,
        spec_json="" if instance.spec is None else spec_to_json(instance.spec),
        deployed=deployed_of(instance),
    )


def deployed_of(instance: Instance) -> Deployed:
    """Return what the registry keeps of an instance."""
    return Deployed(
        instance=instance.id,
        started_at=instance.started_at,
        port=instance.port,
        endpoints=instance.endpoints,
        image=instance.image,
        is_built=instance.is_built,
        source_digest=instance.source_digest,
        source_origin=instance.source_origin,
    )
