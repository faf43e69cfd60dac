"""One project: its registry, and the runtime that keeps its versions running."""

from pathlib import Path

import attrs

from daeploy_lib.lifecycle.adoption import adopt_running
from daeploy_lib.registry.registry import Registry
from daeploy_lib.registry.state import registry_id
from daeploy_lib.runtimes.base import Runtime


@attrs.frozen
class Project:
    """
    Everything that a verb needs, ready for use.

    Attributes:
        name: The project's name.
        state: Its state directory.
        registry: Which versions exist.
        registry_id: Id under which its instances are labelled.
        runtime: What keeps them running.
    """

    name: str
    state: Path
    registry: Registry
    registry_id: str
    runtime: Runtime


def open_project(name: str, state: Path, runtime: Runtime) -> Project:
    """
    Return the project, after its registry was made or checked.

    A registry that is new, or was lost, first adopts what runs.

    Raises:
        StateError: If the state directory cannot be used.
        RuntimeUnavailableError: If there may be something to adopt and the
            runtime cannot be asked.
    """
    registry = Registry(state, name)
    registry.prepare()
    identity = registry_id(state)
    if not registry.is_adopted():
        registry.adopt(adopt_running(runtime, name, identity))
    return Project(name, state, registry, identity, runtime)
