"""Ephemeral Deployers kill what they deployed, however they end."""

from pathlib import Path

import pytest

from cut_short import hooked
from daeploy_lib import Deployer
from daeploy_lib.lifecycle.killing import kill
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.registry.state import DATABASE
from deployer_process import run_python


def test_an_ephemeral_deployer_whose_script_dies(state: Path, opened: Project) -> None:
    """What it deployed is killed at exit, main last; what others deployed stays."""
    code = """
others = Deployer(MemoryRuntime(), state=state)
others.deploy("other", "1", source)
deployer = Deployer(MemoryRuntime(), state=state, ephemeral=True)
deployer.deploy("hello", "1", source)
deployer.deploy("hello", "2", source)
deployer.assign("hello", "2")
raise SystemError("the script is broken")
"""
    done = run_python(code, state)
    assert done.returncode == 1
    assert "the script is broken" in done.stderr
    assert "Did not kill" not in done.stderr
    assert [r.name for r in opened.registry.versions()] == ["other"]


def test_a_forked_worker_does_not_end_its_parents_services(
    state: Path, opened: Project
) -> None:
    """A child that exits kills only what it deployed itself."""
    code = """
deployer = Deployer(MemoryRuntime(), state=state, ephemeral=True)
deployer.deploy("hello", "1", source)
for deploys in (False, True):
    if os.fork() == 0:
        if deploys:
            deployer.deploy("hello", "2", source)
        sys.exit()
    os.wait()
    print([s.version for s in deployer.ls()])
"""
    done = run_python(code, state)
    assert done.stdout == "['1']\n['1']\n", done.stderr
    assert opened.registry.versions() == ()


def test_an_ephemeral_deployer_that_cannot_kill(
    opened: Project, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What stays is logged, and closing does not fail."""
    with Deployer(opened.runtime, state=opened.state, ephemeral=True) as own:
        own.deploy("hello", "1", source)
        own.deploy("gone", "1", source)
        with Deployer(opened.runtime, state=opened.state) as other:
            other.deploy("hello", "2", source)
            other.kill("gone")
    assert "Did not kill hello 1" in caplog.text
    assert "gone" not in caplog.text
    with Deployer(opened.runtime, state=opened.state, ephemeral=True) as own:
        own.deploy("hello", "3", source)
        database = opened.state / DATABASE
        content = database.read_bytes()
        database.write_bytes(b"damaged")
    database.write_bytes(content)
    assert "The registry is damaged" in caplog.text


def test_an_ephemeral_deployer_can_be_used_again(opened: Project, source: Path) -> None:
    """Closed, it ends what was deployed since it was closed before."""
    deployer = Deployer(opened.runtime, state=opened.state, ephemeral=True)
    for version in ("1", "2"):
        deployer.deploy("hello", version, source)
        deployer.close()
        deployer.close()
        assert opened.registry.versions() == ()


def test_a_child_process_forgets_what_its_parent_deployed(
    opened: Project, source: Path
) -> None:
    """As the fork above, seen from the child."""
    own = Deployer(opened.runtime, state=opened.state, ephemeral=True)
    own.deploy("parents", "1", source)
    own._deployed_in = -1
    own.deploy("childs", "1", source)
    own.close()
    assert [r.name for r in opened.registry.versions()] == ["parents"]


def test_another_process_that_kills_at_the_same_time(
    opened: Project, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no trouble."""
    own = Deployer(opened.runtime, state=opened.state, ephemeral=True)
    own.deploy("hello", "1", source)

    def be_faster(name: str, phase: str) -> None:
        if (name, phase) == ("retire", "before"):
            kill(opened, "hello", "1", keep_image=False, grace=0.0)

    own._opened = hooked(opened, be_faster)
    own.close()
    assert opened.registry.versions() == ()
    assert caplog.text == ""
