"""Containers where an engine answers, else processes."""

from pathlib import Path

from daeploy_lib import (
    DockerRuntime,
    ProcessRuntime,
    Runtime,
    RuntimeUnavailableError,
)


def runtime_for(project: str, folder: Path) -> Runtime:
    """Return the container engine if one answers, else processes; say which."""
    engine = DockerRuntime()
    try:
        engine.list(project)
    except RuntimeUnavailableError as error:
        print(f"No container engine can be used, so processes are: {error}\n")
        return ProcessRuntime(folder / "processes")
    return engine
