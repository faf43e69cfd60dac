"""A container's life: its port, crashes, its end, and the strangers beside it."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

from container_engine import Engine
from daeploy_lib.domain.service import Status
from daeploy_lib.domain.spec import Hardening, Mount, Readiness
from daeploy_lib.errors import NotReadyError, RuntimeUnavailableError, StartError
from daeploy_lib.runtimes.docker import DockerRuntime
from daeploy_lib.runtimes.readiness import probe_once, wait_ready
from docker_versions import EVALUATES, REGISTRY, Versions, ignore, wait_until
from runtime_contexts import ANSWERS

pytestmark = pytest.mark.docker

# Ignores SIGTERM, or ends with a last word, as asked for.
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + ANSWERS
POLITE = (
    "import signal, sys\n"
    "def end(*_):\n"
    "    print('bye', flush=True)\n"
    "    sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, end)\n" + ANSWERS
)
LOOPBACK_ONLY = ANSWERS.replace('os.environ["HOST"]', '"127.0.0.1"')
OTHER_PORT = ANSWERS.replace('int(os.environ["PORT"])', "9999")
UNWELL = ANSWERS.replace("send_response(200)", "send_response(503)")


@pytest.fixture
def versions(engine: Engine, project: str) -> Versions:
    """Versions on the engine."""
    return Versions(engine, project, DockerRuntime(engine.url))


def test_the_port_stays_across_restarts(versions: Versions) -> None:
    """The engine restarts a container at the port that it had."""
    instance = versions.ready()
    versions.client.restart(instance.id, timeout=1)
    again = wait_ready(versions.runtime, instance, versions.spec())
    assert again.port == instance.port
    assert again.endpoints == instance.endpoints
    assert again.started_at is not None
    assert instance.started_at is not None
    assert again.started_at > instance.started_at


def test_a_version_that_was_ready_comes_back_after_a_crash(versions: Versions) -> None:
    """Once settled, the engine starts it again, at the same port."""
    instance = versions.ready(source=versions.source(EVALUATES))
    versions.runtime.settle(instance)
    policy = versions.client.inspect_container(instance.id)["HostConfig"][
        "RestartPolicy"
    ]
    assert policy["Name"] == "unless-stopped"
    pid = versions.client.inspect_container(instance.id)["State"]["Pid"]
    # A kill through the engine would count as a wish.
    _crash(instance.endpoints[0])

    def is_back() -> bool:
        now = versions.client.inspect_container(instance.id)["State"]
        return bool(now["Status"] == "running" and now["Pid"] != pid)

    wait_until(is_back)
    again = wait_ready(versions.runtime, instance, versions.spec())
    assert again.port == instance.port


def _crash(endpoint: str) -> None:
    """Have a version that runs EVALUATES end itself."""
    host, port = endpoint.removeprefix("http://").split(":")
    body = b"os._exit(9)"
    request = f"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(request.encode() + body)
        connection.settimeout(10)
        while connection.recv(100):
            continue


def test_a_version_that_was_never_ready_does_not_come_back(versions: Versions) -> None:
    """Without settle a crash is the end, and is listed with its exit code."""
    instance = versions.ready(source=versions.source(EVALUATES))
    _crash(instance.endpoints[0])
    wait_until(lambda: versions.runtime.list(versions.project)[0].exit_code == 9)
    assert versions.runtime.list(versions.project)[0].status is Status.exited


def test_a_crash_loop_is_restarting(versions: Versions) -> None:
    """A settled version that crashes at each start is listed as restarting."""
    looping = versions.start(versions.spec(command=("/usr/bin/env", "false")))

    def status() -> Status:
        return versions.runtime.list(versions.project)[0].status

    wait_until(lambda: status() is Status.exited)
    versions.runtime.settle(looping)
    versions.client.start(looping.id)
    wait_until(lambda: status() is Status.restarting)
    versions.runtime.stop(looping.id, grace=5)
    assert versions.runtime.inspect(looping.id) is None


def test_stop_asks_first(versions: Versions) -> None:
    """A version gets SIGTERM and the time to end; with init it takes no second."""
    instance = versions.ready(source=versions.source(POLITE))
    lines = versions.runtime.logs(instance.id, tail=None, follow=True, since=None)
    assert next(iter(lines)).text == "up"
    began = time.monotonic()
    versions.runtime.stop(instance.id, grace=10)
    assert time.monotonic() - began < 1.5
    assert "bye" in [line.text for line in lines]


def test_stop_ends_what_does_not_listen(versions: Versions) -> None:
    """After the grace a version is killed, and not before."""
    instance = versions.ready(source=versions.source(STUBBORN))
    began = time.monotonic()
    versions.runtime.stop(instance.id, grace=1)
    assert 1 <= time.monotonic() - began < 4
    assert versions.runtime.inspect(instance.id) is None


def test_stop_of_what_is_paused(versions: Versions) -> None:
    """A paused version is stopped like any other."""
    instance = versions.ready()
    versions.client.pause(instance.id)
    assert versions.runtime.list(versions.project)[0].status is Status.unknown
    versions.runtime.stop(instance.id, grace=5)
    assert versions.containers() == []


def test_many_stop_at_once(versions: Versions) -> None:
    """Eight that stop one version all succeed; it and its network are gone."""
    instance = versions.ready()
    with ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(versions.runtime.stop, instance.id, grace=2) for _ in range(8)
        ]
        for call in calls:
            call.result()
    assert versions.containers() == []
    assert versions.networks() == []


def test_many_start_at_once(versions: Versions) -> None:
    """Eight that start at once get ports of their own, on one network."""
    numbers = [f"{n}.0.0" for n in range(8)]
    artifacts = {
        number: versions.runtime.build(
            versions.spec(number), versions.source(), ignore, registry=REGISTRY
        )
        for number in numbers
    }
    # A narrow range, so that they do meet.
    runtime = DockerRuntime(versions.engine.url, ports=range(17900, 17912))
    with ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(
                runtime.start, versions.spec(n), artifacts[n], registry=REGISTRY
            )
            for n in numbers
        ]
        instances = [call.result() for call in calls]
    assert len({instance.port for instance in instances}) == 8
    assert len(versions.containers()) == 8
    for instance in instances:
        wait_ready(runtime, instance, versions.spec(instance.version))
    for instance in instances:
        runtime.stop(instance.id, grace=0)
    assert versions.networks() == []


def test_start_and_stop_race_for_the_network(versions: Versions) -> None:
    """The empty network that one removes while another starts is made again."""
    artifacts = {
        number: versions.runtime.build(
            versions.spec(number), versions.source(), ignore, registry=REGISTRY
        )
        for number in ("1.0.0", "2.0.0")
    }

    def again_and_again(number: str) -> None:
        for _ in range(5):
            instance = versions.runtime.start(
                versions.spec(number), artifacts[number], registry=REGISTRY
            )
            versions.runtime.stop(instance.id, grace=0)

    with ThreadPoolExecutor(2) as pool:
        for call in [pool.submit(again_and_again, n) for n in artifacts]:
            call.result()
    assert versions.containers() == []


def test_a_port_that_a_stranger_has(versions: Versions) -> None:
    """The next port is taken; if none is free, that is said and nothing is left."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        narrow = DockerRuntime(versions.engine.url, ports=[taken])
        only_one = attrs.evolve(versions, runtime=narrow)
        with pytest.raises(StartError, match="ports") as failed:
            only_one.start()
        assert failed.value.stage == "start"
        assert versions.containers() == []
        assert versions.networks() == []
        wider = DockerRuntime(versions.engine.url, ports=[taken, 17950])
        assert attrs.evolve(versions, runtime=wider).start().port == 17950


def test_every_port_belongs_to_a_version(versions: Versions) -> None:
    """When the range is used up, the error says how to get more."""
    runtime = DockerRuntime(versions.engine.url, ports=[17951])
    narrow = attrs.evolve(versions, runtime=runtime)
    narrow.start()
    with pytest.raises(StartError, match=r"ports=range"):
        narrow.start(versions.spec("2.0.0"))


def test_a_start_that_the_engine_refuses(versions: Versions, tmp_path: Path) -> None:
    """The engine's words are in the error, and nothing is left."""
    hardening = Hardening(user="nonsense")
    with pytest.raises(StartError, match="nonsense") as failed:
        versions.start(versions.spec(hardening=hardening))
    assert failed.value.stage == "start"
    mounts = (Mount(tmp_path / "none", "/given"),)
    with pytest.raises(StartError, match="none"):
        versions.start(versions.spec(mounts=mounts))
    assert versions.containers() == []
    assert versions.networks() == []


def test_a_command_that_does_not_exist(versions: Versions) -> None:
    """It ends at once, with the shells' code for it and a line that says why."""
    with pytest.raises(StartError) as failed:
        versions.ready(versions.spec(command=("/nonsense",)))
    assert failed.value.exit_code == 127
    assert "/nonsense" in str(failed.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (LOOPBACK_ONLY, "0.0.0.0"),
        (OTHER_PORT, "port 8000"),
        (UNWELL, "HTTP 503"),
    ],
    ids=["loopback only", "other port", "unwell"],
)
def test_what_is_never_ready_says_why(
    versions: Versions, code: str, words: str
) -> None:
    """The observed answer and the likely reason are in the error."""
    spec = versions.spec(readiness=Readiness(timeout=2))
    instance = versions.start(spec, versions.source(code))
    with pytest.raises(NotReadyError, match=words) as failed:
        wait_ready(versions.runtime, instance, spec)
    assert "up" in failed.value.log_lines


def test_a_name_that_a_stranger_has(versions: Versions) -> None:
    """A container of that name that is not ours is left alone, and named."""
    name = f"daeploy.{versions.project}.hello.1.0.0"
    image = versions.engine.base_image
    stranger = versions.client.create_container(image, ["sleep", "60"], name=name)["Id"]
    try:
        with pytest.raises(StartError, match=stranger[:12]):
            versions.start()
        assert versions.client.inspect_container(stranger)["Id"] == stranger
    finally:
        versions.client.remove_container(stranger, force=True)


def test_strangers_are_left_alone(versions: Versions) -> None:
    """Similar names, similar projects, and containers of our images stay."""
    client, project = versions.client, versions.project
    instance = versions.ready()
    image = versions.engine.base_image
    labels = {"daeploy.project": f"{project}-more", "daeploy.name": "hello"}
    strangers = [
        client.create_container(image, ["true"], name=f"daeploy.{project}.hello")["Id"],
        client.create_container(image, ["true"], labels=labels)["Id"],
        # Somebody has a look at what is in the image.
        client.create_container(instance.image, ["true"])["Id"],
    ]
    try:
        assert [i.id for i in versions.runtime.list(project)] == [instance.id]
        for left in versions.runtime.leftovers(project, REGISTRY, []):
            versions.runtime.remove_leftover(left)
        assert versions.runtime.list(project) == []
        # The image stays, because a stranger's container uses it.
        assert client.inspect_image(instance.image)["Id"] == instance.image
        for stranger in strangers:
            assert client.inspect_container(stranger)["Id"] == stranger
    finally:
        for stranger in strangers:
            client.remove_container(stranger, force=True)


def test_stop_refuses_a_stranger(versions: Versions) -> None:
    """An id that is not ours is not stopped."""
    image = versions.engine.base_image
    stranger = versions.client.create_container(image, ["true"])["Id"]
    try:
        with pytest.raises(Exception, match="not daeploy_lib's"):
            versions.runtime.stop(stranger, grace=0)
        assert versions.client.inspect_container(stranger)["Id"] == stranger
    finally:
        versions.client.remove_container(stranger, force=True)


def test_an_image_with_another_name_stays(versions: Versions) -> None:
    """What a person has tagged loses our tag only."""
    instance = versions.start()
    mine = f"mine-{versions.project}"
    versions.client.tag(instance.image, mine)
    try:
        versions.runtime.stop(instance.id, grace=0)
        versions.runtime.remove_artifact(versions.spec(), registry=REGISTRY)
        tags = versions.client.inspect_image(instance.image)["RepoTags"]
        assert tags == [f"{mine}:latest"]
        assert versions.runtime.leftovers(versions.project, REGISTRY, []) == []
    finally:
        versions.client.remove_image(mine)


def test_an_image_in_use_stays(versions: Versions) -> None:
    """The image of a version that runs is not removed."""
    instance = versions.ready()
    versions.runtime.remove_artifact(versions.spec(), registry=REGISTRY)
    assert versions.client.inspect_image(instance.image)["RepoTags"]
    assert probe_once(instance.endpoints, Readiness()) is None


def test_an_earlier_build_is_a_leftover(versions: Versions) -> None:
    """A build that the running version was not made from is found."""
    versions.runtime.build(
        versions.spec(), versions.source(POLITE), ignore, registry=REGISTRY
    )
    instance = versions.ready()
    known = [("hello", "1.0.0")]
    [left] = versions.runtime.leftovers(versions.project, REGISTRY, known)
    assert left.kind == "image"
    assert left.id != instance.image
    versions.runtime.remove_leftover(left)
    assert versions.runtime.leftovers(versions.project, REGISTRY, known) == []


def test_labels_that_cannot_be_read(versions: Versions) -> None:
    """A damaged spec does not hide an instance; damaged names hide it from us."""
    labels = {
        "daeploy.project": versions.project,
        "daeploy.name": "hello",
        "daeploy.version": "1.0.0",
        "daeploy.registry": REGISTRY,
        "daeploy.spec": "{",
        "daeploy.port": "many",
    }
    image = versions.engine.base_image
    for changes in ({}, {"daeploy.version": "../1"}):
        versions.client.create_container(image, ["true"], labels={**labels, **changes})
    [instance] = versions.runtime.list(versions.project)
    assert instance.spec is None
    assert instance.port is None
    assert instance.endpoints == ()
    assert instance.status is Status.exited


def test_another_address_of_the_host(versions: Versions) -> None:
    """bind= opens the port there, and the version is reached there."""
    runtime = DockerRuntime(versions.engine.url, bind="127.0.0.2")
    instance = attrs.evolve(versions, runtime=runtime).ready()
    assert instance.endpoints == (f"http://127.0.0.2:{instance.port}",)
    wide = DockerRuntime(versions.engine.url, bind="0.0.0.0")
    instance = attrs.evolve(versions, runtime=wide).ready(versions.spec("2.0.0"))
    assert instance.endpoints == (f"http://127.0.0.1:{instance.port}",)


def test_the_network_cannot_be_joined_from_outside(versions: Versions) -> None:
    """reach='network' says at once that this process is in no container."""
    runtime = DockerRuntime(versions.engine.url, reach="network")
    with pytest.raises(RuntimeUnavailableError, match="container"):
        attrs.evolve(versions, runtime=runtime).start()
    assert versions.images() == []


def test_a_runtime_is_usable_from_many_threads_and_after_close(
    versions: Versions,
) -> None:
    """One runtime serves eight threads; closing only frees its connections."""
    instance = versions.start()
    seen: list[str] = []

    def look() -> None:
        for _ in range(10):
            seen.extend(i.id for i in versions.runtime.list(versions.project))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [instance.id] * 80
    versions.runtime.close()
    assert versions.runtime.inspect(instance.id) is not None


def test_the_spec_label_is_json_without_values(versions: Versions) -> None:
    """The label keeps what was asked for, and the names of the environment."""
    instance = versions.start(versions.spec(environment={"TOKEN": "hunter2"}))
    labels = versions.client.inspect_container(instance.id)["Config"]["Labels"]
    assert json.loads(labels["daeploy.spec"])["environment"] == ["TOKEN"]
    assert labels["daeploy.registry"] == REGISTRY
    assert labels["daeploy.digest"] == versions.source().digest
