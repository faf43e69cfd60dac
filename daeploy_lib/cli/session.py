"""What all commands share: which project, which state, on which runtime."""

import contextlib
import enum
from collections.abc import Iterator
from pathlib import Path

import attrs

from daeploy_lib.deployer import Deployer
from daeploy_lib.registry.state import state_directory
from daeploy_lib.runtimes.base import Runtime
from daeploy_lib.runtimes.docker import DockerRuntime
from daeploy_lib.runtimes.process import ProcessRuntime


class RuntimeName(enum.StrEnum):
    """What keeps versions running."""

    docker = "docker"
    process = "process"


@attrs.frozen
class Session:
    """
    The options in front of the command.

    Attributes:
        project: The project.
        directory: The state directory; None: the default.
        runtime_name: What keeps versions running.
        host: The engine's address; None: as ``DOCKER_HOST`` or the context says.
        given: A runtime to use instead.
    """

    project: str = "default"
    directory: Path | None = None
    runtime_name: RuntimeName = RuntimeName.docker
    host: str | None = None
    given: Runtime | None = None

    @property
    def state(self) -> Path:
        """The state directory in use."""
        return state_directory(self.directory)

    def runtime(self) -> Runtime:
        """
        Return what keeps versions running; nothing is contacted.

        Raises:
            ValueError: If the options contradict one another.
        """
        if self.given is not None:
            return self.given
        if self.runtime_name is RuntimeName.docker:
            return DockerRuntime(self.host)
        if self.host is not None:
            raise ValueError("--host names an engine; --runtime process has none.")
        return ProcessRuntime(self.state / "processes")

    @contextlib.contextmanager
    def deployer(self) -> Iterator[Deployer]:
        """Give a Deployer, and close it."""
        with self.deployer_on(self.runtime()) as deployer:
            yield deployer

    def deployer_on(self, runtime: Runtime) -> Deployer:
        """Return a Deployer on a runtime."""
        return Deployer(runtime, project=self.project, state=self.directory)
