"""Images that we built: found by label, removed by our own tag only."""

import time
from typing import Any

import docker
import docker.errors

from daeploy_lib.domain.names import image_tag
from daeploy_lib.runtimes.docker import labels
from daeploy_lib.runtimes.docker.failures import engine_words

# In use by a container, or by another image's tag.
_CONFLICT = 409
_ATTEMPTS = 5
_RETRY_S = 0.1


def built_images(client: docker.APIClient, project: str) -> list[dict[str, Any]]:
    """Return every image that was built for a project, as the engine lists it."""
    filters = {"label": [labels.image_label(project)]}
    found: list[dict[str, Any]] = client.images(filters=filters)
    return found


def images_of(client: docker.APIClient, owner: labels.Identity) -> list[dict[str, Any]]:
    """Return every image that was built for one version."""
    found = built_images(client, owner.project)
    return [i for i in found if owner in labels.image_identities(i.get("Labels"))]


def images_of_attempt(
    client: docker.APIClient, project: str, attempt: str
) -> list[dict[str, Any]]:
    """Return every image that one build has made."""
    found = built_images(client, project)
    return [
        i for i in found if labels.image_attempt(i.get("Labels"), project) == attempt
    ]


def tag_of(owner: labels.Identity) -> str:
    """Return the tag of the image of a version."""
    return image_tag(owner.project, owner.name, owner.version)


def discard_image(client: docker.APIClient, image: str, tag: str) -> None:
    """
    Take our tag off an image, and remove it if nothing else uses it.

    A tag of somebody else keeps it, a container keeps it too, and one that was
    not built for what the tag names is not touched. Gone is no error.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _discard(client, image, tag)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if error.status_code == _CONFLICT:
                return
            # Another process removes steps that both images were made from.
            if "image ID" not in engine_words(error) or attempt == _ATTEMPTS:
                raise
            time.sleep(_RETRY_S)
        else:
            return


def _discard(client: docker.APIClient, image: str, tag: str) -> None:
    found = client.inspect_image(image)
    owners = labels.image_identities((found.get("Config") or {}).get("Labels"))
    if tag not in map(tag_of, owners):
        return
    tags = [name for name in found.get("RepoTags") or () if name != "<none>:<none>"]
    ours = [name for name in tags if is_same_tag(name, tag)]
    if ours:
        client.remove_image(ours[0])
    elif not tags:
        client.remove_image(found["Id"])


def is_same_tag(name: str, tag: str) -> bool:
    """
    Return whether an engine's name for an image is our tag.

    Example:
        >>> is_same_tag("localhost/daeploy/p/n:1", "daeploy/p/n:1")
        True
    """
    # Podman's names have a host.
    return name in (tag, f"localhost/{tag}", f"docker.io/{tag}")
