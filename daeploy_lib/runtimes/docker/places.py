"""Where a version is reached: at a port of the host, or over the project's network."""

import hashlib
import random
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import attrs
import docker

from daeploy_lib.domain.names import container_name
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import RuntimeUnavailableError, StartError
from daeploy_lib.runtimes.docker import labels
from daeploy_lib.runtimes.docker.endpoint import Endpoint
from daeploy_lib.runtimes.docker.failures import unreachable
from daeploy_lib.runtimes.docker.own_container import own_container
from daeploy_lib.runtimes.docker.settings import Settings

# Ports that are tried before giving up: each one taken by a stranger costs a
# container that is made and removed.
_ATTEMPTS = 25
_HOST = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.ASCII)
_TAKEN = re.compile(
    r"port is already allocated|address already in use|ports are not available",
    re.IGNORECASE,
)


@attrs.frozen
class Place:
    """
    One way to reach one version.

    Attributes:
        endpoint: Its base address.
        port: The pinned port on the host; None over the network.
        bind: The address of the host that the port is opened on.
    """

    endpoint: str
    port: int | None = None
    bind: str = ""


def own_container_for(client: docker.APIClient, settings: Settings) -> str | None:
    """Return our own container if versions are reached over the network."""
    return None if settings.reach == "host" else own_container(client)


def check_reach(endpoint: Endpoint, settings: Settings, own: str | None) -> None:
    """
    Refuse what could never be reached.

    Raises:
        RuntimeUnavailableError: If the port would be opened on another
            machine's loopback, or there is no container to join the network.
    """
    if own is not None:
        return
    if settings.reach == "network":
        raise unreachable(
            endpoint,
            "reach='network' needs this process to run in a container of that "
            "engine, and it does not",
        )
    if settings.is_bound_to_loopback and not endpoint.is_local:
        raise RuntimeUnavailableError(
            f"The engine at {endpoint} is on another machine: a port that it opens "
            f"on {settings.bind} cannot be reached from here. Give an address of "
            f"that machine, DockerRuntime(bind='…'), or run this in a container "
            f"there. Whoever reaches that address reaches the services too.",
            endpoint=str(endpoint),
            reason="unreachable",
        )


def places(
    client: docker.APIClient,
    endpoint: Endpoint,
    settings: Settings,
    spec: Spec,
    own: str | None,
) -> Iterator[Place]:
    """
    Yield places to try, in order.

    Ports begin at random, so that processes that start at once do not meet at
    each; ports that are pinned to containers of ours are left out, also while
    these are down.
    """
    if own is not None:
        for _ in range(_ATTEMPTS):
            yield Place(f"http://{network_host(spec)}:{spec.port}")
        return
    pinned = _pinned_ports(client)
    free = [port for port in settings.ports if port not in pinned]
    if not free:
        raise StartError(
            f"No port is left for it: all {len(settings.ports)} ports of the range "
            f"belong to versions already. Kill some, or give "
            f"DockerRuntime(ports=range(…)) more.",
            spec.name,
            spec.version,
            "start",
        )
    first = random.randrange(len(free))  # noqa: S311 - to spread, not to hide
    host = _host(endpoint, settings)
    for port in (free[first:] + free[:first])[:_ATTEMPTS]:
        yield Place(f"http://{host}:{port}", port, settings.bind)


def is_port_taken(words: str) -> bool:
    """Return whether the engine refuses because somebody has the port."""
    return bool(_TAKEN.search(words))


def network_host(spec: Spec) -> str:
    """
    Return the name that a version's container answers to on the network.

    That of the container, if a resolver takes it as it is: parts of at most 63
    characters (RFC 1035, section 2.3.4), and in lower case, as clients make it.

    Example:
        >>> network_host(Spec("default", "hello", "1.0.0"))
        'daeploy.default.hello.1.0.0'
        >>> network_host(Spec("default", "hello", "1.0.0-RC1"))
        'daeploy-45c22876cb3054b6'
    """
    name = container_name(spec.project, spec.name, spec.version)
    if _HOST.fullmatch(name):
        return name
    return f"daeploy-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _pinned_ports(client: docker.APIClient) -> set[int]:
    found = client.containers(all=True, filters={"label": [labels.PORT]})
    texts = ((entry.get("Labels") or {}).get(labels.PORT, "") for entry in found)
    return {int(text) for text in texts if text.isdecimal() and text.isascii()}


def _host(endpoint: Endpoint, settings: Settings) -> str:
    """Return the host in a version's address."""
    host = settings.bind
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        host = "127.0.0.1" if endpoint.is_local else str(endpoint.host)
    return urlsplit(f"//[{host}]").netloc if ":" in host else host
