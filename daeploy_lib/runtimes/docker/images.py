"""Images that we built: found by label, removed by our own tag only."""

from typing import Any

import docker
import docker.errors

from daeploy_lib.domain.names import image_tag
from daeploy_lib.runtimes.docker import labels

# In use by a container, or by another image's tag.
_CONFLICT = 409


def built_images(client: docker.APIClient, project: str) -> list[dict[str, Any]]:
    """Return every image that was built for a project, as the engine lists it."""
    filters = labels.project_filter(project)
    found: list[dict[str, Any]] = client.images(filters=filters)
    return found


def images_of(client: docker.APIClient, owner: labels.Identity) -> list[dict[str, Any]]:
    """Return every image that was built for one version."""
    found = built_images(client, owner.project)
    return [i for i in found if labels.image_identity(i.get("Labels")) == owner]


def tag_of(owner: labels.Identity) -> str:
    """Return the tag of the image of a version."""
    return image_tag(owner.project, owner.name, owner.version)


def discard_image(client: docker.APIClient, image: str, tag: str) -> None:
    """
    Take our tag off an image, and remove it if nothing else uses it.

    A tag of somebody else keeps it, a container keeps it too, and without our
    labels it is not touched. Gone is no error.
    """
    try:
        found = client.inspect_image(image)
    except docker.errors.NotFound:
        return
    if labels.image_identity((found.get("Config") or {}).get("Labels")) is None:
        return
    tags = [name for name in found.get("RepoTags") or () if name != "<none>:<none>"]
    ours = [name for name in tags if is_same_tag(name, tag)]
    try:
        if ours:
            client.remove_image(ours[0])
        elif not tags:
            client.remove_image(found["Id"])
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        # Podman says 409 as well.
        if error.status_code != _CONFLICT:
            raise


def is_same_tag(name: str, tag: str) -> bool:
    """
    Return whether an engine's name for an image is our tag.

    Example:
        >>> is_same_tag("localhost/daeploy/p/n:1", "daeploy/p/n:1")
        True
    """
    # Podman's names have a host.
    return name in (tag, f"localhost/{tag}", f"docker.io/{tag}")
