"""Images as sources on a real engine: from a registry, and those that are local."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from container_engine import Engine
from daeploy_lib import (
    Deployer,
    DockerRuntime,
    Event,
    Hardening,
    Image,
    Readiness,
    SourceError,
    StartError,
    VersionExistsError,
)
from daeploy_lib.domain.spec import Spec
from docker_versions import is_podman
from image_registry import PASSWORD, USER, ImageRegistry, image_registry
from runtime_contexts import ANSWERS, Files

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("of_docker")]

TAG = "team/hello:1.0"


@attrs.frozen
class Shop:
    """
    A registry with an image in it, and the engine that it is pulled to.

    Attributes:
        engine: The engine.
        registry: The registry.
        digest: Of the image that was pushed.
    """

    engine: Engine
    registry: ImageRegistry
    digest: str

    @property
    def name(self) -> str:
        """The image's whole name."""
        return f"{self.registry.address}/{TAG}"

    def forget(self) -> None:
        """Remove the image from the engine."""
        remove(self.engine, self.name)


def remove(engine: Engine, name: str) -> None:
    """Remove an image, or one of its names."""
    for image in engine.client.images(name):
        engine.client.remove_image(image["Id"], force=True)


def made(engine: Engine, name: str, *steps: str, base: str = "scratch") -> str:
    """Build an image beside the library; return its ID."""
    text = "\n".join([f"FROM {base}", *steps])
    context = Files({"Dockerfile": text, "service.py": ANSWERS})
    tar = b"".join(context.write_tar({}))
    for message in engine.client.build(
        fileobj=io.BytesIO(tar), custom_context=True, tag=name, decode=True
    ):
        assert "error" not in message, message
    return str(engine.client.inspect_image(name)["Id"])


@pytest.fixture(scope="module")
def of_docker(engine: Engine) -> None:
    """Podman pulls from no registry without TLS, and has digests of its own."""
    if is_podman(engine):
        pytest.skip("the registry of these tests is for Docker")


@pytest.fixture(scope="module")
def pushed(engine: Engine, of_docker: None) -> Iterator[Shop]:
    """A registry that has a small image without a program."""
    del of_docker
    with image_registry() as registry:
        name = f"{registry.address}/{TAG}"
        made(engine, name, "COPY service.py /service.py", 'CMD ["/service.py"]')
        for line in engine.client.push(name, stream=True, decode=True):
            assert "error" not in line, line
        [digest] = [key for _, key in registry.manifests if key.startswith("sha256:")]
        yield Shop(engine, registry, digest)
        remove(engine, name)


@pytest.fixture
def shop(pushed: Shop) -> Iterator[Shop]:
    """The registry, behaving, with its image nowhere else."""
    pushed.forget()
    yield pushed
    pushed.registry.reset()


@pytest.fixture
def local(engine: Engine, base_image: str) -> Iterator[str]:
    """An image that answers, on the engine alone."""
    name = "daeploy-test-local:1.0"
    made(
        engine,
        name,
        "COPY service.py /service.py",
        "EXPOSE 9999",
        "VOLUME /kept",
        'ENTRYPOINT ["python3"]',
        'CMD ["/service.py"]',
        base=base_image,
    )
    yield name
    remove(engine, name)


@pytest.fixture
def deployer(engine: Engine, project: str, state: Path) -> Iterator[Deployer]:
    """A Deployer on the engine, with a project of its own."""
    runtime = DockerRuntime(engine.url, build_timeout=3)
    with Deployer(runtime, project=project, state=state, ephemeral=True) as deployer:
        yield deployer


def refused(deployer: Deployer, image: Image) -> str:
    """Deploy an image that cannot be had; return why."""
    with pytest.raises(SourceError) as caught:
        deployer.deploy("hello", "1.0.0", image, on_event=list[Event]().append)
    assert caught.value.stage == "source"
    assert len(deployer.ls()) == 0
    return str(caught.value)


def containers_of(engine: Engine, deployer: Deployer) -> list[dict[str, Any]]:
    """Return the containers of the test's own project."""
    label = f"daeploy.project={deployer.project}"
    found: list[dict[str, Any]] = engine.client.containers(
        all=True, filters={"label": label}
    )
    return found


def test_it_is_pulled_pinned_and_kept(shop: Shop, deployer: Deployer) -> None:
    """A missing image is pulled by its layers; a start that fails leaves it there."""
    events = list[Event]()
    with pytest.raises(StartError):
        # It has no interpreter: what is pulled here has a few bytes.
        deployer.deploy("hello", "1.0.0", Image(shop.name), on_event=events.append)
    texts = [event.text for event in events if event.stage == "source"]
    assert f"Pulling {shop.name}" in texts
    assert any(text.startswith("Layer ") for text in texts)
    assert f"Using {shop.name}@{shop.digest}" in texts
    assert len(texts) < 10
    assert shop.engine.client.images(shop.name)
    # Again: it is there, and the registry is not asked.
    shop.registry.requests.clear()
    spec = deployer_spec(deployer)
    runtime = DockerRuntime(shop.engine.url)
    artifact = runtime.fetch(spec, Image(shop.name), events.append)
    assert shop.registry.requests == []
    assert (artifact.source_digest, artifact.is_built) == (shop.digest, False)
    always = Image(f"{shop.registry.address}/team/hello@{shop.digest}", pull="always")
    assert runtime.fetch(spec, always, events.append).image == artifact.image
    assert shop.registry.requests
    runtime.close()


def deployer_spec(deployer: Deployer) -> Spec:
    """Return what is asked for."""
    return Spec(deployer.project, "hello", "1.0.0")


def test_what_a_registry_may_answer(
    shop: Shop, deployer: Deployer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each reason why an image cannot be pulled is told apart, with its remedy."""
    unknown = f"{shop.registry.address}/team/hello:9"
    assert "no such name or tag" in refused(deployer, Image(unknown))
    assert 'pull="never"' in refused(deployer, Image(shop.name, pull="never"))
    absent = "sha256:" + "0" * 64
    assert "an ID names no registry" in refused(deployer, Image(absent))
    assert "cannot be reached" in refused(deployer, Image("127.0.0.1:9/hello"))
    shop.registry.breaks = True
    assert "not what it promised" in refused(deployer, Image(shop.name))
    shop.registry.reset()
    shop.registry.needs_login = True
    assert "docker login" in refused(deployer, Image(shop.name))
    # What "docker login" stores.
    login = base64.b64encode(f"{USER}:wrong-{PASSWORD}".encode()).decode()
    config = {"auths": {shop.registry.address: {"auth": login}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    words = refused(deployer, Image(shop.name))
    assert "docker login" in words
    assert PASSWORD not in words
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    config = {"auths": {shop.registry.address: {"auth": login}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    runtime = DockerRuntime(shop.engine.url)
    runtime.fetch(deployer_spec(deployer), Image(shop.name), list[Event]().append)
    runtime.close()


def test_a_silent_registry_is_given_up(shop: Shop, deployer: Deployer) -> None:
    """A registry that hangs ends the pull after the time that it may take."""
    shop.registry.is_silent = True
    words = refused(deployer, Image(shop.name))
    assert "did not answer, or was too slow" in words
    assert "build_timeout" in words


def test_an_interrupt_ends_the_pull(shop: Shop, deployer: Deployer) -> None:
    """Ctrl-C in the middle of a pull leaves the version free, and nothing runs."""

    def interrupt(event: Event) -> None:
        if event.text.startswith("Layer "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deployer.deploy("hello", "1.0.0", Image(shop.name), on_event=interrupt)
    assert len(deployer.ls()) == 0
    deployer.kill_all()
    assert containers_of(shop.engine, deployer) == []


def test_a_local_image_runs_as_it_is(
    local: str, engine: Engine, deployer: Deployer, state: Path
) -> None:
    """It answers, is proved by its ID, is adopted with that, and survives kill."""
    quiet = list[Event]().append
    image_id = str(engine.client.inspect_image(local)["Id"])
    first = deployer.deploy(
        "hello", "1.0.0", Image(local), environment={"TOKEN": "x"}, on_event=quiet
    )
    second = deployer.deploy("hello", "2.0.0", Image(image_id), on_event=quiet)
    assert httpx.get(first.endpoints[0]).text == "ok"
    # The same content as main: rule 27 makes it a control.
    assert first.source_digest == second.source_digest == image_id
    before = deployer.inspect("hello")
    assert before["image"] == image_id
    assert before["source_origin"] == f"{local}, local image {image_id}"
    assert before["environment"] == ("TOKEN",)
    with pytest.raises(VersionExistsError):
        deployer.deploy("hello", "1.0.0", Image("other"), on_event=quiet)
    assert list(deployer.cleanup(dry_run=True)) == []
    adopting(deployer, state)
    after = deployer.inspect("hello", "1.0.0")
    for key in ("image", "source_digest", "source_origin", "environment"):
        assert after[key] == before[key]
    volumes = {
        mount["Name"]
        for container in containers_of(engine, deployer)
        for mount in container["Mounts"]
    }
    assert len(volumes) == 2
    deployer.kill("hello")
    left = engine.client.volumes()["Volumes"] or []
    assert not volumes & {volume["Name"] for volume in left}
    assert engine.client.inspect_image(local)["Id"] == image_id


def adopting(deployer: Deployer, state: Path) -> None:
    """Lose the registry's file."""
    for path in state.glob("registry.sqlite*"):
        path.unlink()
    assert {s.version for s in deployer.ls()} == {"1.0.0", "2.0.0"}


def test_an_image_that_does_not_answer_gives_hints(
    local: str, deployer: Deployer
) -> None:
    """Of an image that listens elsewhere its own port and its user are told."""
    with pytest.raises(StartError) as caught:
        deployer.deploy(
            "hello",
            "1.0.0",
            Image(local),
            command=["-c", "raise SystemExit(3)"],
            readiness=Readiness(timeout=10),
            on_event=list[Event]().append,
        )
    assert "exposes 9999/tcp and is asked on 8000" in str(caught.value)
    assert "Hardening(capabilities=" in str(caught.value)
    assert caught.value.exit_code == 3


def test_an_image_that_changes_its_user_is_given_the_rights(
    local: str, deployer: Deployer
) -> None:
    """What the hint names is what such an image needs."""
    code = (
        "import os; os.chown('/service.py', 1, 1); os.setgid(1); os.setuid(1); "
        "exec(open('/service.py').read())"
    )
    command, quiet = ["-c", code], list[Event]().append
    with pytest.raises(StartError, match="if it changes owners or users"):
        deployer.deploy("hello", "1.0.0", Image(local), command=command, on_event=quiet)
    rights = Hardening(capabilities=("CHOWN", "SETUID", "SETGID"))
    service = deployer.deploy(
        "hello",
        "1.0.0",
        Image(local),
        command=command,
        hardening=rights,
        on_event=quiet,
    )
    assert httpx.get(service.endpoints[0]).text == "ok"


def test_what_was_built_is_proved_as_well(
    deployer: Deployer, engine: Engine, echo: Path
) -> None:
    """Of a directory, too, digest, origin, image and names of variables are told."""
    quiet = list[Event]().append
    # It needs longer than the pulls of the other tests.
    with Deployer(
        DockerRuntime(engine.url), project=deployer.project, state=deployer.state
    ) as patient:
        secret = {"TOKEN": "hunter2"}
        service = patient.deploy(
            "hello", "1.0.0", echo, environment=secret, on_event=quiet
        )
        found = patient.inspect("hello")
        with pytest.raises(VersionExistsError, match="same content"):
            patient.deploy("hello", "1.0.0", echo, on_event=quiet)
        (echo / "more.txt").write_text("another content")
        with pytest.raises(VersionExistsError, match="other content"):
            patient.deploy("hello", "1.0.0", echo, on_event=quiet)
        assert patient.inspect("hello")["source_digest"] == found["source_digest"]
        patient.kill("hello")
    assert found["source_digest"] == service.source_digest
    assert str(found["source_digest"]).startswith("sha256:")
    assert found["source_origin"] == str(echo)
    assert found["image"] == service.image
    assert found["environment"] == ("TOKEN",)
    assert "hunter2" not in repr(found)
