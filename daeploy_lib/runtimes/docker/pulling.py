"""One pull of an image, as events; cancelled by leaving it."""

import re
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import attrs
import docker.errors
import requests
import urllib3.exceptions

from daeploy_lib import interruption
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import SourceError
from daeploy_lib.runtimes.base import Event, OnEvent
from daeploy_lib.runtimes.docker.client import Engine
from daeploy_lib.runtimes.docker.failures import engine_words
from daeploy_lib.runtimes.docker.hanging_up import hang_up
from daeploy_lib.sources.image import Image

# Seconds without any news of it.
STALL_S = 120.0
_DIGEST = re.compile(r"Digest: (sha256:[0-9a-f]{64})", re.ASCII)
_TIMEOUTS = (
    TimeoutError,
    requests.exceptions.Timeout,
    urllib3.exceptions.TimeoutError,
)
# What engines and registries say, in lower case, and what it means. The first
# that is found counts; "denied" is said of what does not exist as well.
_REASONS = (
    ("no space left", "the engine's disk is full. Free some with docker system prune"),
    (
        "no matching manifest|does not match the specified platform",
        "it is not made for the engine's platform. Name one that is",
    ),
    (
        "toomanyrequests|429 too many",
        "its registry refuses more pulls for now. Wait, or docker login",
    ),
    (
        "unauthorized|no basic auth|denied|authentication required|forbidden",
        (
            "it does not exist, or its registry wants a login. Check its name, and "
            "run docker login for that registry as this user"
        ),
    ),
    (
        "manifest unknown|not found: |name unknown|not found$",
        "its registry has no such name or tag. Check both",
    ),
    (
        "verification failed|unexpected eof|digest mismatch|did not match",
        (
            "what its registry sent is not what it promised. Try again, and tell "
            "those who run it"
        ),
    ),
    (
        "http response to https client|x509|certificate",
        (
            "its registry has no certificate that the engine trusts. Have it trust "
            "that, or the registry"
        ),
    ),
    (
        "no such host|dial tcp|connection refused|i/o timeout|timeout|deadline|reset",
        (
            "its registry cannot be reached from the engine. Check the registry's "
            "name and the network"
        ),
    ),
)


def pull(
    engine: Engine, spec: Spec, image: Image, on_event: OnEvent, timeout: float
) -> str:
    """
    Pull an image; return the digest of its manifest, or "" if nobody says.

    Leaving it, by Ctrl-C too, makes the engine stop.

    Raises:
        SourceError: If it cannot be pulled, with the engine's words.
    """
    on_event(Event("source", f"Pulling {image.engine_name}"))
    progress = _Progress()
    try:
        with closing(_messages(engine, image, timeout)) as stream:
            for message in stream:
                words = _failure(message)
                if words:
                    raise _refused(spec, image, words)
                for event in progress.read(message):
                    on_event(event)
    except _TIMEOUTS:
        raise _late(spec, image, timeout) from None
    except docker.errors.APIError as error:
        raise _refused(spec, image, engine_words(error)) from None
    except docker.errors.DockerException as error:
        # The client's own: of a program that keeps its passwords, for one.
        raise _refused(spec, image, str(error)) from None
    except requests.exceptions.ConnectionError as error:
        # So the client calls a stream that says nothing in time.
        if "timed out" in str(error):
            raise _late(spec, image, timeout) from None
        raise
    return progress.digest


def source_error(spec: Spec, image: Image, what: str) -> SourceError:
    """Return the error for an image that cannot be had."""
    return SourceError(
        f"The image {image.engine_name} cannot be used: {what}.",
        spec.name,
        spec.version,
        "source",
    )


@attrs.define
class _Progress:
    """
    Folds the hundreds of messages of a pull into a line for each finished layer.

    Attributes:
        layers: By their short names: whether they are complete.
        digest: Of the manifest, once it is known.
    """

    layers: dict[str, bool] = attrs.field(factory=dict)
    digest: str = ""

    def read(self, message: dict[str, Any]) -> Iterator[Event]:
        """Yield what people want to know of a message."""
        status, layer = str(message.get("status", "")), str(message.get("id", ""))
        digest = _DIGEST.match(status)
        if digest is not None:
            self.digest = digest[1]
        if status in ("Pulling fs layer", "Waiting", "Downloading"):
            self.layers.setdefault(layer, False)
        if status in ("Pull complete", "Already exists"):
            self.layers[layer] = True
            done, known = sum(self.layers.values()), len(self.layers)
            yield Event("source", f"Layer {layer}: {status.lower()}", done, known)


def _messages(
    engine: Engine, image: Image, timeout: float
) -> Generator[dict[str, Any], None, None]:
    deadline = time.monotonic() + timeout
    responses: list[requests.Response] = []
    client = engine.stream()
    client.hooks["response"].append(lambda response, **_: responses.append(response))
    send = client.send
    stall = min(timeout, STALL_S)

    def send_in_time(request: Any, **settings: Any) -> requests.Response:
        # The client itself would wait for a silent registry forever.
        return send(request, **{**settings, "timeout": stall})

    client.send = send_in_time  # type: ignore[method-assign]
    try:
        tag = image.digest or image.tag
        with interruption.ended_by(lambda: hang_up(responses)):
            for message in client.pull(image.name, tag=tag, stream=True, decode=True):
                yield message
                if time.monotonic() > deadline:
                    raise TimeoutError
    finally:
        for response in responses:
            response.close()
        client.close()


def _failure(message: dict[str, Any]) -> str:
    detail = message.get("errorDetail")
    words = detail.get("message") if isinstance(detail, dict) else None
    return str(words or message.get("error") or "")


def _refused(spec: Spec, image: Image, words: str) -> SourceError:
    text = words.lower()
    meanings = (means for said, means in _REASONS if re.search(said, text))
    means = next(meanings, "the engine refused to pull it")
    return source_error(spec, image, f"{means}. The engine says: {words.strip(' .')}")


def _late(spec: Spec, image: Image, timeout: float) -> SourceError:
    return source_error(
        spec,
        image,
        f"its registry did not answer, or was too slow; the pull was cancelled. A pull "
        f"may take {timeout:g} s, DockerRuntime(build_timeout=…), and "
        f"{min(timeout, STALL_S):g} s without news",
    )
