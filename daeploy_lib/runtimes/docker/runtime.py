"""Versions as containers of one Docker engine."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import attrs

from daeploy_lib.domain.service import Leftover, LogLine, Status
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import DeployError, StartError
from daeploy_lib.runtimes.base import Artifact, BuildInput, Instance, OnEvent
from daeploy_lib.runtimes.docker import leftovers, places, settings
from daeploy_lib.runtimes.docker.build_stream import Order
from daeploy_lib.runtimes.docker.building import build_image
from daeploy_lib.runtimes.docker.client import Engine
from daeploy_lib.runtimes.docker.details import details_of
from daeploy_lib.runtimes.docker.endpoint import find_endpoint
from daeploy_lib.runtimes.docker.failures import Failing, mapped
from daeploy_lib.runtimes.docker.fetching import fetch_image
from daeploy_lib.runtimes.docker.images import discard_image, images_of, tag_of
from daeploy_lib.runtimes.docker.labels import Identity
from daeploy_lib.runtimes.docker.listing import inspected, list_instances, of_inspection
from daeploy_lib.runtimes.docker.logs import read_log
from daeploy_lib.runtimes.docker.networks import remove_if_unused
from daeploy_lib.runtimes.docker.recipes import recipe_for
from daeploy_lib.runtimes.docker.starting import start_container
from daeploy_lib.runtimes.docker.stopping import stop_container
from daeploy_lib.runtimes.docker.updating import restart_after_crashes, set_shares
from daeploy_lib.sources.image import Image
from daeploy_lib.sources.python_image import PythonImage


class DockerRuntime:
    """
    Versions as containers of one Docker engine, hardened by default.

    The engine is contacted at the first verb that needs it. Each version gets a
    port of the host that is its own for as long as it exists, opened on
    loopback, and comes back after a crash or a reboot once it was ready.

    Args:
        endpoint: Address of the engine; None: what ``DOCKER_HOST`` or the
            current context of the ``docker`` command names.
        python_image: How directories without a Dockerfile are built.
        ports: Ports of the host to choose from; outside of the ephemeral
            range, so that no other program gets them by chance.
        bind: Address of the engine's host that ports are opened on. Anything
            but loopback lets other machines reach the services directly.
        reach: ``"host"``: versions are reached at their port; ``"network"``:
            over the project's network, from inside a container of the same
            engine; ``"auto"``: whichever applies.
        main_shares: CPU shares of main, 2 to 262144.
        shadow_shares: CPU shares of a shadow; fewer, so that main wins when
            processors are scarce.
        build_timeout: Seconds that a build, or the pull of an image, may take in all.

    Raises:
        ValueError: If an argument is wrong.

    Example:
        >>> DockerRuntime("unix:///var/run/docker.sock").description
        'Docker at unix:///var/run/docker.sock'
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        python_image: PythonImage | None = None,
        ports: Iterable[int] = settings.DEFAULT_PORTS,
        bind: str = "127.0.0.1",
        reach: str = "auto",
        main_shares: int = settings.MAIN_SHARES,
        shadow_shares: int = settings.SHADOW_SHARES,
        build_timeout: float = settings.BUILD_TIMEOUT_S,
    ) -> None:
        self._settings = settings.Settings(
            ports, bind, reach, main_shares, shadow_shares, build_timeout
        )
        self._python_image = python_image
        self._engine = Engine(find_endpoint(endpoint))

    def __repr__(self) -> str:
        return f"<DockerRuntime {self.description}>"

    @property
    def description(self) -> str:
        """The endpoint in use, for people; contacts nothing."""
        endpoint = self._engine.endpoint
        origin = "" if endpoint.origin == "argument" else f" ({endpoint.origin})"
        return f"Docker at {endpoint}{origin}"

    def build(
        self, spec: Spec, source: BuildInput, on_event: OnEvent, *, registry: str
    ) -> Artifact:
        """
        Build an image with the engine's classic builder.

        On any failure, Ctrl-C included, no image and no container of it is
        left; the engine keeps its cache of steps that had succeeded.

        Raises:
            BuildError: With the engine's words, the exit code of the step that
                failed, and the last 50 lines of output.
            RuntimeUnavailableError: If the engine cannot be used, or a version
                could not be reached on it.
        """
        client = self._engine.ready()
        with mapped(Failing.at(self._engine.endpoint, "build", spec)):
            own = places.own_container_for(client, self._settings)
        places.check_reach(self._engine.endpoint, self._settings, own)
        order = Order(
            spec,
            source,
            recipe_for(source, self._python_image),
            registry,
            self._settings.build_timeout,
        )
        return build_image(self._engine, order, on_event)

    def fetch(self, spec: Spec, image: Image, on_event: OnEvent) -> Artifact:
        """
        Return an image as it is: from the engine, or pulled.

        Raises:
            SourceError: If it does not exist, may not be pulled or cannot be, with
                the engine's words.
            RuntimeUnavailableError: If the engine cannot be used.
        """
        timeout = self._settings.build_timeout
        return fetch_image(self._engine, spec, image, on_event, timeout)

    def start(self, spec: Spec, artifact: Artifact, *, registry: str) -> Instance:
        """
        Start a container with a shadow's share and no restart policy.

        On any failure, Ctrl-C included, nothing of it is left.

        Raises:
            StartError: With the engine's words.
        """
        container = start_container(
            self._engine, self._settings, spec, artifact, registry
        )
        instance = self.inspect(container)
        if instance is None:
            raise StartError(
                "Somebody removed its container as soon as it was started.",
                spec.name,
                spec.version,
                "start",
            )
        return instance

    def settle(self, instance: Instance) -> None:
        """
        Have a container that is ready come back after a crash and a reboot.

        Raises:
            DeployError: If it is gone.
        """
        client = self._engine.ready()
        doing = Failing(
            self._engine.endpoint, "settle", instance.name, instance.version
        )
        with mapped(doing):
            restart_after_crashes(client, instance.id)

    def set_share(self, instance_id: str, *, is_main: bool) -> None:
        """
        Give a container main's or a shadow's share; it is not restarted.

        Raises:
            DeployError: If it is gone.
        """
        shares = self._settings.main_shares if is_main else self._settings.shadow_shares
        # Set twice is set once, so it may be asked like a question.
        self._engine.ask(
            lambda client: set_shares(client, instance_id, shares),
            Failing(self._engine.endpoint, "set the share of"),
        )

    def inspect(self, instance_id: str) -> Instance | None:
        """Return one container with all that is known of it; None if it is gone."""
        found = self._inspected(instance_id)
        if found is None:
            return None
        instance = of_inspection(found, self._settings.main_shares)
        if instance is None or instance.has_settled:
            return instance
        # What cannot be marked as settled counts as that while it runs.
        has_settled = instance.status is Status.running and self._engine.is_podman()
        return attrs.evolve(instance, has_settled=has_settled)

    def details(self, instance_id: str) -> Mapping[str, object]:
        """
        Return what the engine says of a container; empty if it is gone.

        See ``details_of`` for the keys. Environment values are redacted.
        """
        found = self._inspected(instance_id)
        return {} if found is None else details_of(found)

    def list(self, project: str) -> Sequence[Instance]:
        """Return every container of a project, in one call; none has a start time."""
        return list_instances(self._engine, project)

    def stop(self, instance_id: str, *, grace: float) -> None:
        """
        Ask a container to end, wait, end it, remove it; gone is no error.

        Args:
            instance_id: The container.
            grace: Seconds to wait; the engine counts whole ones. 0: none.

        Raises:
            DeployError: If it was not made by us, or by another runtime; it is left
                alone.
        """
        if instance_id.startswith("process-"):
            raise DeployError(
                f"{instance_id} is no container: it was deployed as a process. Use "
                f"Deployer(ProcessRuntime()).",
                stage="stop",
            )
        client = self._engine.ready()
        with mapped(Failing(self._engine.endpoint, "stop")):
            project = stop_container(client, instance_id, grace)
            if project is not None:
                own = places.own_container_for(client, self._settings)
                remove_if_unused(client, project, own)

    def remove_artifact(self, spec: Spec, *, registry: str) -> None:
        """
        Remove the images that were built for a version, as far as nothing uses them.

        One that somebody gave a name of his own loses our tag and stays.
        """
        client = self._engine.ready()
        with mapped(Failing.at(self._engine.endpoint, "remove the image of", spec)):
            owner = Identity(spec.project, spec.name, spec.version, registry)
            for image in images_of(client, owner):
                discard_image(client, image["Id"], tag_of(owner))

    def logs(
        self,
        instance_id: str,
        *,
        tail: int | None,
        follow: bool,
        since: datetime | None,
    ) -> Iterator[LogLine]:
        """
        Yield lines of output, oldest first, over a connection of their own.

        Raises:
            DeployError: At the first line, if the container is gone.
        """
        return read_log(
            self._engine, instance_id, tail=tail, follow=follow, since=since
        )

    def leftovers(
        self, project: str, registry: str, known: Sequence[tuple[str, str]]
    ) -> Sequence[Leftover]:
        """Return containers, images and bridges of none of the *known* versions."""
        found = self._engine.ask(lambda client: leftovers.survey(client, project))
        return list(leftovers.find_leftovers(found, project, registry, known))

    def remove_leftover(self, leftover: Leftover) -> None:
        """Remove one of ``leftovers``; gone is no error."""
        client = self._engine.ready()
        with mapped(Failing(self._engine.endpoint, "remove")):
            leftovers.remove_leftover(client, leftover)

    def close(self) -> None:
        """Free the connections; containers go on, and the next verb connects again."""
        self._engine.close()

    def _inspected(self, container: str) -> Mapping[str, object] | None:
        return self._engine.ask(lambda client: inspected(client, container))
