"""Whoever deploys on processes is killed: nothing is lost, and nothing left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import pytest

from daeploy_lib import Deployer, ProcessRuntime, Status
from process_versions import SERVICE, running_in
from programs import running_program, wait_for_line

pytestmark = pytest.mark.once

PROGRAM = """
import asyncio, signal, sys
from pathlib import Path
from daeploy_lib import AsyncDeployer, Deployer, ProcessRuntime

signal.signal(signal.SIGINT, signal.default_int_handler)
folder, kind, version = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
runtime = ProcessRuntime(folder / "processes", uses_uv=False)

def say(event):
    print(event.stage, event.text, flush=True)

async def deploy():
    async with AsyncDeployer(runtime, state=folder / "state") as deployer:
        await deployer.deploy("hello", version, folder / "hello", on_event=say)

if kind == "async":
    asyncio.run(deploy())
else:
    with Deployer(runtime, state=folder / "state") as deployer:
        deployer.deploy("hello", version, folder / "hello", on_event=say)
"""
SILENT = "import time\ntime.sleep(600)\n"
# pip runs it to learn what it is.
SLOW_SETUP = "import time\ntime.sleep(600)\n"
SLOW_PROJECT = """
[build-system]
requires = []
build-backend = "setup"
backend-path = ["."]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the source and all else is; in the end no process runs there."""
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello" / "service.py").write_text(SERVICE)
    (tmp_path / "program.py").write_text(PROGRAM)
    yield tmp_path
    with deployer_in(tmp_path) as deployer:
        deployer.kill_all(grace=0.0)
        deployer.cleanup()
    assert not running_in(tmp_path)
    files = [path for path in (tmp_path / "processes").rglob("*") if path.is_file()]
    assert all("lock" in path.name for path in files), files


@contextmanager
def deployer_in(folder: Path) -> Iterator[Deployer]:
    """Give a deployer of this process."""
    runtime = ProcessRuntime(folder / "processes", uses_uv=False)
    with Deployer(runtime, state=folder / "state") as deployer:
        yield deployer


def installers_in(folder: Path) -> list[psutil.Process]:
    """Return what pip runs to learn what a package is."""
    found = running_in(folder / "processes")
    return [one for one in found if "_in_process.py" in str(one.info)]


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def deploying(
    folder: Path, kind: str = "plain", version: str = "1.0.0"
) -> AbstractContextManager["subprocess.Popen[str]"]:
    """Give a process that deploys; its output is its events."""
    return running_program(folder / "program.py", folder, kind, version)


def make_slow(folder: Path) -> None:
    """Give the service a package whose installation does not end."""
    package = folder / "hello" / "package"
    package.mkdir()
    (package / "setup.py").write_text(SLOW_SETUP)
    (package / "pyproject.toml").write_text(SLOW_PROJECT)
    (folder / "hello" / "requirements.txt").write_text("./package\n")


def make_quick(folder: Path) -> None:
    """Give the service nothing that takes time."""
    (folder / "hello" / "requirements.txt").unlink(missing_ok=True)
    (folder / "hello" / "service.py").write_text(SERVICE)


# What is shown when it is killed, and whether that is in an installation or later.
STAGES = ["build Building", "package", "start Starting", "ready Waiting"]


@pytest.mark.parametrize("words", STAGES)
def test_a_killed_deployment_makes_way(folder: Path, words: str) -> None:
    """Main is as it was; the version is deployed again, over what was left."""
    with deployer_in(folder) as deployer:
        deployer.deploy("hello", "0.9.0", folder / "hello", on_event=lambda _: None)
        if words == "package":
            make_slow(folder)
        else:
            (folder / "hello" / "service.py").write_text(SILENT)
        with deploying(folder) as process:
            wait_for_line(process, words)
            if words == "package":
                until(lambda: installers_in(folder))
            process.kill()
            process.wait()
            until(lambda: not installers_in(folder))
        assert [(s.version, s.status) for s in deployer.ls()] == [
            ("0.9.0", Status.running)
        ]
        make_quick(folder)
        service = deployer.deploy(
            "hello", "1.0.0", folder / "hello", on_event=lambda _: None
        )
        assert not service.is_main
        assert service.status is Status.running
        assert len(instances(folder)) == 2


# Killed right before it makes a file or directory, or names one, whose path has this.
STEPS = [
    ("os.mkdir", "scratch/process"),
    ("os.rename", "scratch/process-[0-9a-f]*'"),
    ("os.mkdir", "/app"),
    ("open", "daeploy-complete"),
    ("open", "instance.json"),
    ("os.mkdir", "instances"),
    ("os.mkdir", "instances/.*/home"),
    ("os.rename", "instances/.*/instance.json"),
    ("open", "settled"),
]
KILLED = """
import os, re, signal, sys

def look(event, details):
    if event == sys.argv[4] and re.search(sys.argv[5], repr(details)):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(look)
"""


@pytest.mark.parametrize(("event", "words"), STEPS)
def test_a_kill_between_two_steps_leaves_nothing_for_ever(
    folder: Path, event: str, words: str
) -> None:
    """What was made is found by who deploys the version again, or by a cleanup."""
    (folder / "program.py").write_text(KILLED + PROGRAM)
    arguments = [str(folder), "plain", "1.0.0", event, words]
    killed = subprocess.run(
        [sys.executable, str(folder / "program.py"), *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with deployer_in(folder) as deployer:
        deployer.deploy("hello", "1.0.0", folder / "hello", on_event=lambda _: None)
        assert len(instances(folder)) == 1
        assert len(list((folder / "processes" / "builds").iterdir())) == 1
        assert not list((folder / "processes" / "scratch").iterdir())


def instances(folder: Path) -> list[Path]:
    """Return what the runtime has of instances."""
    return list((folder / "processes" / "instances").iterdir())


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize("words", STAGES)
def test_ctrl_c_leaves_nothing(folder: Path, words: str, kind: str) -> None:
    """No process, no file, no version; soon, and without a word about an undoing."""
    if words == "package":
        make_slow(folder)
    else:
        (folder / "hello" / "service.py").write_text(SILENT)
    with deploying(folder, kind) as process:
        wait_for_line(process, words)
        if words == "package":
            until(lambda: installers_in(folder))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode not in (0, None)
    assert "KeyboardInterrupt" in errors
    assert "Could not" not in errors
    assert not running_in(folder)
    with deployer_in(folder) as deployer:
        assert not deployer.ls()
        assert not deployer.cleanup(dry_run=True)


def test_several_deploy_at_once(folder: Path) -> None:
    """Each version once, with a port of its own; one of the first is main."""
    versions = [f"{number}.0.0" for number in range(1, 5)]
    with deployer_in(folder) as deployer:
        processes = [
            subprocess.Popen(
                [sys.executable, folder / "program.py", folder, "plain", version],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for version in (*versions, *versions)
        ]
        codes = [process.wait(60) for process in processes]
        found = deployer.ls()
        assert sorted(codes) == [0] * 4 + [1] * 4
        assert sorted(service.version for service in found) == versions
        assert len({service.port for service in found}) == 4
        assert sum(service.is_main for service in found) == 1


def test_an_emptied_directory_is_a_vanished_version(folder: Path) -> None:
    """Its version is missing, can be killed, and nothing of it runs on."""
    with deployer_in(folder) as deployer:
        deployer.deploy("hello", "1.0.0", folder / "hello", on_event=lambda _: None)
        for supervisor in running_in(folder / "processes"):
            supervisor.kill()
        until(lambda: not running_in(folder / "processes"))
        for instance in instances(folder):
            for file in instance.iterdir():
                if file.is_file():
                    os.unlink(file)  # noqa: PTH108
        [service] = deployer.ls()
        assert service.status in (Status.missing, Status.unknown)
        assert len(deployer.kill("hello", grace=0.0)) == 1
