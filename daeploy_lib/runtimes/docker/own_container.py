"""The container that this process runs in, if it runs in one of this engine."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors

_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
# What the engine mounts over these files lies in the container's own directory:
# …/containers/<id>/hostname. Other mounts may be of containers in our container.
_MOUNTED = re.compile(
    r"/([0-9a-f]{64})/\S* /etc/(?:hostname|hosts|resolv\.conf) ", re.ASCII
)
# With version 1 of cgroups: …/docker/<id>, or docker-<id>.scope under systemd.
_CGROUP = re.compile(r"(?:docker|libpod)[/-]([0-9a-f]{64})", re.ASCII)
_TABLES = (
    (Path("/proc/self/mountinfo"), _MOUNTED),
    (Path("/proc/self/cgroup"), _CGROUP),
)


def own_container(client: docker.APIClient) -> str | None:
    """
    Return the id of our own container on this engine; None if there is none.

    A process in a container that talks to another engine, such as one nested in
    it, has none either.
    """
    if not any(mark.exists() for mark in _MARKS):
        return None
    for candidate in _candidates():
        try:
            found = client.inspect_container(candidate)
        except docker.errors.NotFound:
            continue
        if found["State"].get("Running"):
            return str(found["Id"])
    return None


def _candidates() -> Iterator[str]:
    for table, pattern in _TABLES:
        try:
            text = table.read_text(errors="replace")
        except OSError:
            continue
        yield from dict.fromkeys(pattern.findall(text))
    # The default host name is the short id.
    name = socket.gethostname()
    if re.fullmatch(r"[0-9a-f]{12}", name):
        yield name
