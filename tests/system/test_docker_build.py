"""Builds on a real engine: live events, errors that say why, nothing left over."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

from container_engine import Engine
from daeploy_lib.errors import BuildError, SourceError
from daeploy_lib.runtimes.base import Event
from daeploy_lib.runtimes.docker import DockerRuntime
from docker_versions import REGISTRY, Versions, ignore
from runtime_contexts import ANSWERS, Files

pytestmark = pytest.mark.docker


@pytest.fixture
def versions(engine: Engine, project: str) -> Versions:
    """Versions on the engine."""
    return Versions(engine, project, DockerRuntime(engine.url))


def build(versions: Versions, source: Files) -> None:
    """Build a version."""
    versions.runtime.build(versions.spec(), source, ignore, registry=REGISTRY)


def dockerfile(versions: Versions, *steps: str) -> Files:
    """Return a context of a Dockerfile alone."""
    return Files(
        {"Dockerfile": "\n".join([f"FROM {versions.engine.base_image}", *steps])}
    )


def test_events_come_while_it_builds(versions: Versions) -> None:
    """A step's output is there before the step has ended, with number and total."""
    seen: list[tuple[float, Event]] = []
    versions.runtime.build(
        versions.spec(),
        dockerfile(
            versions,
            # The engine has no cached step of this name.
            f"RUN echo first; sleep 1.5; echo second >&2; : {versions.project}",
        ),
        lambda event: seen.append((time.monotonic(), event)),
        registry=REGISTRY,
    )
    times = {event.text: at for at, event in seen}
    assert times["second"] - times["first"] > 1
    steps = [event.step for _, event in seen]
    assert steps == sorted(steps, key=lambda step: step or 0)
    [total] = {event.steps for _, event in seen}
    assert total == 3
    assert [e.step for _, e in seen if e.text == "second"] == [2]


def test_versions_of_one_directory_share_the_cache_only(versions: Versions) -> None:
    """The second version runs no step again, and has an image of its own."""
    events: list[Event] = []
    source = versions.source(ANSWERS, f"RUN echo {versions.project}")
    artifacts = [
        versions.runtime.build(
            versions.spec(version), source, events.append, registry=REGISTRY
        )
        for version in ("1.0.0", "2.0.0")
    ]
    assert artifacts[0].image != artifacts[1].image
    assert artifacts[0].source_digest == artifacts[1].source_digest
    assert [e.text for e in events].count(versions.project) == 1
    tags = sorted(tag for image in versions.images() for tag in image["RepoTags"])
    assert tags == [
        f"daeploy/{versions.project}/hello:1.0.0",
        f"daeploy/{versions.project}/hello:2.0.0",
    ]


def test_a_step_that_fails(versions: Versions) -> None:
    """The error has the code of the step and its last lines, without colours."""
    steps = ("RUN echo nonsense >&2; sleep 0.2; seq 49; exit 7",)
    with pytest.raises(BuildError, match="exit 7") as failed:
        build(versions, dockerfile(versions, *steps))
    error = failed.value
    assert (error.name, error.version, error.stage) == ("hello", "1.0.0", "build")
    assert error.exit_code == 7
    assert error.log_lines == ("nonsense", *(str(n) for n in range(1, 50)))
    assert error.__cause__ is None
    versions.assert_nothing_left()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("FRUM nothing", "unknown instruction"),
        ("COPY nosuch /x", "nosuch"),
        ("RUN --mount=type=cache,target=/x true", "without --mount"),
    ],
    ids=["syntax", "missing file", "BuildKit"],
)
def test_a_dockerfile_that_cannot_be_built(
    versions: Versions, step: str, words: str
) -> None:
    """The engine's words are in the error, and what there is to do."""
    with pytest.raises(BuildError, match=words):
        build(versions, dockerfile(versions, step))
    versions.assert_nothing_left()


def test_a_base_image_that_cannot_be_had(versions: Versions) -> None:
    """The error says which image, and how to name another."""
    source = Files({"Dockerfile": "FROM no-such-registry.invalid/image:1\n"})
    with pytest.raises(BuildError, match=r"no-such-registry\.invalid") as failed:
        build(versions, source)
    assert "DAEPLOY_BASE_IMAGE" in str(failed.value)
    versions.assert_nothing_left()


def test_a_build_that_takes_too_long(versions: Versions) -> None:
    """At its deadline a silent build is cancelled, and its step is gone."""
    runtime = DockerRuntime(versions.engine.url, build_timeout=2)
    hasty = attrs.evolve(versions, runtime=runtime)
    began = time.monotonic()
    with pytest.raises(BuildError, match="build_timeout") as failed:
        build(hasty, dockerfile(versions, "RUN echo begun; sleep 77"))
    assert time.monotonic() - began < 12
    assert "begun" in failed.value.log_lines
    assert not step_containers(versions, "sleep 77")
    versions.assert_nothing_left()


def step_containers(versions: Versions, words: str) -> list[str]:
    """Return the containers that run a step with these words."""
    found = versions.client.containers(all=True)
    return [c["Id"] for c in found if words in (c.get("Command") or "")]


@attrs.frozen
class Broken(Files):
    """A context that cannot be read to its end."""

    error: Exception = attrs.field(factory=OSError)

    def write_tar(
        self, add: Mapping[str, bytes], *, under: str = ""
    ) -> Iterator[bytes]:
        """Yield a beginning, then fail."""
        del add, under
        yield b"\0" * 512
        raise self.error


@pytest.mark.parametrize(
    "error", [OSError("disk is gone"), SourceError("disk is gone"), ValueError("disk")]
)
def test_a_source_that_cannot_be_read(versions: Versions, error: Exception) -> None:
    """It is not the engine that is blamed."""
    with pytest.raises(SourceError, match="disk"):
        build(versions, Broken({"Dockerfile": ""}, error))
    versions.assert_nothing_left()


def test_an_event_hook_that_fails_leaves_nothing(versions: Versions) -> None:
    """Whatever a caller's hook raises ends the build and comes out as it is."""

    class HookError(Exception):
        pass

    def fail(event: Event) -> None:
        if event.step == 3:
            raise HookError(event.text)

    with pytest.raises(HookError):
        versions.runtime.build(
            versions.spec(),
            dockerfile(versions, "RUN sleep 78", "RUN true"),
            lambda event: fail(attrs.evolve(event, step=(event.step or 0) + 1)),
            registry=REGISTRY,
        )
    assert not step_containers(versions, "sleep 78")
    versions.assert_nothing_left()


def test_a_failed_build_leaves_the_image_that_was_there(versions: Versions) -> None:
    """An image that was kept is still tagged after its version failed to build."""
    build(versions, versions.source())
    [before] = versions.images()
    with pytest.raises(BuildError):
        build(versions, dockerfile(versions, "RUN false"))
    [after] = versions.images()
    assert (after["Id"], after["RepoTags"]) == (before["Id"], before["RepoTags"])


def test_builds_and_removals_do_not_disturb_one_another(versions: Versions) -> None:
    """A removal takes cached steps with it that another build was just using."""
    source = versions.source(ANSWERS, f"ENV MARK={versions.project}", "ENV MORE=1")

    def again_and_again(version: str) -> None:
        spec = versions.spec(version)
        for _ in range(5):
            versions.runtime.build(spec, source, ignore, registry=REGISTRY)
            versions.runtime.remove_artifact(spec, registry=REGISTRY)

    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(again_and_again, f"{n}.0.0") for n in range(3)]
        for call in calls:
            call.result()
    versions.assert_nothing_left()
