"""Which engine is used: argument, DOCKER_HOST, context, default."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from daeploy_lib.errors import RuntimeUnavailableError
from daeploy_lib.runtimes.docker import DockerRuntime
from daeploy_lib.runtimes.docker.client import Engine
from daeploy_lib.runtimes.docker.endpoint import DEFAULT_URL, find_endpoint


def write_context(directory: Path, name: str, **engine: Any) -> Path:
    """Write a context as the command line does; return where its keys would be."""
    identity = hashlib.sha256(name.encode()).hexdigest()
    meta = directory / "contexts" / "meta" / identity
    meta.mkdir(parents=True)
    content = {"Name": name, "Metadata": {}, "Endpoints": {"docker": engine}}
    (meta / "meta.json").write_text(json.dumps(content))
    return directory / "contexts" / "tls" / identity / "docker"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment with a configuration directory of its own."""
    return {"DOCKER_CONFIG": str(tmp_path)}


def test_the_default(environ: dict[str, str]) -> None:
    """Without any configuration it is the default socket."""
    assert find_endpoint(environ=environ).url == DEFAULT_URL
    named = {**environ, "DOCKER_CONTEXT": "default"}
    assert find_endpoint(environ=named).url == DEFAULT_URL


def test_the_order(tmp_path: Path, environ: dict[str, str]) -> None:
    """Argument before DOCKER_HOST before DOCKER_CONTEXT before the current one."""
    write_context(tmp_path, "current", Host="unix:///current.sock")
    write_context(tmp_path, "named", Host="unix:///named.sock")
    (tmp_path / "config.json").write_text('{"currentContext": "current"}')
    assert find_endpoint(environ=environ).url == "unix:///current.sock"
    assert find_endpoint(environ=environ).origin == "context current"
    environ["DOCKER_CONTEXT"] = "named"
    assert find_endpoint(environ=environ).url == "unix:///named.sock"
    environ["DOCKER_HOST"] = "unix:///host.sock"
    assert find_endpoint(environ=environ).url == "unix:///host.sock"
    assert find_endpoint("unix:///mine.sock", environ).url == "unix:///mine.sock"


def test_a_context_with_certificates(tmp_path: Path, environ: dict[str, str]) -> None:
    """The context's own certificates are used, verified unless it says otherwise."""
    environ["DOCKER_CONTEXT"] = "remote"
    keys = write_context(tmp_path, "remote", Host="tcp://engine:2376")
    keys.mkdir(parents=True)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (keys / name).write_text("")
    found = find_endpoint(environ=environ)
    assert found.tls is not None
    assert (found.tls.ca, found.tls.is_verified) == (str(keys / "ca.pem"), True)
    assert not found.is_local


def test_certificates_of_the_environment(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """DOCKER_CERT_PATH and DOCKER_TLS_VERIFY count for TCP endpoints only."""
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("")
    environ |= {"DOCKER_HOST": "tcp://engine:2376", "DOCKER_TLS_VERIFY": "1"}
    found = find_endpoint(environ=environ).tls
    assert found is not None
    assert (found.key, found.is_verified) == (str(tmp_path / "key.pem"), True)
    environ |= {"DOCKER_CERT_PATH": str(tmp_path / "none")}
    assert find_endpoint(environ=environ).tls is None
    environ |= {"DOCKER_HOST": "unix:///x.sock", "DOCKER_CERT_PATH": str(tmp_path)}
    assert find_endpoint(environ=environ).tls is None


@pytest.mark.parametrize("content", [None, "{", "[]", '{"Endpoints": {}}'])
def test_a_context_that_is_missing_or_damaged(
    tmp_path: Path,
    environ: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    content: str | None,
) -> None:
    """It is reported by the first verb, with its name, and not before."""
    if content is not None:
        write_context(tmp_path, "lost")
        next(tmp_path.glob("contexts/meta/*/meta.json")).write_text(content)
    for name, value in {**environ, "DOCKER_CONTEXT": "lost"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    runtime = DockerRuntime()
    assert "lost" in runtime.description
    with pytest.raises(RuntimeUnavailableError, match="lost"):
        runtime.list("default")


def test_a_damaged_configuration(tmp_path: Path, environ: dict[str, str]) -> None:
    """The default is used, as the command line does."""
    (tmp_path / "config.json").write_text("{")
    assert find_endpoint(environ=environ).url == DEFAULT_URL


def test_what_is_no_address(environ: dict[str, str]) -> None:
    """A wrong argument is a ValueError, a wrong variable waits for the first verb."""
    with pytest.raises(ValueError, match="unix://"):
        find_endpoint("localhost:2375")
    found = find_endpoint(environ={**environ, "DOCKER_HOST": "localhost"})
    with pytest.raises(RuntimeUnavailableError, match="DOCKER_HOST"):
        Engine(found).ready()


def test_no_password_is_shown() -> None:
    """An address is shown without the password in it."""
    runtime = DockerRuntime("tcp://user:hunter2@engine:2375")
    assert "hunter2" not in repr(runtime)
    assert "engine:2375" in repr(runtime)


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        ("unix:///var/run/docker.sock", True),
        ("npipe:////./pipe/docker_engine", True),
        ("tcp://127.0.0.1:2375", True),
        ("tcp://localhost:2375", True),
        ("tcp://[::1]:2375", True),
        ("tcp://10.0.0.5:2375", False),
        ("ssh://localhost", False),
        ("ssh://user@engine", False),
    ],
)
def test_whether_loopback_is_shared(url: str, is_local: bool) -> None:
    """Only a socket and loopback itself share this machine's loopback."""
    assert find_endpoint(url).is_local is is_local
