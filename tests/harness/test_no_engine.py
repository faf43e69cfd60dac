"""What a run does on a machine without an engine, tried in a run of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# A machine where nothing answers and nothing may be started.
SCRIPT = """
import os, sys
import pytest
sys.path.insert(0, "tests")
import container_engine.client
container_engine.client.DEFAULT_URL = "unix:///nonexistent/docker.sock"
os.environ.pop("DOCKER_HOST", None)
os.geteuid = lambda: 1000
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""
ROOT = Path(__file__).parents[2]


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the harness's own tests on such a machine."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=ROOT,
        env={**os.environ, "DAEPLOY_TEST_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_engine_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """A run that selects docker tests ends before its first test and says why."""
    done = run(tmp_path, "tests/harness/test_engine.py")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "No container engine answers" in done.stderr
    assert 'nox -s tests -- -m "not docker"' in done.stderr
    assert "skipped" not in done.stdout


def test_no_engine_is_needed_for_the_rest(tmp_path: Path) -> None:
    """``-m "not docker"`` starts nothing, asks for nothing and runs the others."""
    chosen = ["-m", "not docker", "tests/harness/test_engine.py"]
    done = run(tmp_path, *chosen, "tests/harness/test_parts.py")
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert "passed" in done.stdout
    assert "5 deselected" in done.stdout
    assert not (tmp_path / "cache").exists()
