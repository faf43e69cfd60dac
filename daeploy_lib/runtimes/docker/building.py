"""An image from a vetted context: built and tagged, or nothing of it is left."""

import contextlib
import logging
import random
import re
import time
from collections.abc import Callable

import docker

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import BuildError, DeployError
from daeploy_lib.runtimes.base import Artifact, OnEvent
from daeploy_lib.runtimes.docker.build_events import BuildMessages, build_error
from daeploy_lib.runtimes.docker.build_stream import Order, build_messages
from daeploy_lib.runtimes.docker.client import Engine
from daeploy_lib.runtimes.docker.failures import Failing, mapped
from daeploy_lib.runtimes.docker.images import discard_image, images_of_attempt, tag_of
from daeploy_lib.runtimes.docker.listing import inspected
from daeploy_lib.runtimes.docker.stopping import remove_container
from daeploy_lib.runtimes.shield import uninterrupted

_log = logging.getLogger(__name__)

# Seconds for the engine to remove the container of a step that was cut short;
# it took up to 3.
_STEP_END_TIMEOUT_S = 10.0
_POLL_S = 0.1
# Seconds from the end of the connection to when the engine acts on it.
_NOTICE_S = 1.0
# The engine names a digest that no Dockerfile did: a step that was in its cache a
# moment ago. With the last image that was made from it a step is removed, also by
# another process and in the middle of this build.
_LOST_CACHE = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_ATTEMPTS = 6
# Seconds between them, about; processes that disturb one another come apart.
_RETRY_S = 0.2


def build_image(engine: Engine, order: Order, on_event: OnEvent) -> Artifact:
    """
    Build and tag an image; events are given as they happen.

    On any failure, Ctrl-C included, no container and no image of it is left,
    but the engine's cache of finished steps.

    Raises:
        BuildError: With the engine's words and the last lines of output.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return _build(engine, order, on_event)
        except BuildError as error:
            if error.exit_code is not None or not _LOST_CACHE.search(error.message):
                raise
            _log.info("Building again: %s", error.message)
            time.sleep(_RETRY_S * random.random())  # noqa: S311 - no secret
    return _build(engine, order, on_event)


def _build(engine: Engine, order: Order, on_event: OnEvent) -> Artifact:
    client, spec = engine.ready(), order.spec
    messages = BuildMessages()
    with mapped(Failing.at(engine.endpoint, "build", spec)):
        try:
            with contextlib.closing(build_messages(engine, order)) as stream:
                for message in stream:
                    for event in messages.read(message):
                        on_event(event)
            image = _image(messages, spec)
            repository, _, version = tag_of(order.owner).rpartition(":")
            uninterrupted(lambda: client.tag(image, repository, version, force=True))
        except BaseException as error:
            _clean_up(client, messages, order)
            if isinstance(error, DeployError) and not error.log_lines:
                error.log_lines = messages.last_lines
            raise
    source = order.source
    return Artifact(image, source.digest, source_origin=source.origin)


def _image(messages: BuildMessages, spec: Spec) -> str:
    failure = messages.failure(spec.name, spec.version)
    if failure is not None:
        raise failure
    if messages.image is None:
        raise build_error(
            "the engine ended the build without an image",
            spec.name,
            spec.version,
            lines=messages.last_lines,
        )
    return messages.image


def _clean_up(
    client: docker.APIClient,
    messages: BuildMessages,
    order: Order,
) -> None:
    """Wait for the cut step to end; remove what this build has made."""
    try:
        if not messages.is_over:
            # The engine goes on until it notices: it makes the step's container,
            # or even the image, and removes the container again.
            time.sleep(_NOTICE_S)
            _wait_until(lambda: not _runs(client, messages.unborn))
        for container in messages.containers[-1:]:
            _wait_until(lambda name=container: inspected(client, name) is None)  # type: ignore[misc]
            remove_container(client, container)
        tag = tag_of(order.owner)
        for image in images_of_attempt(client, order.spec.project, order.attempt):
            discard_image(client, image["Id"], tag)
    except Exception:  # noqa: BLE001 - what failed the build matters more
        _log.warning("Could not remove what a failed build left", exc_info=True)


def _runs(client: docker.APIClient, words: str) -> bool:
    if not words:
        return False
    found = client.containers(all=True)
    return any(words in (container.get("Command") or "") for container in found)


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _STEP_END_TIMEOUT_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(_POLL_S)
