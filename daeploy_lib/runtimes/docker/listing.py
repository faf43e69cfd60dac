"""Containers as instances: what the engine's list and its inspection say."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import docker
import docker.errors

from daeploy_lib.domain.service import Status
from daeploy_lib.runtimes.base import Instance
from daeploy_lib.runtimes.docker import labels
from daeploy_lib.runtimes.docker.client import Engine
from daeploy_lib.runtimes.docker.times import parse_time

# Docker's words, then those that only Podman has. A paused one answers nobody,
# but has not ended either.
_STATUS = {
    "running": Status.running,
    "restarting": Status.restarting,
    "exited": Status.exited,
    "dead": Status.exited,
    "created": Status.exited,
    "removing": Status.exited,
    "paused": Status.unknown,
    "stopped": Status.exited,
    "stopping": Status.running,
    "configured": Status.exited,
    "initialized": Status.exited,
}
_EXITED = re.compile(r"Exited \((\d+)\)")


def list_instances(engine: Engine, project: str) -> Sequence[Instance]:
    """Return every instance of a project, in one call."""
    filters = labels.project_filter(project)
    found = engine.ask(lambda client: client.containers(all=True, filters=filters))
    instances = (_of_entry(entry) for entry in found)
    return [i for i in instances if i is not None and i.project == project]


def _of_entry(entry: Mapping[str, Any]) -> Instance | None:
    marks = entry.get("Labels") or labels.NOTHING
    identity = labels.identity_of(marks)
    if identity is None:
        return None
    text = entry.get("Status") or ""
    exited = _EXITED.match(text)
    return Instance(
        project=identity.project,
        name=identity.name,
        version=identity.version,
        registry=identity.registry,
        id=entry["Id"],
        status=_STATUS.get(entry.get("State") or "", Status.unknown),
        created_at=_from_seconds(entry.get("Created")),
        image=full_id(entry.get("ImageID") or ""),
        exit_code=int(exited[1]) if exited else None,
        uptime=text,
        **_from_labels(marks),
    )


def inspected(client: docker.APIClient, container: str) -> Mapping[str, Any] | None:
    """Return what the engine says of a container; None if it is gone."""
    try:
        found: Mapping[str, Any] = client.inspect_container(container)
    except docker.errors.NotFound:
        return None
    return found


def of_inspection(found: Mapping[str, Any], main_share: int) -> Instance | None:
    """Return an instance with all that is known of it; None if it is not ours."""
    marks = (found.get("Config") or {}).get("Labels") or labels.NOTHING
    identity = labels.identity_of(marks)
    if identity is None:
        return None
    state, host = found.get("State") or {}, found.get("HostConfig") or {}
    word = state.get("Status") or ""
    status = _STATUS.get(word, Status.unknown)
    has_ended = status in (Status.exited, Status.restarting) and word != "created"
    policy = (host.get("RestartPolicy") or {}).get("Name") or "no"
    return Instance(
        project=identity.project,
        name=identity.name,
        version=identity.version,
        registry=identity.registry,
        id=found["Id"],
        status=status,
        started_at=parse_time(state.get("StartedAt")),
        created_at=parse_time(found.get("Created")),
        image=full_id(found.get("Image") or ""),
        exit_code=state.get("ExitCode") if has_ended else None,
        oom_killed=bool(state.get("OOMKilled")),
        has_settled=policy != "no",
        has_main_share=host.get("CpuShares") == main_share,
        **_from_labels(marks),
    )


def _from_labels(marks: Mapping[str, str]) -> dict[str, Any]:
    port, endpoint = marks.get(labels.PORT, ""), marks.get(labels.ENDPOINT)
    return {
        "port": int(port) if port.isdecimal() and port.isascii() else None,
        "endpoints": (endpoint,) if endpoint else (),
        "source_digest": marks.get(labels.DIGEST, ""),
        "source_origin": marks.get(labels.ORIGIN, ""),
        "is_built": marks.get(labels.IS_BUILT) != "0",
        "spec": labels.spec_of(marks.get(labels.SPEC, "")),
    }


def full_id(image: str) -> str:
    """Return an image's id as Docker writes it; Podman leaves the prefix out."""
    is_bare = len(image) == 64 and ":" not in image  # noqa: PLR2004 - of SHA-256
    return f"sha256:{image}" if is_bare else image


def _from_seconds(created: object) -> datetime | None:
    # Podman's list has text here.
    if isinstance(created, int | float):
        return datetime.fromtimestamp(created, UTC)
    return parse_time(created)
