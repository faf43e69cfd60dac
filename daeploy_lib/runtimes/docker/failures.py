"""The one place where errors of the engine and of its client become ours."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import docker.errors
import requests.exceptions
import urllib3.exceptions

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import (
    BuildError,
    DeployError,
    RuntimeUnavailableError,
    StartError,
)
from daeploy_lib.runtimes.docker.endpoint import Endpoint

# Docker 20.10; the oldest engine that the tests run on.
API_MIN = "1.41"

FOREIGN = (
    docker.errors.DockerException,
    docker.errors.StreamParseError,
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
)

_TIMEOUTS = (
    TimeoutError,
    requests.exceptions.Timeout,
    urllib3.exceptions.TimeoutError,
)


@attrs.frozen
class Failing:
    """
    What was being done when something failed.

    Attributes:
        endpoint: The engine.
        stage: ``build``, ``start``, or another verb.
        name: The service, or "".
        version: The version, or "".
    """

    endpoint: Endpoint
    stage: str
    name: str = ""
    version: str = ""

    @classmethod
    def at(cls, endpoint: Endpoint, stage: str, spec: Spec) -> "Failing":
        """Return the stage of one version's deployment."""
        return cls(endpoint, stage, spec.name, spec.version)


@contextmanager
def mapped(doing: Failing) -> Iterator[None]:
    """
    Raise errors of the engine's client as ours; others pass.

    The engine's own words are in the message. The foreign error is not kept as
    the cause: its text has the whole address of the request, and with it the
    build arguments.
    """
    try:
        yield
    except DeployError:
        raise
    except FOREIGN as error:
        raise to_ours(error, doing) from None


def to_ours(error: Exception, doing: Failing) -> DeployError:
    """Return our error for one of the engine's client."""
    if isinstance(error, docker.errors.APIError) and error.status_code is not None:
        return _refused(engine_words(error), doing)
    if isinstance(error, docker.errors.InvalidVersion):
        return too_old(doing.endpoint, str(error))
    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, PermissionError) or _errno(cause) in (
            errno.EACCES,
            errno.EPERM,
        ):
            return _no_permission(doing.endpoint)
    for cause in chain:
        if isinstance(cause, docker.errors.APIError):
            return unreachable(
                doing.endpoint,
                f"what answers there is no Docker engine: {engine_words(cause)}",
            )
    return unreachable(doing.endpoint, _reason(chain))


def engine_words(error: Exception) -> str:
    """Return what the engine said, without the address that was asked."""
    if isinstance(error, docker.errors.APIError):
        if error.explanation:
            words: object = error.explanation
            return str(
                words.decode(errors="replace") if isinstance(words, bytes) else words
            )
        reason = getattr(error.response, "reason", None)
        return f"HTTP {error.status_code} {reason or ''}".strip()
    return str(error)


def unreachable(endpoint: Endpoint, reason: str) -> RuntimeUnavailableError:
    """Return the error for an engine that does not answer."""
    return RuntimeUnavailableError(
        f"The Docker engine at {endpoint} (from {endpoint.origin}) cannot be "
        f"reached: {reason}. Start it, or name another one in DOCKER_HOST; "
        f"Deployer(ProcessRuntime()) needs none.",
        endpoint=str(endpoint),
        reason="unreachable",
    )


def too_old(endpoint: Endpoint, found: str) -> RuntimeUnavailableError:
    """Return the error for an engine whose API is too old."""
    return RuntimeUnavailableError(
        f"The Docker engine at {endpoint} is too old: API {found}, at least "
        f"{API_MIN} is needed. Update it to Docker 20.10, Podman 4 or newer.",
        endpoint=str(endpoint),
        reason="version",
    )


def _no_permission(endpoint: Endpoint) -> RuntimeUnavailableError:
    return RuntimeUnavailableError(
        f"Permission denied by the Docker engine at {endpoint} (from "
        f"{endpoint.origin}). Add this user to the group that owns the socket "
        f"('docker', as a rule) and log in again, or use a rootless engine.",
        endpoint=str(endpoint),
        reason="permission",
    )


def _refused(words: str, doing: Failing) -> DeployError:
    # The program that was asked for, the engine or its proxy says no.
    kinds: dict[str, type[DeployError]] = {"build": BuildError, "start": StartError}
    kind = kinds.get(doing.stage, DeployError)
    return kind(
        f"The engine refused to {doing.stage} it: {words}",
        doing.name,
        doing.version,
        doing.stage,
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and everything behind it, also what hides in arguments."""
    seen: set[int] = set()
    left: list[BaseException] = [error]
    while left:
        one = left.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        left += [arg for arg in one.args if isinstance(arg, BaseException)]
        left += [e for e in (one.__cause__, one.__context__) if e is not None]


def _errno(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _reason(chain: list[BaseException]) -> str:
    """Return the plainest words for why nothing answers."""
    for cause in chain:
        # Before the timeouts: a refusal is one, in the client's classes.
        if _errno(cause) is not None and not isinstance(cause, TimeoutError):
            return os.strerror(_errno(cause) or 0).lower()
    if any(isinstance(cause, _TIMEOUTS) for cause in chain):
        return "it does not answer in time"
    last = chain[-1]
    # The address of a request has the build arguments in it.
    words = re.sub(r"with url: \S+", "", str(last)).strip()
    return words or type(last).__name__
