"""One build over the engine's classic builder, as the messages that it sends."""

import logging
import re
import secrets
import time
from collections.abc import Generator, Iterator
from typing import Any

import attrs
import docker.errors
import requests
import urllib3.exceptions

from daeploy_lib import interruption
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import BuildError, DeployError, SourceError
from daeploy_lib.runtimes.base import BuildInput
from daeploy_lib.runtimes.docker import labels
from daeploy_lib.runtimes.docker.build_events import build_error
from daeploy_lib.runtimes.docker.client import Engine
from daeploy_lib.runtimes.docker.failures import engine_words
from daeploy_lib.runtimes.docker.hanging_up import hang_up
from daeploy_lib.runtimes.docker.recipes import Recipe

_BUILD_ARGUMENTS = re.compile(r"buildargs=[^&\s]*")
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


@attrs.frozen
class Order:
    """
    What is built, and for whom.

    Attributes:
        spec: The version.
        source: Its context.
        recipe: How that is built.
        registry: Id of the registry that the image belongs to.
        timeout: Seconds for all of it.
        attempt: Tells the images of this build from any others.
    """

    spec: Spec
    source: BuildInput
    recipe: Recipe
    registry: str
    timeout: float
    attempt: str = attrs.field(factory=lambda: secrets.token_hex(8))

    @property
    def owner(self) -> labels.Identity:
        """The version that the image is for."""
        spec = self.spec
        return labels.Identity(spec.project, spec.name, spec.version, self.registry)


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


def build_messages(
    engine: Engine, order: Order
) -> Generator[dict[str, Any], None, None]:
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
        with interruption.ended_by(lambda: hang_up(responses)):
            for message in client.build(
                fileobj=context,  # type: ignore[arg-type]
                custom_context=True,
                dockerfile=recipe.dockerfile,
                buildargs=dict(recipe.build_args),
                labels=labels.image_labels(
                    spec, order.source.digest, order.registry, order.attempt
                ),
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
    except _TIMEOUTS:
        raise BuildError(
            f"The build has not ended within {timeout:g} s and was cancelled. Give "
            f"DockerRuntime(build_timeout=…) more if it needs it.",
            spec.name,
            spec.version,
            "build",
        ) from None
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
