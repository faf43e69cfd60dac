"""Fixtures are nouns; the engine is started only when a selected test needs it."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from container_engine import Engine, EngineUnavailableError, running_engine
from container_engine.client import remove_project

# How long an example takes is the machine's affair, not the code's.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")

ENGINE = pytest.StashKey[Engine]()
# Closed at the end of the run: stops what was started.
UNTIL_END = pytest.StashKey[ExitStack]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that asks for the engine, before ``-m`` selects."""
    for item in items:
        if "engine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.docker)


def pytest_collection_finish(session: pytest.Session) -> None:
    """
    Start the engine before the first test, if a selected one needs it.

    Here and not in a fixture: installing and starting may take longer than one
    test's timeout, and without an engine the run has to end, not to skip.
    """
    config = session.config
    needs_engine = any(item.get_closest_marker("docker") for item in session.items)
    if config.option.collectonly or not needs_engine:
        return
    stack = config.stash.setdefault(UNTIL_END, ExitStack())
    reporter = config.pluginmanager.get_plugin("terminalreporter")

    def say(line: str) -> None:
        if reporter is not None:
            reporter.write_line(f"container engine: {line}")

    try:
        engine = stack.enter_context(running_engine(say))
    except EngineUnavailableError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[ENGINE] = engine
    say(f"{engine.url}, base image {engine.base_image}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the engine if this run started it and nobody else uses it."""
    config.stash.get(UNTIL_END, ExitStack()).close()


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Engine:
    """
    A real container engine: its ``url`` and a low-level ``client``.

    ``DOCKER_HOST`` names it as well, for ``Deployer()`` and for other processes.
    """
    return request.config.stash[ENGINE]


@pytest.fixture(scope="session")
def base_image(engine: Engine) -> str:
    """Name of an image with Python on the engine, also in ``DAEPLOY_BASE_IMAGE``."""
    return engine.base_image


@pytest.fixture
def project(engine: Engine) -> Iterator[str]:
    """A project name of the test's own; what carries its label is removed after it."""
    name = f"test-{secrets.token_hex(6)}"
    yield name
    remove_project(engine.client, name)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """An empty state directory of the test's own."""
    directory = tmp_path / "state"
    directory.mkdir()
    return directory


@pytest.fixture
def neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let scripts import what lies beside them, as they do for a person."""
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
