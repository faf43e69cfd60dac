"""What is left on the engine of versions that are not there any more."""

from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import docker
import docker.errors

from daeploy_lib.domain.service import Leftover
from daeploy_lib.runtimes.docker import labels
from daeploy_lib.runtimes.docker.images import (
    built_images,
    discard_image,
    is_same_tag,
    tag_of,
)
from daeploy_lib.runtimes.docker.listing import full_id
from daeploy_lib.runtimes.docker.networks import project_networks, remove_network
from daeploy_lib.runtimes.docker.stopping import stop_container


@attrs.frozen
class Survey:
    """
    One look at what the engine has.

    Attributes:
        containers: Every container, also strangers': they may use our images.
        images: Every image that was built for the project.
        networks: The project's bridges.
    """

    containers: Sequence[dict[str, Any]]
    images: Sequence[dict[str, Any]]
    networks: Sequence[dict[str, Any]]


def survey(client: docker.APIClient, project: str) -> Survey:
    """Ask the engine; containers last, so that a used image is known as used."""
    images = built_images(client, project)
    networks = project_networks(client, project)
    return Survey(client.containers(all=True), images, networks)


def find_leftovers(
    found: Survey, project: str, registry: str, known: Sequence[tuple[str, str]]
) -> Iterator[Leftover]:
    """
    Yield what belongs to *registry* and none of the *known* versions.

    Containers come first, then the images that are free once these are gone,
    then the project's bridge.
    """

    def owns(identity: labels.Identity) -> bool:
        return (identity.project, identity.registry) == (project, registry)

    dead: set[str] = set()
    for container in found.containers:
        identity = labels.identity_of(_labels(container))
        if identity is None or not owns(identity):
            continue
        if (identity.name, identity.version) not in known:
            dead.add(container["Id"])
            reason = _unregistered(identity)
            yield Leftover("container", container["Id"], _name(container), reason)
    alive = [c for c in found.containers if c["Id"] not in dead]
    used = {full_id(container.get("ImageID") or "") for container in alive}
    for image in found.images:
        if full_id(image["Id"]) not in used:
            for owner in filter(owns, labels.image_identities(_labels(image))):
                yield from _image(image, owner, alive, known)
    if not known and not any(_labels(c).get(labels.PROJECT) == project for c in alive):
        for network in found.networks:
            reason = f"no version of project {project} is left"
            yield Leftover("network", network["Id"], network["Name"], reason)


def remove_leftover(client: docker.APIClient, leftover: Leftover) -> None:
    """Remove a container, image or bridge, if it still carries our labels."""
    try:
        if leftover.kind == "container":
            stop_container(client, leftover.id, 0.0)
        elif leftover.kind == "image":
            discard_image(client, leftover.id, leftover.name)
        elif leftover.kind == "network":
            found = client.inspect_network(leftover.id)
            if (found.get("Labels") or {}).get(labels.PROJECT):
                remove_network(client, leftover.id)
    except docker.errors.NotFound:
        return


def _image(
    image: dict[str, Any],
    owner: labels.Identity,
    alive: Sequence[dict[str, Any]],
    known: Sequence[tuple[str, str]],
) -> Iterator[Leftover]:
    """Yield an image that nothing uses, unless a version is about to start."""
    tag = tag_of(owner)
    tags = [name for name in image.get("RepoTags") or () if name != "<none>:<none>"]
    if tags and not any(is_same_tag(name, tag) for name in tags):
        # Somebody else has given it a name, and keeps it.
        return
    if (owner.name, owner.version) not in known:
        yield Leftover("image", image["Id"], tag, _unregistered(owner))
    elif any(labels.identity_of(_labels(c)) == owner for c in alive):
        # Its container was made from another image. Without a container the
        # version may be being deployed right now.
        reason = "it is an earlier build of that version"
        yield Leftover("image", image["Id"], tag, reason)


def _unregistered(identity: labels.Identity) -> str:
    return f"no version {identity.version} of {identity.name} is registered"


def _labels(entry: dict[str, Any]) -> dict[str, str]:
    return entry.get("Labels") or {}


def _name(entry: dict[str, Any]) -> str:
    names = entry.get("Names") or [entry["Id"][:12]]
    return str(names[0]).lstrip("/")
