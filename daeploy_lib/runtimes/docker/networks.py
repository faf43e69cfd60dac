"""One bridge for each project, made when it is needed and removed when it is not."""

import contextlib
from typing import Any

import docker
import docker.errors

from daeploy_lib.errors import StartError
from daeploy_lib.runtimes.docker import labels
from daeploy_lib.runtimes.shield import uninterrupted

# Refused because something is connected, gone already, or in use by a container.
_STILL_NEEDED = (403, 404, 409, 500)
_CONNECTED_ALREADY = 403
_CONFLICT = 409
# Times that one looks for the network that another process has made.
_ATTEMPTS = 5


def ensure_network(client: docker.APIClient, project: str) -> str:
    """
    Return the id of the project's bridge.

    Names of networks are not unique before API 1.44: of several that processes
    made at once all keep the oldest, and each removes its own.
    """
    for _ in range(_ATTEMPTS):
        found = project_networks(client, project)
        if found:
            return str(found[0]["Id"])
        made = _create_network(client, project)
        if made is None:
            continue
        found = project_networks(client, project)
        if found and found[0]["Id"] != made:
            remove_network(client, made)
            made = str(found[0]["Id"])
        return made
    raise StartError(
        f"A network {network_name(project)} exists that is not daeploy_lib's, and is "
        f"left alone. Remove it, or use another project=.",
        stage="start",
    )


def _create_network(client: docker.APIClient, project: str) -> str | None:
    """Create the project's bridge; None if another process has just done so."""
    try:
        # An engine that is left alone makes it after it was looked for to be removed.
        made = uninterrupted(
            lambda: client.create_network(
                network_name(project),
                driver="bridge",
                check_duplicate=True,
                labels={labels.PROJECT: project},
            )
        )
    except docker.errors.APIError as error:
        if error.status_code == _CONFLICT:
            return None
        raise
    return str(made["Id"])


def network_name(project: str) -> str:
    """
    Return what a project's bridge is called.

    Example:
        >>> network_name("default")
        'daeploy.default'
    """
    return f"daeploy.{project}"


def join(client: docker.APIClient, network: str, container: str) -> None:
    """Connect a container to a network, unless it is."""
    try:
        client.connect_container_to_network(container, network)
    except docker.errors.APIError as error:
        if error.status_code != _CONNECTED_ALREADY and "already" not in str(error):
            raise


def remove_if_unused(
    client: docker.APIClient, project: str, own_container: str | None
) -> None:
    """
    Remove the project's bridge when no container of the project is left.

    Args:
        client: The engine.
        project: The project.
        own_container: The container that this process runs in, if it has
            joined the bridge.
    """
    filters = labels.project_filter(project)
    if client.containers(all=True, filters=filters):
        return
    for network in project_networks(client, project):
        if own_container is not None:
            with contextlib.suppress(docker.errors.APIError):
                client.disconnect_container_from_network(own_container, network["Id"])
        remove_network(client, network["Id"])


def project_networks(client: docker.APIClient, project: str) -> list[dict[str, Any]]:
    """Return the project's bridges, oldest first."""
    found = client.networks(filters=labels.project_filter(project))
    ours = [n for n in found if (n.get("Labels") or {}).get(labels.PROJECT) == project]
    return sorted(ours, key=lambda n: (n.get("Created") or "", n["Id"]))


def remove_network(client: docker.APIClient, network: str) -> None:
    """Remove a bridge, unless something is connected to it or it is gone."""
    try:
        client.remove_network(network)
    except docker.errors.APIError as error:
        # Somebody connects to it right now, and will find it there.
        if error.status_code not in _STILL_NEEDED:
            raise
