"""Ctrl-C at any moment of a deployment leaves nothing on the engine."""

import signal
import subprocess
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import deploying_process
from container_engine import Engine
from daeploy_lib.runtimes.docker import DockerRuntime
from docker_versions import Versions
from programs import running_program, wait_for_line

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

# Seconds from Ctrl-C to the end of the process; the engine takes up to 3 to end a
# step that was cut.
PATIENCE_S = 15


@pytest.fixture
def versions(engine: Engine, project: str) -> Versions:
    """Versions on the engine."""
    return Versions(engine, project, DockerRuntime(engine.url))


def deploying(
    versions: Versions, state: Path, kind: str
) -> AbstractContextManager["subprocess.Popen[str]"]:
    """Give a process that deploys a version; its output is its events."""
    engine = versions.engine
    return running_program(
        deploying_process.__file__,
        *(engine.url, versions.project, state, kind, engine.base_image),
        environment=deploying_process.environment(),
    )


def interrupt(process: subprocess.Popen[str]) -> None:
    """Send Ctrl-C, and wait for the process to end by it."""
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert "Could not" not in errors, errors


def assert_nothing_left(versions: Versions) -> None:
    """Check the engine, and that the version can be deployed again."""
    versions.assert_nothing_left()
    found = versions.client.containers(all=True)
    steps = [c for c in found if deploying_process.SLOW_STEP in (c["Command"] or "")]
    assert not steps
    instance = versions.ready()
    versions.runtime.stop(instance.id, grace=0)


def test_during_the_build(versions: Versions, state: Path) -> None:
    """The build is cancelled, and the container of its step is gone."""
    with deploying(versions, state, "slow build") as process:
        wait_for_line(process, "build building")
        interrupt(process)
    assert_nothing_left(versions)


@pytest.mark.parametrize("delay_ms", [0, 30, 60, 100, 150, 200, 260, 330, 420])
def test_during_the_start(versions: Versions, state: Path, delay_ms: int) -> None:
    """Before, between and after create and start: what was made is removed."""
    with deploying(versions, state, "never ready") as process:
        wait_for_line(process, "start Starting")
        time.sleep(delay_ms / 1000)
        interrupt(process)
    assert_nothing_left(versions)


def test_during_the_wait(versions: Versions, state: Path) -> None:
    """A version that is not ready yet is removed with its image."""
    with deploying(versions, state, "never ready") as process:
        wait_for_line(process, "ready Waiting")
        interrupt(process)
    assert_nothing_left(versions)


@pytest.mark.parametrize("delay_ms", [0, 40, 90, 160, 250, 400])
def test_at_any_time_of_a_plain_build(
    versions: Versions, state: Path, delay_ms: int
) -> None:
    """Ctrl-C while context, steps, labels or tag are made leaves no image."""
    with deploying(versions, state, "never ready") as process:
        wait_for_line(process, "build Building")
        time.sleep(delay_ms / 1000)
        interrupt(process)
    assert_nothing_left(versions)


def test_a_killed_deployment_makes_way(versions: Versions, state: Path) -> None:
    """After SIGKILL the version is deployed again, over what was left."""
    with deploying(versions, state, "never ready") as process:
        wait_for_line(process, "ready Waiting")
        process.kill()
        process.wait()
    assert len(versions.containers()) == 1
    with deploying(versions, state, "plain") as process:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    [container] = versions.containers()
    assert container["State"] == "running"
    assert len(versions.images()) == 1
