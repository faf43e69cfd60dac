"""Engines that cannot be used: three messages, in time, and nothing is changed."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from daeploy_lib import Deployer, DockerRuntime, RuntimeUnavailableError
from daeploy_lib.registry.registry import Registry
from fake_engine import engine_of, fake_engine
from registry_process import PROJECT, deploy, open_registry

VERBS: dict[str, Callable[[Deployer, Path], object]] = {
    "ls": lambda d, _: d.ls(),
    "get": lambda d, _: d.get("hello"),
    "deploy": lambda d, source: d.deploy("hello", "2.0.0", source),
    "cleanup": lambda d, _: d.cleanup(),
    "logs": lambda d, _: list(d.logs("hello")),
    "inspect": lambda d, _: d.inspect("hello"),
}
pytestmark = pytest.mark.once

# What the reason is called, and the words of observation and remedy.
SAID = {
    "down": ("unreachable", "cannot be reached: no such file.* Start it, or name"),
    "hangs": ("unreachable", "it does not answer in time.* Start it, or name"),
    "old": ("version", "too old: API 1.40, at least 1.41 is needed. Update it"),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory that could be deployed."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "service.py").write_text("")
    return folder


@pytest.fixture
def registry(state: Path) -> Registry:
    """A registry that knows of a version from when there was an engine."""
    registry = open_registry(state)
    deploy(registry, "hello", "1.0.0")
    return registry


@pytest.fixture
def engines() -> Iterator[dict[str, str]]:
    """Addresses of engines that cannot be used, by what is wrong with them."""
    # The path of a socket may have 107 bytes only.
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server = stack.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(f"{folder}/hangs")
        server.listen()
        old = stack.enter_context(fake_engine(Path(folder, "old"), engine_of("1.40")))
        yield {
            "down": f"unix://{folder}/down",
            "hangs": f"unix://{folder}/hangs",
            "old": old,
        }


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("wrong", SAID)
def test_an_engine_that_cannot_be_used(
    state: Path,
    registry: Registry,
    source: Path,
    engines: dict[str, str],
    *,
    wrong: str,
    verb: str,
) -> None:
    """Each verb says which, where and what to do, within 5 s; versions stay."""
    before = registry.versions()
    url, (reason, words) = engines[wrong], SAID[wrong]
    began = time.monotonic()
    with (
        Deployer(DockerRuntime(url), project=PROJECT, state=state) as deployer,
        pytest.raises(RuntimeUnavailableError) as failed,
    ):
        VERBS[verb](deployer, source)
    assert time.monotonic() - began < 5
    assert failed.value.reason == reason
    assert failed.value.endpoint == url
    assert url in str(failed.value)
    assert re.search(words, str(failed.value), re.DOTALL)
    assert registry.versions() == before


def test_a_new_state_directory_without_an_engine(tmp_path: Path) -> None:
    """What may run already cannot be adopted, so no verb goes on as if nothing did."""
    runtime = DockerRuntime(f"unix://{tmp_path}/nowhere.sock")
    with Deployer(runtime, project=PROJECT, state=tmp_path / "state") as deployer:
        for look in (deployer.ls, lambda: deployer.history("hello"), deployer.kill_all):
            with pytest.raises(RuntimeUnavailableError):
                look()
    assert not Registry(tmp_path / "state", PROJECT).is_adopted()


def test_what_needs_no_engine(state: Path, registry: Registry, tmp_path: Path) -> None:
    """The history is told without one."""
    assert len(registry.versions()) == 1
    runtime = DockerRuntime(f"unix://{tmp_path}/nowhere.sock")
    with Deployer(runtime, project=PROJECT, state=state) as deployer:
        assert [change.version for change in deployer.history("hello")] == ["1.0.0"]


def test_an_engine_that_one_may_not_use(engines: dict[str, str]) -> None:
    """A user without rights to the socket is told how to get them."""
    path = Path(engines["hangs"].removeprefix("unix://"))
    path.parent.chmod(0o755)
    path.chmod(0o600 if os.geteuid() == 0 else 0)
    code = """
        import os, sys, tempfile
        from daeploy_lib import Deployer, DockerRuntime, RuntimeUnavailableError
        state = tempfile.mkdtemp()

        def ls(url):
            try:
                Deployer(DockerRuntime(url), state=state).ls()
            except RuntimeUnavailableError as error:
                return error

        # What is imported late may be out of reach later.
        assert ls("unix:///nowhere").reason == "unreachable"
        if os.geteuid() == 0:
            os.chmod(state, 0o777)
            for name in os.listdir(state):
                os.chown(os.path.join(state, name), 65534, 65534)
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        error = ls(sys.argv[1])
        print(error.reason, error.endpoint)
        print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), engines["hangs"]],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    first, message = done.stdout.split("\n", 1)
    assert first == f"permission {engines['hangs']}"
    assert message.startswith(
        f"Permission denied by the Docker engine at unix://{path}"
    )
    assert "Add this user to the group that owns the socket" in message
    assert done.stderr == ""


def test_the_messages_differ(engines: dict[str, str], tmp_path: Path) -> None:
    """Down, too old and forbidden are three messages with three remedies."""
    messages = []
    for wrong in ("down", "old"):
        with pytest.raises(RuntimeUnavailableError) as failed:
            Deployer(DockerRuntime(engines[wrong]), state=tmp_path / wrong).ls()
        messages.append(str(failed.value).replace(engines[wrong], "URL"))
    assert len(set(messages)) == 2
    assert not any("Permission" in message for message in messages)
