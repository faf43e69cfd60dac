"""Projects on the in-memory runtime, which the contract suite has verified."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daeploy_lib import Deployer
from daeploy_lib.evidence.store import Reading, Stored
from daeploy_lib.lifecycle import evidence
from daeploy_lib.lifecycle.project import Project, open_project
from daeploy_lib.runtimes.memory import MemoryRuntime


@pytest.fixture
def runtime() -> Iterator[MemoryRuntime]:
    """A runtime of the test's own; what it runs ends with the test."""
    runtime = MemoryRuntime()
    yield runtime
    for instance in runtime.list("default"):
        runtime.stop(instance.id, grace=0.0)


@pytest.fixture
def opened(runtime: MemoryRuntime, state: Path) -> Project:
    """The default project on it."""
    return open_project("default", state, runtime)


@pytest.fixture
def deployer(runtime: MemoryRuntime, state: Path) -> Iterator[Deployer]:
    """A Deployer on it, in the same state directory."""
    with Deployer(runtime, state=state) as deployer:
        yield deployer


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory that can be deployed; the runtime does not look at it."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "service.py").write_text("")
    return folder


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[Stored]:
    """What is stored; a test adds to it."""
    pairs: list[Stored] = []

    def read(state: Path, project: str) -> Reading:
        del state, project
        return Reading(list(pairs))

    monkeypatch.setattr(evidence, "read", read)
    return pairs
