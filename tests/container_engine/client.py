"""The engine's API as the harness needs it."""

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import docker
import requests
from docker.errors import DockerException, NotFound
from docker.utils import kwargs_from_env

DEFAULT_URL = "unix:///var/run/docker.sock"
# Seconds. A local engine answers within milliseconds; DOCKER_HOST may be far away.
ANSWER_TIMEOUT = 5.0
# Seconds for one call of a test.
CALL_TIMEOUT = 60


def connect(url: str, *, timeout: float = CALL_TIMEOUT) -> docker.APIClient:
    """
    Connect to the engine at *url*, with the TLS settings of the environment.

    Raises:
        DockerException: If nothing answers there.
    """
    settings: dict[str, Any] = {**kwargs_from_env(), "base_url": url}
    return docker.APIClient(version="auto", timeout=int(timeout), **settings)


def answers(url: str) -> bool:
    """Say whether an engine answers at *url*."""
    if url.startswith("unix://") and not _listens(url.removeprefix("unix://")):
        return False
    try:
        client = connect(url, timeout=ANSWER_TIMEOUT)
    except (DockerException, requests.RequestException, OSError):
        return False
    client.close()
    return True


def _listens(path: str) -> bool:
    """
    Say whether someone listens on the socket at *path*.

    docker-py leaves its own socket open when it cannot connect, which shows as a
    ResourceWarning in whichever test happens to run later.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(ANSWER_TIMEOUT)
        return probe.connect_ex(path) == 0


def find(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the first engine that answers: ``DOCKER_HOST``, the default socket."""
    candidates = [environ.get("DOCKER_HOST"), DEFAULT_URL]
    return next((url for url in candidates if url and answers(url)), None)


def remove_project(client: docker.APIClient, project: str | None) -> list[str]:
    """
    Remove what carries the label of *project*: containers, networks, images.

    Args:
        client: The engine.
        project: Its name; None stands for every project of ours.

    Returns:
        What was there, each as a kind and an id.
    """
    label = "daeploy.project" if project is None else f"daeploy.project={project}"
    chosen: dict[str, Any] = {"filters": {"label": [label]}}
    removed = []
    for container in client.containers(all=True, **chosen):
        _forgive(client.remove_container, container["Id"], force=True, v=True)
        removed.append(f"container {container['Id']}")
    for network in client.networks(**chosen):
        _forgive(client.remove_network, network["Id"])
        removed.append(f"network {network['Id']}")
    for image in built_images(client, project):
        # noprune: the steps below the image are the build cache of the next test.
        _forgive(client.remove_image, image["Id"], force=True, noprune=True)
        removed.append(f"image {image['Id']}")
    return removed


def built_images(client: docker.APIClient, project: str | None) -> list[Any]:
    """Return the images that were built for *project*; None: for any of ours."""
    if project is not None:
        return list(client.images(filters={"label": [f"daeploy.image.{project}"]}))
    return [
        image
        for image in client.images()
        if any(key.startswith("daeploy.image.") for key in image.get("Labels") or ())
    ]


def sweep(url: str) -> None:
    """Remove what earlier runs have left on a private engine: all but its cache."""
    client = connect(url)
    try:
        for container in client.containers(all=True):
            _forgive(client.remove_container, container["Id"], force=True, v=True)
        remove_project(client, None)
        client.prune_networks()
        # A week of build cache keeps the data root from growing without end.
        client.prune_images({"dangling": True, "until": "168h"})
    finally:
        client.close()


def _forgive(
    remove: Callable[..., object], *arguments: object, **options: object
) -> None:
    """Remove something that may be gone already."""
    with suppress(NotFound):
        remove(*arguments, **options)
