"""The two things of a running container that change: restart policy and shares."""

import logging
from typing import Any

import docker
import docker.errors

from daeploy_lib.runtimes.docker.listing import inspected

_log = logging.getLogger(__name__)


def restart_after_crashes(client: docker.APIClient, container: str) -> None:
    """Have the engine start a container again after a crash and after a reboot."""
    if not _update(client, container, restart_policy={"Name": "unless-stopped"}):
        _log.warning(
            "This engine cannot change a running container (Podman before 5): "
            "%s will not come back after a crash.",
            container[:12],
        )


def set_shares(client: docker.APIClient, container: str, shares: int) -> None:
    """Change a container's share of the processors, without a restart."""
    if not _update(client, container, cpu_shares=shares):
        _log.debug("This engine cannot change the shares of %s.", container[:12])


def _update(client: docker.APIClient, container: str, **changes: Any) -> bool:
    """Change a container; return False if the engine does not know how to."""
    try:
        client.update_container(container, **changes)
    except docker.errors.NotFound:
        # Either the container is missing, or the engine's call.
        if inspected(client, container) is None:
            raise
        return False
    return True
