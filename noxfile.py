"""Everything that is run on this project; ``nox`` alone: lint, types, tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

PYPROJECT = nox.project.load_toml("pyproject.toml")
VERSIONS = nox.project.python_versions(PYPROJECT)
ROOT = Path(__file__).parent
# The harness is no part of the package and is imported from here.
HARNESS = {"PYTHONPATH": str(ROOT / "tests")}
ENGINE = ["python", "-m", "container_engine"]

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_venv = "yes"
# On CI nox takes a missing interpreter for an error; see tests() for who must run.
nox.options.error_on_missing_interpreters = False


def installed() -> list[str]:
    """Return the versions of VERSIONS on this machine, pyenv's brought into PATH."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = []
    for version in VERSIONS:
        path = os.environ["PATH"]
        folders = [f"{folder}/bin" for folder in pyenv.glob(f"versions/{version}.*")]
        for wider in [path, *(f"{folder}:{path}" for folder in folders)]:
            if works(shutil.which(f"python{version}", path=wider)):
                os.environ["PATH"] = wider
                found.append(version)
                break
    return found


def works(python: str | None) -> bool:
    """Tell an interpreter from pyenv's placeholder for one that is switched off."""
    if python is None:
        return False
    probe = subprocess.run([python, "-c", ""], check=False, capture_output=True)
    return probe.returncode == 0


# On a machine that has only a newer Python the tests run on that one.
INSTALLED = installed() or [f"{sys.version_info[0]}.{sys.version_info[1]}"]
MISSING = [version for version in VERSIONS if version not in INSTALLED]


def shipped() -> str | None:
    """
    Return the operating system's Python if it will do; None: that of nox.

    Those that are shipped are built with optimisations that one built by hand
    mostly lacks, and are a quarter faster: what users have is measured.
    """
    python = "/usr/bin/python3"
    probe = "import sys; sys.exit(sys.version_info < (3, 11))"
    if not Path(python).exists():
        return None
    done = subprocess.run([python, "-c", probe], check=False, capture_output=True)
    return python if done.returncode == 0 else None


def groups(*names: str) -> tuple[str, ...]:
    """Return the requirements of dependency groups; pip before 25.1 knows none."""
    return nox.project.dependency_groups(PYPROJECT, *names)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, and imports that only point down."""
    session.install(*groups("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Strict types, of the tests as well."""
    session.install("-e", ".", *groups("types", "tests"), "nox")
    sources = ["daeploy_lib", "tests", "noxfile.py", "dev.py"]
    session.run("mypy", *(session.posargs or sources))


# Most of these tests wait for something, so that some at once take half the time.
_SPREAD = ("-n", "4", "--dist", "loadfile")
# They share one engine, which has enough to do with two.
_SPREAD_ON_ENGINE = ("-n", "2", "--dist", "loadfile")


@nox.session(python=[*INSTALLED, *MISSING])
def tests(session: nox.Session) -> None:
    """
    The tests, against the built wheel.

    Without arguments the docker tests, and what takes long and does not depend on
    the interpreter, run on the oldest only. Coverage counts there, where everything
    runs. What runs on the oldest and on the newest need not be shown for those
    between them by whole servers: there the system tests are left out.
    """
    session.install(".", *groups("tests"))
    env = {"PYTHONSAFEPATH": "1"}
    check_wheel(session, env)
    is_first = session.python == INSTALLED[0]
    if session.posargs:
        session.run("pytest", *session.posargs, env=env)
    elif not is_first:
        is_between = session.python != INSTALLED[-1]
        left_out = ["--ignore=tests/system"] if is_between else []
        chosen = "not docker and not once"
        session.run("pytest", "-m", chosen, *left_out, *_SPREAD, env=env)
    else:
        env["COVERAGE_FILE"] = str(Path(session.create_tmp(), "coverage"))
        pytest = ["pytest", "--cov", "--cov-report=", "--cov-fail-under=0"]
        session.run(*pytest, "-m", "not docker", *_SPREAD, env=env)
        pytest.append("--cov-append")
        session.run(*pytest, "-m", "docker", *_SPREAD_ON_ENGINE, env=env)
        session.run("coverage", "report", env=env)


def check_wheel(session: nox.Session, env: dict[str, str]) -> None:
    """Make sure that the tests will import the wheel and not the checkout."""
    found = session.run(
        *("python", "-c", "import daeploy_lib; print(daeploy_lib.__file__)"),
        env=env,
        silent=True,
    )
    if "site-packages" not in str(found):
        session.error(f"the tests would import {found}")


@nox.session
def quickstart(session: nox.Session) -> None:
    """The README's session with a real engine and a real server."""
    session.install(".", *groups("examples"))
    script = "examples/quickstart.py"
    session.run(*ENGINE, "python", script, *session.posargs, env=HARNESS)


@nox.session
def digits(session: nox.Session) -> None:
    """Three digit classifiers; a gate refuses one and lets another become main."""
    session.install(".", *groups("examples"))
    script = "examples/digits/run.py"
    session.run(*ENGINE, "python", script, *session.posargs, env=HARNESS)


@nox.session
def podman(session: nox.Session) -> None:
    """The tests of the runtime's contract, against Podman; see docs/podman.md."""
    session.install(".", *groups("tests"))
    chosen = session.posargs or ["tests/contracts"]
    pytest = ["pytest", "-m", "docker", *chosen]
    session.run(*ENGINE, "--podman", *pytest, env=HARNESS)


@nox.session(python=shipped())
def bench(session: nox.Session) -> None:
    """
    Ratios against doing the same by hand, and against other proxies.

    Prints medians, fails on nothing. The router needs no container engine.
    """
    session.install(".", *groups("bench"))
    engine = [] if session.posargs[:1] == ["router"] else ENGINE
    session.run(
        *(*engine, "python", "-m", "bench", *session.posargs),
        env=HARNESS,
        interrupt_timeout=30,  # to end what it has started
    )


@nox.session(python=shipped())
def soak(session: nox.Session) -> None:
    """An hour of load, or so many minutes; fails if the router holds more after it."""
    session.install(".", *groups("bench"))
    session.run(
        *("python", "-m", "bench.router.soak", *session.posargs),
        env=HARNESS,
        interrupt_timeout=30,
    )
