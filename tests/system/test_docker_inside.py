"""From inside a container: versions are reached over the project's network."""

import json
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

import daeploy_lib
from container_engine import Engine
from daeploy_lib.runtimes.docker import DockerRuntime
from docker_versions import REGISTRY, Versions, ignore

pytestmark = pytest.mark.docker

SOCKET = "/var/run/docker.sock"

# Starts a version, asks it, and stops it; its last line of output is the result.
INSIDE = """
import json, sys, urllib.request
sys.path[:0] = json.loads(sys.argv[1])
from daeploy_lib.domain.spec import Spec
from daeploy_lib.runtimes.base import Artifact
from daeploy_lib.runtimes.docker import DockerRuntime
from daeploy_lib.runtimes.readiness import wait_ready

runtime = DockerRuntime()
spec = Spec(sys.argv[2], "hello", sys.argv[3])
artifact = Artifact(sys.argv[4], "sha256:")
instance = runtime.start(spec, artifact, registry="test-registry")
ready = wait_ready(runtime, instance, spec)
listed = runtime.list(spec.project)[0]
if sys.argv[5] == "stop":
    runtime.stop(instance.id, grace=5)
print(json.dumps([ready.endpoints, ready.port, listed.endpoints]))
"""


@pytest.fixture
def versions(engine: Engine, project: str) -> Versions:
    """Versions on the engine."""
    return Versions(engine, project, DockerRuntime(engine.url))


def run_inside(versions: Versions, version: str, then: str) -> list[object]:
    """Run INSIDE in a container that has the engine's socket."""
    artifact = versions.runtime.build(
        versions.spec(version), versions.source(), ignore, registry=REGISTRY
    )
    packages = Path(str(distribution("docker").locate_file("")))
    library = Path(daeploy_lib.__path__[0]).parent
    binds: dict[str, Any] = {
        versions.engine.url.removeprefix("unix://"): {"bind": SOCKET}
    }
    places = []
    for number, path in enumerate(dict.fromkeys([library, packages])):
        places.append(f"/packages/{number}")
        binds[str(path)] = {"bind": places[-1], "mode": "ro"}
    words = [json.dumps(places), versions.project, version, artifact.image, then]
    client = versions.client
    container = client.create_container(
        versions.engine.base_image,
        ["/usr/bin/env", f"python3.{sys.version_info[1]}", "-c", INSIDE, *words],
        host_config=client.create_host_config(binds=binds),
    )["Id"]
    try:
        client.start(container)
        code = client.wait(container, timeout=60)["StatusCode"]
        output = client.logs(container).decode()
        assert code == 0, output
    finally:
        client.remove_container(container, force=True)
    result = json.loads(output.splitlines()[-1])
    assert isinstance(result, list)
    return result


needs_same_python = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11),
    reason="the base image has Python 3.11, whose packages this test lends to it",
)


@needs_same_python
def test_the_network_is_joined(versions: Versions) -> None:
    """Our own container joins, no port of the host is taken, the name answers."""
    endpoints, port, listed = run_inside(versions, "1.0.0", "keep")
    assert endpoints == [f"http://daeploy.{versions.project}.hello.1.0.0:8000"]
    assert port is None
    assert listed == endpoints
    [container] = versions.containers()
    found = versions.client.inspect_container(container["Id"])
    assert not found["HostConfig"]["PortBindings"]
    versions.runtime.stop(container["Id"], grace=0)
    assert versions.networks() == []


@needs_same_python
def test_a_version_with_an_odd_name_is_reached(versions: Versions) -> None:
    """A name that resolvers do not take has an alias that they do."""
    endpoints, _, _ = run_inside(versions, "1.0.0-RC1+gpu", "keep")
    assert isinstance(endpoints, list)
    assert endpoints[0].startswith("http://daeploy-")


@needs_same_python
def test_the_network_is_left_and_removed(versions: Versions) -> None:
    """After the last version our own container leaves, and the network goes."""
    run_inside(versions, "1.0.0", "stop")
    assert versions.containers() == []
    assert versions.networks() == []
