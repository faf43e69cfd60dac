"""The container that this process runs in, if it runs in one of this engine."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors

_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
_TABLES = (Path("/proc/self/mountinfo"), Path("/proc/self/cgroup"))
# In the mount table: …/containers/<id>/hostname; in the cgroup of version 1:
# …/docker/<id>, and with systemd docker-<id>.scope.
_ID = re.compile(r"(?:containers/|docker[/-]|libpod-)([0-9a-f]{64})", re.ASCII)


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
    for table in _TABLES:
        try:
            text = table.read_text(errors="replace")
        except OSError:
            continue
        yield from dict.fromkeys(_ID.findall(text))
    # The default host name is the short id.
    name = socket.gethostname()
    if re.fullmatch(r"[0-9a-f]{12}", name):
        yield name
