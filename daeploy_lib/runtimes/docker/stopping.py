"""The end of a container: asked to end, ended, removed; gone is no error."""

import math
import time
from collections.abc import Callable

import docker
import docker.errors

from daeploy_lib import interruption
from daeploy_lib.errors import DeployError
from daeploy_lib.runtimes.docker import labels
from daeploy_lib.runtimes.docker.failures import engine_words
from daeploy_lib.runtimes.docker.listing import inspected

# Seconds that the engine may take to remove what somebody else removes already.
_REMOVAL_TIMEOUT_S = 30.0
_POLL_S = 0.05
_CONFLICT = 409


def stop_container(
    client: docker.APIClient, container: str, grace: float
) -> str | None:
    """
    Stop and remove a container of ours; return its project, None if it was gone.

    Raises:
        DeployError: If it is not ours; it is left alone.
    """
    found = inspected(client, container)
    if found is None:
        return None
    identity = labels.identity_of(found["Config"].get("Labels"))
    if identity is None:
        raise DeployError(
            f"Container {container[:12]} is not daeploy_lib's: it is left alone.",
            stage="stop",
        )
    if found["State"].get("Paused"):
        # The engine cannot stop what it holds.
        _unless_gone(client.unpause, container)
    if grace > 0 and found["State"].get("Running"):
        # The engine counts whole seconds.
        seconds = math.ceil(grace)
        # The engine goes on with it, whether anybody waits or not.
        interruption.not_waited_for(
            lambda: _unless_gone(
                lambda name: client.stop(name, timeout=seconds), container
            )
        )
    remove_container(client, container)
    return identity.project


def remove_container(client: docker.APIClient, container: str) -> None:
    """Kill and remove a container and its volumes; return when it is gone."""
    deadline = time.monotonic() + _REMOVAL_TIMEOUT_S
    while True:
        try:
            client.remove_container(container, v=True, force=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if _is_gone(error):
                return
            # "removal of container … is already in progress"
            if error.status_code != _CONFLICT or time.monotonic() > deadline:
                raise
        if inspected(client, container) is None or time.monotonic() > deadline:
            return
        time.sleep(_POLL_S)


def _unless_gone(verb: Callable[[str], object], container: str) -> None:
    try:
        verb(container)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        # Stopped, or being removed, by somebody else.
        if error.status_code != _CONFLICT and not _is_gone(error):
            raise


def _is_gone(error: docker.errors.APIError) -> bool:
    # Podman's words, with status 500, for what was removed meanwhile.
    return "no such container" in engine_words(error).lower()
