"""A runtime without an engine: real HTTP answers, and failures on demand."""

import hashlib
import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import attrs

from daeploy_lib import interruption
from daeploy_lib.domain.names import container_name, image_tag
from daeploy_lib.domain.service import Leftover, LogLine, Status
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import BuildError, DeployError, StartError
from daeploy_lib.runtimes.base import Artifact, BuildInput, Event, Instance, OnEvent
from daeploy_lib.runtimes.memory_server import MemoryServer
from daeploy_lib.sources.image import Image


@attrs.frozen
class Behaviour:
    """
    What a service of the in-memory runtime does.

    Attributes:
        build_error: Fail the build with these words.
        start_error: Refuse the start with these words.
        exit_code: End at once with this code.
        is_silent: Take connections and never answer.
        status: HTTP status of every answer.
        lines: What it prints at its start.
    """

    build_error: str = ""
    start_error: str = ""
    exit_code: int | None = None
    is_silent: bool = False
    status: int = 200
    lines: tuple[str, ...] = ("up",)


@attrs.define
class _Running:
    """One instance, with what makes it run."""

    instance: Instance
    environment: tuple[str, ...]
    server: MemoryServer | None
    lines: list[LogLine]


class MemoryRuntime:
    """
    Versions as threads of this process, for tests and for examples.

    Each answers on a port of loopback with what it was asked, as JSON; sources
    are not looked at. Obeys the same contract suite as the others, save that
    nothing outlives the process.

    Args:
        behaviours: What services do, by name; others answer.

    Example:
        >>> runtime = MemoryRuntime({"broken": Behaviour(exit_code=1)})
        >>> runtime.list("default")
        []
    """

    def __init__(self, behaviours: Mapping[str, Behaviour] | None = None) -> None:
        self._behaviours = dict(behaviours or {})
        self._lock = threading.Condition()
        self._ids = itertools.count(1)
        self._running: dict[str, _Running] = {}
        self._images: dict[str, tuple[Spec, str]] = {}
        self._given: set[str] = set()

    def __repr__(self) -> str:
        return f"<MemoryRuntime {self.description}>"

    @property
    def description(self) -> str:
        """What it is, for people."""
        return "threads of this process"

    def behave(self, name: str, behaviour: Behaviour) -> None:
        """Have versions of a service that are deployed from now on do this."""
        self._behaviours[name] = behaviour

    def build(
        self, spec: Spec, source: BuildInput, on_event: OnEvent, *, registry: str
    ) -> Artifact:
        """
        Pretend to build.

        Raises:
            BuildError: If the behaviour says so.
        """
        on_event(Event("build", "Step 1/1 : nothing", 1, 1))
        words = self._behaviour(spec).build_error
        if words:
            lines = ("Step 1/1 : nothing", words)
            message = f"The image cannot be built: {words}"
            raise BuildError(
                message, spec.name, spec.version, "build", 1, log_lines=lines
            )
        with self._lock:
            image = f"memory-image-{next(self._ids)}"
            self._images[image] = (spec, registry)
        return Artifact(image, source.digest, source_origin=source.origin)

    def fetch(self, spec: Spec, image: Image, on_event: OnEvent) -> Artifact:
        """Pretend to have an image; its digest is made of its name."""
        del spec
        text = hashlib.sha256(image.reference.encode()).hexdigest()
        digest = image.digest or f"sha256:{text}"
        on_event(Event("source", f"Using {image.shown}@{digest}"))
        with self._lock:
            self._given.add(digest)
        origin = f"{image.shown}@{digest}"
        return Artifact(digest, digest, is_built=False, source_origin=origin)

    def start(self, spec: Spec, artifact: Artifact, *, registry: str) -> Instance:
        """
        Start a server in a thread.

        Raises:
            StartError: If the behaviour says so, the image is gone, or another
                registry has the version.
        """
        behaviour = self._behaviour(spec)
        self._clear(spec, registry)
        if behaviour.start_error or not self._has(artifact.image):
            words = behaviour.start_error or f"the image {artifact.image} is gone"
            raise StartError(
                f"It cannot be started: {words}", spec.name, spec.version, "start"
            )
        return self._start(spec, artifact, registry, behaviour)

    def settle(self, instance: Instance) -> None:
        """Mark an instance as having been ready."""
        with self._lock:
            found = self._found(instance.id)
            found.instance = attrs.evolve(found.instance, has_settled=True)

    def set_share(self, instance_id: str, *, is_main: bool) -> None:
        """Mark an instance as running with main's share, or not."""
        with self._lock:
            found = self._found(instance_id)
            found.instance = attrs.evolve(found.instance, has_main_share=is_main)

    def inspect(self, instance_id: str) -> Instance | None:
        """Return one instance; None if it is gone."""
        with self._lock:
            found = self._running.get(instance_id)
            return None if found is None else found.instance

    def details(self, instance_id: str) -> Mapping[str, object]:
        """Return what is known of an instance; empty if it is gone."""
        with self._lock:
            found = self._running.get(instance_id)
            if found is None:
                return {}
            hidden = dict.fromkeys(found.environment, "***")
            return {"id": instance_id, "environment": hidden}

    def list(self, project: str) -> Sequence[Instance]:
        """Return every instance of a project, without start times."""
        with self._lock:
            return [
                attrs.evolve(one.instance, started_at=None)
                for one in self._running.values()
                if one.instance.project == project
            ]

    def crash(self, instance_id: str, exit_code: int = 1) -> None:
        """End an instance as if its process had died; it is not restarted."""
        with self._lock:
            found = self._found(instance_id)
            found.instance = attrs.evolve(
                found.instance, status=Status.exited, exit_code=exit_code
            )
        self._end(found)

    def stop(self, instance_id: str, *, grace: float) -> None:
        """End and remove an instance; gone is no error."""
        del grace
        with self._lock:
            found = self._running.pop(instance_id, None)
        if found is not None:
            self._end(found)

    def remove_artifact(self, spec: Spec, *, registry: str) -> None:
        """Remove the images of a version that nothing runs from."""
        with self._lock:
            used = {one.instance.image for one in self._running.values()}
            for image, (built, owner) in list(self._images.items()):
                is_same = _key(built) == _key(spec) and owner == registry
                if is_same and image not in used:
                    del self._images[image]

    def logs(
        self,
        instance_id: str,
        *,
        tail: int | None,
        follow: bool,
        since: datetime | None,
    ) -> Iterator[LogLine]:
        """
        Yield lines, oldest first.

        Raises:
            DeployError: At the first line, if the instance is gone.
        """
        with self._lock:
            found = self._running.get(instance_id)
            if found is None:
                raise DeployError(f"Instance {instance_id} is gone.", stage="logs")
            position = len(found.lines)
            lines = list(found.lines)
        if since is not None:
            lines = [line for line in lines if line.at is None or line.at >= since]
        yield from (
            lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]
        )
        while follow:
            with self._lock:
                with interruption.ended_by(self._wake):
                    while self._is_silent(found, position):
                        self._lock.wait()
                lines, position = found.lines[position:], len(found.lines)
                follow = found.server is not None
            yield from lines

    def _is_silent(self, found: _Running, position: int) -> bool:
        is_over = found.server is None or interruption.is_interrupted()
        return len(found.lines) == position and not is_over

    def _wake(self) -> None:
        with self._lock:
            self._lock.notify_all()

    def leftovers(
        self, project: str, registry: str, known: Sequence[tuple[str, str]]
    ) -> Sequence[Leftover]:
        """Return instances and images of none of the *known* versions."""
        with self._lock:
            found = []
            for one in self._running.values():
                i = one.instance
                is_ours = (i.project, i.registry) == (project, registry)
                if is_ours and (i.name, i.version) not in known:
                    name = container_name(i.project, i.name, i.version)
                    found.append(Leftover("container", i.id, name, "not registered"))
            for image, (spec, owner) in self._images.items():
                is_ours = (spec.project, owner) == (project, registry)
                if is_ours and (spec.name, spec.version) not in known:
                    name = image_tag(spec.project, spec.name, spec.version)
                    found.append(Leftover("image", image, name, "not registered"))
            return found

    def remove_leftover(self, leftover: Leftover) -> None:
        """Remove one of ``leftovers``; gone is no error."""
        self.stop(leftover.id, grace=0.0)
        with self._lock:
            self._images.pop(leftover.id, None)

    def close(self) -> None:
        """Do nothing: instances go on."""

    def _has(self, image: str) -> bool:
        return image in self._images or image in self._given

    def _behaviour(self, spec: Spec) -> Behaviour:
        return self._behaviours.get(spec.name, Behaviour())

    def _clear(self, spec: Spec, registry: str) -> None:
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
            self.stop(one.id, grace=0.0)

    def _start(
        self, spec: Spec, artifact: Artifact, registry: str, behaviour: Behaviour
    ) -> Instance:
        lines: list[LogLine] = []

        def log(text: str) -> None:
            with self._lock:
                lines.append(LogLine(datetime.now(UTC), "stdout", text))
                self._lock.notify_all()

        for line in behaviour.lines:
            log(line)
        server = MemoryServer(
            spec.name,
            spec.version,
            status=behaviour.status,
            is_silent=behaviour.is_silent,
            log=log,
        )
        now = datetime.now(UTC)
        instance = Instance(
            project=spec.project,
            name=spec.name,
            version=spec.version,
            registry=registry,
            id=f"memory-{next(self._ids)}",
            status=Status.running,
            started_at=now,
            created_at=now,
            port=server.port,
            endpoints=(f"http://127.0.0.1:{server.port}",),
            image=artifact.image,
            source_digest=artifact.source_digest,
            source_origin=artifact.source_origin,
            is_built=artifact.is_built,
            spec=attrs.evolve(spec, environment=dict.fromkeys(spec.environment, "")),
        )
        running = _Running(instance, tuple(spec.environment), server, lines)
        with self._lock:
            self._running[instance.id] = running
        if behaviour.exit_code is not None:
            self.crash(instance.id, behaviour.exit_code)
        return running.instance

    def _end(self, found: _Running) -> None:
        # Not under the lock: a request that is answered right now logs a line.
        if found.server is not None:
            found.server.close()
        with self._lock:
            found.server = None
            self._lock.notify_all()

    def _found(self, instance_id: str) -> _Running:
        found = self._running.get(instance_id)
        if found is None:
            raise DeployError(f"Instance {instance_id} is gone.")
        return found


def _key(spec: Spec) -> tuple[str, str, str]:
    return (spec.project, spec.name, spec.version)
