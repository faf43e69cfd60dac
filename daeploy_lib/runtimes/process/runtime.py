"""Versions as processes of this machine, each with an environment of its own."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from daeploy_lib.domain.names import container_name
from daeploy_lib.domain.service import Leftover, LogLine
from daeploy_lib.domain.spec import Resources, Spec
from daeploy_lib.errors import (
    DeployError,
    RuntimeUnavailableError,
    SourceError,
    StartError,
)
from daeploy_lib.registry.state import state_directory
from daeploy_lib.runtimes.base import Artifact, BuildInput, Instance, OnEvent
from daeploy_lib.runtimes.process import folders
from daeploy_lib.runtimes.process.building import build, remove_build
from daeploy_lib.runtimes.process.environments import Environments
from daeploy_lib.runtimes.process.folders import Folders
from daeploy_lib.runtimes.process.logs import read_logs
from daeploy_lib.runtimes.process.records import Record, instance_in, record_in
from daeploy_lib.runtimes.process.settings import (
    BUILD_TIMEOUT_S,
    DEFAULT_PORTS,
    Settings,
)
from daeploy_lib.runtimes.process.shares import set_share
from daeploy_lib.runtimes.process.starting import start
from daeploy_lib.runtimes.process.stopping import stop
from daeploy_lib.runtimes.process.supervisor import RESTARTS
from daeploy_lib.sources.image import Image

_ID = re.compile(r"process-[0-9a-f]{16}")


class ProcessRuntime:
    """
    Versions as processes, for machines that have no container engine.

    All verbs work as with containers: each version has a virtual environment with the
    packages of its ``requirements.txt`` or ``pyproject.toml``, runs ``python
    service.py`` (or its ``command``) with ``HOST`` and ``PORT`` set, outlives the
    script, and is started again at most three times when it fails. Its processes are
    told from others by pid and start time, so that a pid that is used again is never
    mistaken; its output is kept in bounded files.

    Not what a container is: a version sees the files and the network of its user. Its
    memory and the number of its processes are watched, and a version that uses more
    than ``resources`` says is ended; Linux holds it to whole processors. Images, mounts
    and ``hardening`` are for containers.

    Args:
        directory: Where builds, environments and logs are; by default ``processes``
            in the state directory of ``$DAEPLOY_STATE``, or the user's.
        python: The interpreter for virtual environments; by default this one.
        ports: Ports of 127.0.0.1 to choose from.
        build_timeout: Seconds that an installation may take.
        uses_uv: Whether to install with ``uv`` where it is found, else with pip.

    Raises:
        ValueError: If an argument is out of range.
        RuntimeUnavailableError: On Windows, which has no process groups.

    Example:
        >>> import tempfile
        >>> ProcessRuntime(tempfile.mkdtemp()).list("default")
        []
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        python: str | os.PathLike[str] | None = None,
        ports: Iterable[int] = DEFAULT_PORTS,
        build_timeout: float = BUILD_TIMEOUT_S,
        uses_uv: bool = True,
    ) -> None:
        if os.name != "posix":
            raise RuntimeUnavailableError(
                "Versions cannot run as processes on this system. Use DockerRuntime().",
                endpoint="processes",
                reason="unreachable",
            )
        chosen = {} if python is None else {"python": Path(python)}
        self._settings = Settings(
            ports=tuple(ports), build_timeout=build_timeout, uses_uv=uses_uv, **chosen
        )
        root = state_directory() / "processes" if directory is None else Path(directory)
        self._folders = Folders(root.expanduser().absolute())
        self._environments = Environments(self._folders, self._settings)

    def __repr__(self) -> str:
        return f"<ProcessRuntime {self.description}>"

    @property
    def description(self) -> str:
        """What it is, for people; contacts nothing."""
        return f"processes of this machine, in {self._folders.root}"

    def build(
        self, spec: Spec, source: BuildInput, on_event: OnEvent, *, registry: str
    ) -> Artifact:
        """
        Unpack the content and install its packages.

        Raises:
            BuildError: With the installer's last lines of output.
        """
        return build(
            self._folders,
            self._environments,
            spec,
            source,
            on_event,
            registry=registry,
        )

    def fetch(self, spec: Spec, image: Image, on_event: OnEvent) -> Artifact:
        """
        Refuse: images need a container engine.

        Raises:
            SourceError: Always.
        """
        del on_event
        raise SourceError(
            f"The image {image.shown} needs a container engine, and versions run as "
            f"processes here. Use Deployer() with an engine, or deploy a directory.",
            spec.name,
            spec.version,
            "source",
        )

    def start(self, spec: Spec, artifact: Artifact, *, registry: str) -> Instance:
        """
        Start one instance on a port that stays its own.

        Raises:
            StartError: If it cannot be started, or another registry has the version.
        """
        self._clear(spec, registry)
        about = folders.read(self._folders.builds / artifact.image / folders.BUILD) or {
            "environment": artifact.image
        }
        environment = self._environments.path(about["environment"])
        return start(
            self._folders,
            self._settings,
            spec,
            artifact,
            environment=environment,
            registry=registry,
        )

    def settle(self, instance: Instance) -> None:
        """Have an instance that is ready now start again when it fails."""
        (self._found(instance.id) / folders.SETTLED).touch(mode=0o600)

    def set_share(self, instance_id: str, *, is_main: bool) -> None:
        """Give an instance main's or a shadow's share of the processors."""
        set_share(self._found(instance_id), is_main=is_main)

    def inspect(self, instance_id: str) -> Instance | None:
        """Return one instance; None if it is gone."""
        return instance_in(self._folder(instance_id)) if _is_ours(instance_id) else None

    def details(self, instance_id: str) -> Mapping[str, object]:
        """Return what is known of an instance; empty if it is gone."""
        instance = self.inspect(instance_id)
        if instance is None:
            return {}
        folder = self._folder(instance_id)
        record = record_in(folder)
        spec = instance.spec
        return {
            "id": instance.id,
            "folder": str(folder),
            "supervisor": str(record.owner) if record is not None else "",
            "state": folders.read(folder / folders.STATE) or {},
            "environment": dict.fromkeys(spec.environment, "***") if spec else {},
            "limits": _limits(spec.resources, record) if spec and record else {},
            "restarts_at_most": RESTARTS,
        }

    def list(self, project: str) -> Sequence[Instance]:
        """Return every instance of a project."""
        found = map(instance_in, folders.each(self._folders.instances))
        return [one for one in found if one is not None and one.project == project]

    def stop(self, instance_id: str, *, grace: float) -> None:
        """
        Ask an instance to end, wait, end all of its processes, and remove its files.

        Raises:
            DeployError: If it is not a process of a ProcessRuntime.
        """
        if not _is_ours(instance_id):
            raise DeployError(
                f"{instance_id} is no process of this runtime: it was deployed with "
                f"another one, such as Docker. Use a Deployer with that.",
                stage="stop",
            )
        stop(self._folders, self._folder(instance_id), grace=grace)

    def remove_artifact(self, spec: Spec, *, registry: str) -> None:
        """Remove the builds of a version that nothing runs from."""
        used = {
            record.image
            for folder in folders.each(self._folders.instances)
            if (record := record_in(folder)) is not None
        }
        wanted = (spec.project, spec.name, spec.version, registry)
        for made, about in self._builds():
            if _key(about) == wanted and made.name not in used:
                remove_build(self._folders, self._environments, made)

    def logs(
        self,
        instance_id: str,
        *,
        tail: int | None,
        follow: bool,
        since: datetime | None,
    ) -> Iterator[LogLine]:
        """
        Yield lines of output, oldest first.

        Raises:
            DeployError: At the first line, if the instance is gone.
        """
        return read_logs(
            self._folder(instance_id), tail=tail, follow=follow, since=since
        )

    def leftovers(
        self, project: str, registry: str, known: Sequence[tuple[str, str]]
    ) -> Sequence[Leftover]:
        """Return instances and builds of none of the *known* versions."""
        found = []
        for one in self.list(project):
            if one.registry == registry and (one.name, one.version) not in known:
                name = container_name(one.project, one.name, one.version)
                found.append(Leftover("process", one.id, name, "not registered"))
        for made, about in self._builds():
            owner, name, version, of = _key(about)
            if (owner, of) == (project, registry) and (name, version) not in known:
                shown = container_name(owner, name, version)
                found.append(Leftover("build", made.name, shown, "not registered"))
        return found

    def remove_leftover(self, leftover: Leftover) -> None:
        """Remove one of ``leftovers``; gone is no error."""
        if leftover.kind == "process" and _is_ours(leftover.id):
            stop(self._folders, self._folder(leftover.id), grace=0.0)
        elif leftover.kind == "build" and _is_ours(leftover.id):
            made = self._folders.builds / leftover.id
            remove_build(self._folders, self._environments, made)

    def close(self) -> None:
        """Do nothing: instances go on."""

    def _folder(self, instance_id: str) -> Path:
        return self._folders.instances / instance_id

    def _found(self, instance_id: str) -> Path:
        folder = self._folder(instance_id)
        if not _is_ours(instance_id) or record_in(folder) is None:
            raise DeployError(f"Instance {instance_id} is gone.")
        return folder

    def _builds(self) -> Iterator[tuple[Path, Mapping[str, str]]]:
        for made in folders.each(self._folders.builds):
            about = folders.read(made / folders.BUILD)
            if about is not None:
                yield made, about

    def _clear(self, spec: Spec, registry: str) -> None:
        """Remove what a crash has left of the version."""
        for one in self.list(spec.project):
            if (one.name, one.version) != (spec.name, spec.version):
                continue
            if one.registry != registry:
                raise StartError(
                    f"Its name is taken by {one.id}, which belongs to another "
                    f"registry, {one.registry}, and is left alone.",
                    spec.name,
                    spec.version,
                    "start",
                )
            stop(self._folders, self._folder(one.id), grace=0.0)


def _is_ours(identifier: str) -> bool:
    return _ID.fullmatch(identifier) is not None


def _key(about: Mapping[str, str]) -> tuple[str, str, str, str]:
    return about["project"], about["name"], about["version"], about["registry"]


def _limits(resources: Resources, record: Record) -> Mapping[str, object]:
    return {
        "memory": resources.memory,
        "pids": resources.pids,
        "processors": record.processors or "all",
    }
