"""Cancelled deployments on real runtimes: nothing runs on, and nothing is left."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from container_engine import Engine
from daeploy_lib import (
    AsyncDeployer,
    Event,
    ProcessRuntime,
)
from daeploy_lib.runtimes.docker import DockerRuntime
from docker_versions import Versions
from process_versions import SERVICE, running_in
from runtime_contexts import ANSWERS, SILENT

# An installation that takes a minute: pip runs it to learn what it is.
SLOW_SETUP = "import time\nprint('setting up', flush=True)\ntime.sleep(60)\n"


async def cancelled_when(
    holds: Callable[[Event], bool], deploy: Callable[..., Any]
) -> list[Event]:
    """Deploy, and cancel at the first event that is meant; return all events."""
    seen: list[Event] = []
    is_time = asyncio.Event()

    def on_event(event: Event) -> None:
        seen.append(event)
        if holds(event):
            is_time.set()

    deploying = asyncio.create_task(deploy(on_event=on_event))
    waiting = asyncio.create_task(is_time.wait())
    await asyncio.wait({deploying, waiting}, return_when=asyncio.FIRST_COMPLETED)
    assert not deploying.done(), deploying
    deploying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deploying
    return seen


class TestProcesses:
    """A machine without an engine."""

    @pytest.fixture
    async def deployer(self, tmp_path: Path) -> AsyncIterator[AsyncDeployer]:
        """Its processes and files are below the test's folder."""
        runtime = ProcessRuntime(tmp_path / "processes", uses_uv=False)
        async with AsyncDeployer(runtime, state=tmp_path / "state") as deployer:
            yield deployer
            await deployer.kill_all(grace=0.0)
        assert not running_in(tmp_path)

    @pytest.fixture
    def hello(self, tmp_path: Path) -> Path:
        """A service."""
        folder = tmp_path / "hello"
        folder.mkdir()
        (folder / "service.py").write_text(SERVICE)
        return folder

    def assert_nothing_is_left(self, folder: Path) -> None:
        """Look at processes and files."""
        assert not running_in(folder)
        files = [path for path in (folder / "processes").rglob("*") if path.is_file()]
        assert all("lock" in path.name for path in files), files

    async def test_in_the_installation(
        self, deployer: AsyncDeployer, hello: Path, tmp_path: Path
    ) -> None:
        """Its programs end, and what they wrote is removed."""
        package = hello / "package"
        package.mkdir()
        (package / "setup.py").write_text(SLOW_SETUP)
        (package / "pyproject.toml").write_text(
            "[build-system]\nrequires = []\n"
            'build-backend = "setup"\nbackend-path = ["."]\n'
        )
        (hello / "requirements.txt").write_text("./package\n")
        await cancelled_when(
            lambda event: "./package" in event.text,
            lambda **more: deployer.deploy("hello", "1.0.0", hello, **more),
        )
        self.assert_nothing_is_left(tmp_path)

    @pytest.mark.parametrize("stage", ["start", "ready"])
    async def test_at_its_start(
        self, deployer: AsyncDeployer, hello: Path, tmp_path: Path, stage: str
    ) -> None:
        """A service that is being started, or does not answer, ends."""
        service = hello / "service.py"
        service.write_text("import time; time.sleep(60)")
        await cancelled_when(
            lambda event: event.stage == stage,
            lambda **more: deployer.deploy("hello", "1.0.0", hello, **more),
        )
        self.assert_nothing_is_left(tmp_path)
        service.write_text(SERVICE)
        assert (await deployer.deploy("hello", "1.0.0", hello, on_event=str)).is_main

    async def test_a_kill_stops_waiting(
        self, deployer: AsyncDeployer, hello: Path, tmp_path: Path
    ) -> None:
        """For a version that does not end when it is asked to; a repeat completes."""
        stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        (hello / "service.py").write_text(stubborn + SERVICE)
        await deployer.deploy("hello", "1.0.0", hello, on_event=str)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await deployer.kill("hello", grace=60.0)
        assert len(await deployer.kill("hello", grace=0.0)) == 1
        self.assert_nothing_is_left(tmp_path)

    async def test_logs_that_are_followed(
        self, deployer: AsyncDeployer, hello: Path
    ) -> None:
        """Leaving them ends what reads; so does the end of the version."""
        await deployer.deploy("hello", "1.0.0", hello, on_event=str)
        async with aclosing(deployer.logs("hello", follow=True)) as lines:
            async for line in lines:
                if line.text == "up":
                    break
        async with aclosing(deployer.logs("hello", follow=True)) as lines:
            first = await anext(lines)
            await deployer.kill("hello", grace=0.0)
            assert "up" in [first.text, *[line.text async for line in lines]]


@pytest.mark.docker
@pytest.mark.timeout(180)
class TestContainers:
    """A real engine."""

    @pytest.fixture
    def versions(self, engine: Engine, project: str) -> Versions:
        """Versions on the engine."""
        return Versions(engine, project, DockerRuntime(engine.url))

    @pytest.fixture
    async def deployer(
        self, versions: Versions, state: Path
    ) -> AsyncIterator[AsyncDeployer]:
        """In a project of its own."""
        async with AsyncDeployer(
            versions.runtime, project=versions.project, state=state
        ) as deployer:
            yield deployer

    @pytest.mark.parametrize("stage", ["step", "start", "ready"])
    async def test_a_deployment(
        self, deployer: AsyncDeployer, versions: Versions, tmp_path: Path, stage: str
    ) -> None:
        """In a step of the build, at the start, and while it is waited for."""
        slow = "RUN echo building; sleep 60" if stage == "step" else ""
        service = SILENT if stage == "ready" else ANSWERS
        (tmp_path / "service.py").write_text(service)
        (tmp_path / "Dockerfile").write_text(
            f"FROM {versions.engine.base_image}\nCOPY service.py /\n{slow}\n"
            'CMD ["python3", "/service.py"]\n'
        )
        await cancelled_when(
            lambda event: event.text == "building" or event.stage == stage,
            lambda **more: deployer.deploy("hello", "1.0.0", tmp_path, **more),
        )
        versions.assert_nothing_left()
        assert not await deployer.ls()

    async def test_a_kill_stops_waiting(
        self, deployer: AsyncDeployer, versions: Versions, tmp_path: Path
    ) -> None:
        """For a version that does not end when it is asked to; a repeat completes."""
        stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        (tmp_path / "service.py").write_text(stubborn + ANSWERS)
        (tmp_path / "Dockerfile").write_text(
            f"FROM {versions.engine.base_image}\nCOPY service.py /\n"
            'CMD ["python3", "/service.py"]\n'
        )
        await deployer.deploy("hello", "1.0.0", tmp_path, on_event=str)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await deployer.kill("hello", grace=600.0)
        assert len(await deployer.kill("hello", grace=0.0)) == 1
        versions.assert_nothing_left()

    async def test_logs_that_are_followed(
        self, deployer: AsyncDeployer, versions: Versions, tmp_path: Path
    ) -> None:
        """Leaving them ends the connection to the engine."""
        (tmp_path / "service.py").write_text("print('up', flush=True)\n" + ANSWERS)
        (tmp_path / "Dockerfile").write_text(
            f"FROM {versions.engine.base_image}\nCOPY service.py /\n"
            'CMD ["python3", "/service.py"]\n'
        )
        await deployer.deploy("hello", "1.0.0", tmp_path, on_event=str)
        try:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(self.follow(deployer), 1.0)
        finally:
            await deployer.kill("hello", grace=0.0)

    async def follow(self, deployer: AsyncDeployer) -> list[str]:
        """Return all lines until the end."""
        return [line.text async for line in deployer.logs("hello", follow=True)]
