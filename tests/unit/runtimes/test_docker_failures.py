"""Every error of the engine's client has a counterpart of ours."""

import inspect
from typing import Any

import docker.errors
import pytest
import requests.exceptions
import urllib3.exceptions

from daeploy_lib.errors import BuildError, DeployError, StartError
from daeploy_lib.runtimes.docker.endpoint import Endpoint
from daeploy_lib.runtimes.docker.failures import (
    FOREIGN,
    Failing,
    engine_words,
    mapped,
    to_ours,
)

ENDPOINT = Endpoint("unix:///x.sock")
DOING = Failing(ENDPOINT, "start", "hello", "1.0.0")


def classes(module: Any, base: type[BaseException]) -> list[type[BaseException]]:
    """Return the error classes of a module."""
    return [
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, base) and not issubclass(found, Warning)
    ]


DOCKER = classes(docker.errors, Exception)
HTTP = [
    *classes(requests.exceptions, requests.exceptions.RequestException),
    *classes(urllib3.exceptions, urllib3.exceptions.HTTPError),
]


def made(kind: type[BaseException]) -> BaseException:
    """Return an error of a class, whatever its constructor asks for."""
    error = kind.__new__(kind)
    error.args = ("out of luck",)
    error.__dict__ |= {"response": None, "explanation": None, "reason": None}
    error.__dict__ |= {"msg": "out of luck", "param": "x", "name": "x"}
    error.__dict__ |= {"partial": 1, "expected": 2, "length": b"", "_conn": None}
    return error


@pytest.mark.parametrize("kind", [*DOCKER, *HTTP], ids=lambda kind: kind.__qualname__)
def test_none_escapes(kind: type[BaseException]) -> None:
    """What the client may raise comes out as a DeployError."""
    with pytest.raises(DeployError) as failed, mapped(DOING):
        raise made(kind)
    assert str(failed.value)
    assert failed.value.__cause__ is None


def test_there_are_such_classes() -> None:
    """The lists above are not empty, and cover what FOREIGN promises."""
    assert len(DOCKER) > 10
    assert all(issubclass(kind, FOREIGN) for kind in [*DOCKER, *HTTP])


@pytest.mark.parametrize(
    ("stage", "kind"),
    [("build", BuildError), ("start", StartError), ("stop", DeployError)],
)
def test_refusals_by_stage(stage: str, kind: type[DeployError]) -> None:
    """What the engine refuses is an error of the stage, with the engine's words."""
    response = requests.Response()
    response.status_code, response.reason = 500, "Internal Server Error"
    error = docker.errors.APIError("text", response, "no space left on device")
    found = to_ours(error, Failing(ENDPOINT, stage, "hello", "1.0.0"))
    assert type(found) is kind
    assert "no space left on device" in str(found)
    assert (found.name, found.version, found.stage) == ("hello", "1.0.0", stage)


def test_other_errors_pass() -> None:
    """Our own mistakes are not the engine's, and Ctrl-C is nobody's."""
    for error in (KeyboardInterrupt(), ZeroDivisionError(), TypeError()):
        with pytest.raises(type(error)), mapped(DOING):
            raise error
    ours = BuildError("as it is")
    with pytest.raises(BuildError) as failed, mapped(DOING):
        raise ours
    assert failed.value is ours


def test_no_build_argument_is_shown() -> None:
    """The address of a request, which has them in it, is left out."""
    url = "/v1.41/build?buildargs=%7B%22FTP_PROXY%22%3A+%22hunter2%22%7D"
    pool = urllib3.HTTPConnectionPool("localhost")
    lost = urllib3.exceptions.MaxRetryError(pool, url, None)
    pool.close()
    assert "hunter2" in str(lost)
    error = requests.exceptions.ConnectionError(lost)
    assert "hunter2" not in str(to_ours(error, DOING))
    response = requests.Response()
    response.status_code, response.url = 400, f"http+docker://localhost{url}"
    refused = docker.errors.APIError("text", response, None)
    assert "hunter2" in str(refused)
    assert "hunter2" not in engine_words(refused)
    assert "hunter2" not in str(to_ours(refused, DOING))
