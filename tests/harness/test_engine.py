"""The harness on a real engine."""

import os
import re
import time
import urllib.request

import pytest

from container_engine import Engine
from container_engine.client import answers, find, remove_project

NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")


def test_the_engine_is_named_in_the_environment(engine: Engine) -> None:
    """Processes started by a test find the engine and its base image by themselves."""
    assert os.environ["DOCKER_HOST"] == engine.url
    assert os.environ["DAEPLOY_BASE_IMAGE"] == engine.base_image
    assert find() == engine.url


def test_the_base_image_has_python_under_its_usual_name(
    engine: Engine, base_image: str, project: str
) -> None:
    """A container of the base image serves a port published on 127.0.0.1."""
    client = engine.client
    container = client.create_container(
        base_image,
        ["python", "-m", "http.server", "8000"],
        ports=[8000],
        labels={"daeploy.project": project},
        host_config=client.create_host_config(
            port_bindings={8000: ("127.0.0.1", None)}
        ),
    )["Id"]
    client.start(container)
    binding = client.inspect_container(container)["NetworkSettings"]["Ports"]
    port = binding["8000/tcp"][0]["HostPort"]
    assert _status(f"http://127.0.0.1:{port}/") == 200


def test_a_project_is_removed_with_all_it_has(
    engine: Engine, base_image: str, project: str
) -> None:
    """Containers, networks and images of it go, another project's stay."""
    client = engine.client
    other = f"{project}-other"
    for name in (project, other):
        labels = {"daeploy.project": name}
        container = client.create_container(base_image, ["true"], labels=labels)
        marks = {f"daeploy.image.{name}": "{}"}
        client.commit(container, f"daeploy-test/{name}", conf={"Labels": marks})
        client.create_network(name, labels=labels)
    try:
        removed = remove_project(client, project)
        assert sorted(what.split()[0] for what in removed) == [
            "container",
            "image",
            "network",
        ]
        assert remove_project(client, project) == []
    finally:
        assert len(remove_project(client, other)) == 3


def test_a_project_name_is_legal(project: str) -> None:
    """The fixture's name obeys the rule for project names."""
    assert NAME.fullmatch(project)
    assert len(project) <= 40


def test_nothing_answers_where_nothing_listens(engine: Engine) -> None:
    """A dead socket is no engine, and no error either."""
    assert not answers("unix:///nonexistent/docker.sock")
    assert answers(engine.url)


def _status(url: str) -> int:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return int(answer.status)
        except OSError:
            if time.monotonic() > deadline:
                pytest.fail(f"{url} did not answer within 20 s")
            time.sleep(0.1)
