"""An image from a vetted context, over the engine's classic builder."""

import contextlib
import logging
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import attrs
import docker
import docker.errors
import requests
import urllib3.exceptions

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import BuildError, DeployError, SourceError
from daeploy_lib.runtimes.base import Artifact, BuildInput, OnEvent
from daeploy_lib.runtimes.docker import labels
from daeploy_lib.runtimes.docker.build_events import BuildMessages, build_error
from daeploy_lib.runtimes.docker.client import Engine
from daeploy_lib.runtimes.docker.failures import Failing, engine_words, mapped
from daeploy_lib.runtimes.docker.images import discard_image, images_of, tag_of
from daeploy_lib.runtimes.docker.labels import Identity
from daeploy_lib.runtimes.docker.listing import inspected
from daeploy_lib.runtimes.docker.shield import uninterrupted
from daeploy_lib.runtimes.docker.stopping import remove_container

_log = logging.getLogger(__name__)
_BUILD_ARGUMENTS = re.compile(r"buildargs=[^&\s]*")

# Seconds for the engine to remove the container of a step that was cut short;
# it took up to 3.
_STEP_END_TIMEOUT_S = 10.0
_POLL_S = 0.1
# Seconds from the end of the connection to when the engine acts on it.
_NOTICE_S = 1.0
_BAD_REQUEST = 400
_TIMEOUTS = (
    TimeoutError,
    requests.exceptions.Timeout,
    urllib3.exceptions.TimeoutError,
)


class _WithoutBuildArguments(logging.Filter):
    """
    Keeps the build arguments, which may be secrets, out of urllib3's log.

    At the level DEBUG it logs the address of every request, and they are in it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the address that a record tells."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                _BUILD_ARGUMENTS.sub("buildargs=…", arg)
                if isinstance(arg, str)
                else arg
                for arg in record.args
            )
        return True


_WITHOUT_BUILD_ARGUMENTS = _WithoutBuildArguments()


def _names_only(build_args: Mapping[str, str]) -> str:
    return repr(sorted(build_args))


@attrs.frozen
class Recipe:
    """
    How a context is built.

    Attributes:
        dockerfile: Its path in the context.
        files: Files that are added to the context, by path.
        under: Directory of the context that the content is put in.
        build_args: Values of the Dockerfile's ``ARG`` names.
    """

    dockerfile: str = "Dockerfile"
    files: Mapping[str, bytes] = attrs.field(factory=dict)
    under: str = ""
    build_args: Mapping[str, str] = attrs.field(factory=dict, repr=_names_only)


class _Context:
    """The context as it is sent; keeps its own failure apart from the engine's."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            # An empty chunk would end the upload.
            yield from (chunk for chunk in self._chunks if chunk)
        except Exception as error:
            self.error = error
            raise

    def raise_own(self, spec: Spec) -> None:
        """
        Raise why the context could not be read, if it could not.

        Raises:
            SourceError: It is not the engine that failed.
        """
        if isinstance(self.error, DeployError):
            raise self.error
        if self.error is not None:
            raise SourceError(
                f"The source cannot be read: {self.error}",
                spec.name,
                spec.version,
                "source",
            ) from self.error


def build_image(
    engine: Engine,
    spec: Spec,
    source: BuildInput,
    recipe: Recipe,
    on_event: OnEvent,
    *,
    registry: str,
    timeout: float,
) -> Artifact:
    """
    Build and tag an image; events are given as they happen.

    On any failure, Ctrl-C included, no container and no image of it is left,
    but the engine's cache of finished steps.

    Raises:
        BuildError: With the engine's words and the last lines of output.
    """
    client = engine.ready()
    messages = BuildMessages()
    owner = Identity(spec.project, spec.name, spec.version, registry)
    with mapped(Failing.at(engine.endpoint, "build", spec)):
        before = {image["Id"] for image in images_of(client, owner)}
        try:
            order = _Order(spec, source, recipe, registry, timeout)
            stream = _messages(engine, order)
            with contextlib.closing(stream):
                for message in stream:
                    for event in messages.read(message):
                        on_event(event)
            image = _image(messages, spec)
            repository, _, version = tag_of(owner).rpartition(":")
            uninterrupted(lambda: client.tag(image, repository, version, force=True))
        except BaseException as error:
            _clean_up(client, messages, owner, before)
            if isinstance(error, DeployError) and not error.log_lines:
                error.log_lines = messages.last_lines
            raise
    return Artifact(image, source.digest, is_built=True)


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


@attrs.frozen
class _Order:
    """What is built, and for whom."""

    spec: Spec
    source: BuildInput
    recipe: Recipe
    registry: str
    timeout: float


def _messages(engine: Engine, order: _Order) -> Generator[dict[str, Any], None, None]:
    """Yield the engine's messages; closing the iterator cancels the build."""
    spec, recipe, timeout = order.spec, order.recipe, order.timeout
    context = _Context(order.source.write_tar(recipe.files, under=recipe.under))
    deadline = time.monotonic() + timeout
    responses: list[requests.Response] = []
    client = engine.stream()
    # Once added it stays: another thread may be building.
    logging.getLogger("urllib3.connectionpool").addFilter(_WITHOUT_BUILD_ARGUMENTS)
    client.hooks["response"].append(lambda response, **_: responses.append(response))
    try:
        for message in client.build(
            fileobj=context,  # type: ignore[arg-type]
            custom_context=True,
            dockerfile=recipe.dockerfile,
            buildargs=dict(recipe.build_args),
            labels=labels.image_labels(spec, order.source.digest, order.registry),
            rm=True,
            forcerm=True,
            decode=True,
            timeout=max(1, round(timeout)),
        ):
            yield message
            _check_deadline(responses, deadline)
    except docker.errors.APIError as error:
        if error.status_code != _BAD_REQUEST:
            raise
        raise build_error(engine_words(error), spec.name, spec.version) from None
    except _TIMEOUTS as error:
        raise BuildError(
            f"The build has not ended within {timeout:g} s and was cancelled. Give "
            f"DockerRuntime(build_timeout=…) more if it needs it.",
            spec.name,
            spec.version,
            "build",
        ) from error
    except Exception as error:
        context.raise_own(spec)
        raise error from None
    finally:
        for response in responses:
            response.close()
        client.close()


def _check_deadline(responses: list[requests.Response], deadline: float) -> None:
    """
    Let the next read wait until the deadline and no longer.

    Raises:
        TimeoutError: If it has passed.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection = getattr(responses[-1].raw, "connection", None)
    sock = getattr(connection, "sock", None)
    if sock is not None:
        sock.settimeout(left)


def _clean_up(
    client: docker.APIClient,
    messages: BuildMessages,
    owner: Identity,
    before: set[str],
) -> None:
    """Wait for the cut step to end; remove images that were not there before."""
    try:
        if not messages.is_over:
            # The engine goes on until it notices: it makes the step's container,
            # or even the image, and removes the container again.
            time.sleep(_NOTICE_S)
            _wait_until(lambda: not _runs(client, messages.unborn))
        for container in messages.containers[-1:]:
            _wait_until(lambda name=container: inspected(client, name) is None)  # type: ignore[misc]
            remove_container(client, container)
        for image in images_of(client, owner):
            if image["Id"] not in before:
                discard_image(client, image["Id"], tag_of(owner))
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
