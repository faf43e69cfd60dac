"""A container from an image: created and started, or nothing of it is left."""

import contextlib
import logging
import secrets
from typing import Any

import attrs
import docker
import docker.errors

from daeploy_lib.domain.names import container_name
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import StartError
from daeploy_lib.runtimes.base import Artifact
from daeploy_lib.runtimes.docker import labels, networks, places
from daeploy_lib.runtimes.docker.client import Engine
from daeploy_lib.runtimes.docker.endpoint import Endpoint
from daeploy_lib.runtimes.docker.failures import Failing, engine_words, mapped
from daeploy_lib.runtimes.docker.hardening import container_settings, host_settings
from daeploy_lib.runtimes.docker.settings import Settings
from daeploy_lib.runtimes.docker.stopping import remove_container
from daeploy_lib.runtimes.shield import uninterrupted

_log = logging.getLogger(__name__)

_CONFLICT = 409
# Times that a name is cleared before giving up: somebody makes it again.
_NAME_ATTEMPTS = 5


def start_container(
    engine: Engine, settings: Settings, spec: Spec, artifact: Artifact, registry: str
) -> str:
    """
    Create and start a container; return its id.

    On any failure, Ctrl-C included, what was made is removed again.

    Raises:
        StartError: With the engine's words.
        RuntimeUnavailableError: If it could not be reached where it would be.
    """
    client, endpoint = engine.ready(), engine.endpoint
    with mapped(Failing.at(endpoint, "start", spec)):
        own = places.own_container_for(client, settings)
        places.check_reach(endpoint, settings, own)
        start = _Start(
            client=client,
            endpoint=endpoint,
            is_podman=engine.is_podman(),
            settings=settings,
            spec=spec,
            artifact=artifact,
            registry=registry,
            own=own,
        )
        try:
            return start.anywhere()
        except BaseException:
            start.undo()
            raise


@attrs.frozen
class _Start:
    """
    One start of one version.

    Attributes:
        client: The engine's.
        endpoint: The engine's address.
        is_podman: Whether the engine is Podman.
        settings: Of the runtime.
        spec: What is asked for.
        artifact: The image.
        registry: Id of the registry that it belongs to.
        own: The container that this process runs in, if versions are reached
            over the network.
        attempt: This start's own mark.
    """

    client: docker.APIClient
    endpoint: Endpoint
    is_podman: bool
    settings: Settings
    spec: Spec
    artifact: Artifact
    registry: str
    own: str | None
    attempt: str = attrs.field(factory=lambda: secrets.token_hex(8))

    def anywhere(self) -> str:
        """Start it at the first place that is free; return its container's id."""
        user = self._image_user()
        refused = "no port was tried"
        found = places.places(
            self.client, self.endpoint, self.settings, self.spec, self.own
        )
        for place in found:
            network = networks.ensure_network(self.client, self.spec.project)
            container = self._create(place, network, user)
            try:
                self._start(container, network)
            except docker.errors.APIError as error:
                refused = engine_words(error)
                failure = self._start_error(container, refused)
                remove_container(self.client, container)
                if not (places.is_port_taken(refused) or _is_changing(refused)):
                    raise failure from None
            else:
                return container
        raise self._error(
            f"No port of the range is free; the last one tried: {refused}. Give "
            f"DockerRuntime(ports=range(…)) others."
        )

    def undo(self) -> None:
        """Remove what was made; what cannot be is left for ``cleanup``."""
        project = self.spec.project
        filters = labels.project_filter(project, attempt=self.attempt)
        try:
            for left in self.client.containers(all=True, filters=filters):
                remove_container(self.client, left["Id"])
            networks.remove_if_unused(self.client, project, self.own)
        except Exception:  # noqa: BLE001 - what failed the start matters more
            _log.warning("Could not remove what a failed start left", exc_info=True)

    def _image_user(self) -> str:
        try:
            image = self.client.inspect_image(self.artifact.image)
        except docker.errors.NotFound:
            raise self._error(
                f"The image {self.artifact.image} is not on the engine any more. "
                f"Deploy again."
            ) from None
        return str((image.get("Config") or {}).get("User") or "")

    def _start(self, container: str, network: str) -> None:
        if self.own is not None:
            networks.join(self.client, network, self.own)
        uninterrupted(lambda: self.client.start(container))

    def _create(self, place: places.Place, network: str, user: str) -> str:
        """Create the container; one that a crashed deployment left makes way."""
        name = container_name(self.spec.project, self.spec.name, self.spec.version)
        arguments = self._arguments(place, network, user)
        for _ in range(_NAME_ATTEMPTS):
            try:
                made = uninterrupted(
                    lambda: self.client.create_container(
                        self.artifact.image, name=name, **arguments
                    )
                )
            except docker.errors.APIError as error:
                if not _is_name_conflict(error):
                    raise
                self._clear(name)
            else:
                for warning in made.get("Warnings") or ():
                    _log.warning("The engine on creating %s: %s", name, warning)
                return str(made["Id"])
        raise self._error(
            f"The container name {name} is taken again as soon as it is free. Is "
            f"another process deploying the same version?"
        )

    def _arguments(
        self, place: places.Place, network: str, user: str
    ) -> dict[str, Any]:
        marks = labels.container_labels(self.spec, self.artifact, self.registry)
        marks[labels.ATTEMPT] = self.attempt
        marks[labels.ENDPOINT] = place.endpoint
        host = host_settings(
            self.spec,
            self.artifact,
            self.settings.shadow_shares,
            is_podman=self.is_podman,
        )
        if place.port is not None:
            marks[labels.PORT] = str(place.port)
            host["port_bindings"] = {self.spec.port: (place.bind, place.port)}
        alias = places.network_host(self.spec)
        endpoints: Any = {network: self.client.create_endpoint_config([alias])}
        return {
            **container_settings(self.spec, self.artifact, user),
            "labels": marks,
            "ports": [self.spec.port],
            "host_config": self.client.create_host_config(network_mode=network, **host),
            "networking_config": self.client.create_networking_config(endpoints),
        }

    def _clear(self, name: str) -> None:
        """
        Remove the container that a crashed deployment of the same version left.

        The caller holds the reservation of the version, so nobody needs that one.

        Raises:
            StartError: If it belongs to somebody else; it is left alone.
        """
        try:
            found = self.client.inspect_container(name)
        except docker.errors.NotFound:
            return
        spec = self.spec
        wanted = labels.Identity(spec.project, spec.name, spec.version, self.registry)
        identity = labels.identity_of(found["Config"].get("Labels"))
        if identity == wanted:
            _log.warning("Removing what an earlier deployment left of %s", name)
            remove_container(self.client, found["Id"])
            return
        owner = "was not made by daeploy_lib"
        if identity is not None:
            owner = f"belongs to another registry, {identity.registry or 'unknown'},"
        raise self._error(
            f"Its container name {name} is taken by container {found['Id'][:12]}, "
            f"which {owner} and is left alone. Use another project= or version, or "
            f"remove that container."
        )

    def _start_error(self, container: str, words: str) -> StartError:
        exit_code = None
        with contextlib.suppress(docker.errors.APIError):
            state = self.client.inspect_container(container)["State"]
            exit_code = state.get("ExitCode") or None
        hint = ""
        if "executable file not found" in words or "no such file" in words:
            hint = " Check command= and the image's own command."
        return self._error(f"The engine cannot start it: {words}.{hint}", exit_code)

    def _error(self, message: str, exit_code: int | None = None) -> StartError:
        spec = self.spec
        return StartError(message, spec.name, spec.version, "start", exit_code)


def _is_name_conflict(error: docker.errors.APIError) -> bool:
    # Docker says 409; Podman says 500, and why in words.
    words = engine_words(error)
    return error.status_code == _CONFLICT or ("name" in words and "in use" in words)


def _is_changing(refused: str) -> bool:
    """
    Return whether another process was just making or removing the network.

    It may have removed the empty one meanwhile; or two exist for a moment, and
    the engine of old looks them up by name, whatever it was given.
    """
    return "network" in refused and ("not found" in refused or "ambiguous" in refused)
