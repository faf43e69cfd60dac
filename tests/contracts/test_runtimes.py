"""Every runtime obeys one contract: the fake is verified by the suite of the real."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from container_engine import Engine
from daeploy_lib.runtimes.contract import (
    CHECKS,
    EXIT_CODE,
    EXIT_LINE,
    KINDS,
    Contract,
    check_runtime,
    checking,
)
from daeploy_lib.runtimes.docker import DockerRuntime
from daeploy_lib.runtimes.memory import Behaviour, MemoryRuntime
from daeploy_lib.runtimes.process import ProcessRuntime
from docker_versions import is_podman
from runtime_contexts import Files, contract_sources, process_sources

Check = Callable[[Contract], None]

BEHAVIOURS = {
    "exits": Behaviour(exit_code=EXIT_CODE, lines=(EXIT_LINE,)),
    "silent": Behaviour(is_silent=True),
    "unbuildable": Behaviour(build_error="nonsense"),
}
# Without that change, a version that was ready has no mark of it.
PODMAN_DIFFERS = ("check_start", "check_settle_and_share")


def name_of(check: Check) -> str:
    """Return what a check is called."""
    return check.__name__


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_memory_runtime(check: Check) -> None:
    """The in-memory runtime obeys the contract."""
    sources = {kind: Files({"kind": kind}) for kind in KINDS}
    with checking(lambda: MemoryRuntime(BEHAVIOURS), sources, "contract") as contract:
        check(contract)


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_process_runtime(check: Check, tmp_path: Path) -> None:
    """The process runtime obeys the contract, and leaves no process."""
    folder = tmp_path / "processes"
    with checking(
        lambda: ProcessRuntime(folder), process_sources(), "contract"
    ) as contract:
        check(contract)
    assert not [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(folder) in str(process.info["cmdline"])
    ]


@pytest.mark.docker
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_docker_runtime(
    check: Check, engine: Engine, base_image: str, project: str
) -> None:
    """The Docker runtime obeys the contract."""
    if check.__name__ in PODMAN_DIFFERS and is_podman(engine):
        pytest.xfail("Podman before 5 cannot change a running container")
    sources = contract_sources(base_image)
    with checking(lambda: DockerRuntime(engine.url), sources, project) as contract:
        check(contract)


def test_the_suite_in_one_call() -> None:
    """Users call one function, and it raises nothing for a runtime that obeys."""
    sources = {kind: Files({"kind": kind}) for kind in KINDS}
    check_runtime(lambda: MemoryRuntime(BEHAVIOURS), sources)


def test_the_suite_finds_a_breach() -> None:
    """A runtime that breaks the contract fails with words for what is wrong."""
    sources = {kind: Files({"kind": kind}) for kind in KINDS}
    with pytest.raises(AssertionError, match="no BuildError was raised"):
        check_runtime(MemoryRuntime, sources)
