"""One engine for a run: found or started, with its base image."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import attrs
import docker

from container_engine.base_image import base_image
from container_engine.client import connect, find
from container_engine.dockerd import private_dockerd
from container_engine.locks import exclusive
from container_engine.places import Places
from container_engine.podman import private_podman


@attrs.frozen
class Engine:
    """
    A container engine that answers.

    Attributes:
        url: Where it listens, as in ``DOCKER_HOST``.
        client: Low-level API client, 60 s a call.
        base_image: Name of an image with Python that is on it.
        is_private: Whether the harness started it for itself.
    """

    url: str
    client: docker.APIClient
    base_image: str
    is_private: bool


@contextmanager
def running_engine(
    say: Callable[[str], None] = lambda _: None, *, podman: bool = False
) -> Iterator[Engine]:
    """
    Give an engine for the length of a block.

    Inside the block ``DOCKER_HOST`` and ``DAEPLOY_BASE_IMAGE`` name the engine and
    its base image, here and in the programs started there.

    Args:
        say: Is told, in one line each, about steps that take seconds.
        podman: Start a private Podman instead, whatever engine answers.

    Raises:
        EngineUnavailableError: If there is none and none can be started; the
            message has the remedy.
    """
    places = Places.default()
    with ExitStack() as stack:
        url = None if podman else find()
        is_private = url is None
        if url is None:
            start = private_podman if podman else private_dockerd
            url = stack.enter_context(start(places, say))
        client = connect(url)
        stack.callback(client.close)
        places.create()
        with exclusive(places.starting):
            image = base_image(client, places, say)
        names = {"DOCKER_HOST": url, "DAEPLOY_BASE_IMAGE": image}
        stack.enter_context(environment(names))
        yield Engine(url, client, image, is_private)


@contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the length of a block."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
