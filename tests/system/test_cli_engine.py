"""The command line on a real engine, each command in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from container_engine import Engine
from container_engine.client import built_images
from terminal import Terminal

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("base_image")]

DAEPLOY = str(Path(sys.executable).parent / "daeploy")
Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(project: str, state: Path) -> Mapping[str, str]:
    """The variables of a person's shell."""
    own = {"DAEPLOY_PROJECT": project, "DAEPLOY_STATE": str(state)}
    return {**os.environ, **own, "TERM": "dumb"}


@pytest.fixture
def daeploy(environment: Mapping[str, str], tmp_path: Path) -> Call:
    """The command, in a pipe."""

    def call(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [DAEPLOY, *words],
            env=dict(environment),
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            timeout=100,
        )

    return call


@pytest.mark.timeout(300)
def test_a_session_on_an_engine(  # noqa: PLR0917 - fixtures
    daeploy: Call,
    echo: Path,
    environment: Mapping[str, str],
    tmp_path: Path,
    engine: Engine,
    project: str,
) -> None:
    """Versions outlive their commands; Ctrl-C in a build leaves nothing behind."""
    secret = "hunter2-secret"
    words = ["deploy", "hello", "1.0.0", str(echo)]
    first = daeploy(*words, "--env", f"PASSWORD={secret}", "--json")
    assert (first.returncode, json.loads(first.stdout)["is_main"]) == (0, True)
    assert f"Active host: Docker at {engine.url}" in first.stderr
    with Terminal(
        [DAEPLOY, "deploy", "hello", "2.0.0", str(echo), "--ready-path", "/slow=1000"],
        environment=environment,
        cwd=tmp_path,
    ) as terminal:
        terminal.expect("Waiting for an answer")
        terminal.type("\x03")
        assert terminal.end() == 130
        assert "Traceback" not in terminal.text
    listed = daeploy("ls", "--json")
    assert [s["version"] for s in json.loads(listed.stdout)] == ["1.0.0"]
    assert json.loads(daeploy("cleanup", "--dry-run", "--json").stdout) == []
    inspected = daeploy("inspect", "hello")
    assert "PASSWORD" in inspected.stdout
    assert secret not in inspected.stdout + first.stdout + first.stderr
    killed = daeploy("kill", "hello", "--yes")
    assert killed.stdout.endswith("Service hello 1.0.0 killed.\n")
    assert built_images(engine.client, project) == []


def test_an_image_as_it_is(daeploy: Call, base_image: str) -> None:
    """``--image`` runs it with a command of one's own, and inspect says which it is."""
    words = ["deploy", "files", "1", "--image", base_image, "--pull", "never"]
    done = daeploy(*words, "--command", "python -m http.server 8000")
    assert done.returncode == 0, done.stderr
    assert "files   1          running" in done.stdout
    inspected = json.loads(daeploy("inspect", "files", "--json").stdout)
    assert base_image in inspected["service"]["source_origin"]
    missing = daeploy(
        "deploy", "files", "2", "--image", "nobody/nothing:1", "--pull=never"
    )
    assert missing.returncode == 1
    assert "nobody/nothing:1" in missing.stderr
    assert daeploy("kill", "--all", "--yes").returncode == 0


def test_an_engine_that_does_not_answer(daeploy: Call, tmp_path: Path) -> None:
    """Is named, with a code and without a traceback."""
    nowhere = f"unix://{tmp_path}/nowhere.sock"
    found = daeploy("--host", nowhere, "ls")
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith("Error: ")
    assert nowhere in found.stderr
