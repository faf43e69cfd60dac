"""What a version may not do: shown by the engine's inspection and by trying."""

from pathlib import Path
from typing import Any

import pytest

from container_engine import Engine
from daeploy_lib.domain.spec import Hardening, Mount, Readiness, Resources
from daeploy_lib.errors import StartError
from daeploy_lib.runtimes.docker import DockerRuntime
from daeploy_lib.runtimes.readiness import wait_ready
from docker_versions import EVALUATES, Versions, evaluate

pytestmark = pytest.mark.docker

LINES = "(line.split(':\\t') for line in open('/proc/self/status') if ':\\t' in line)"
STATUS = f"{{name: value.strip() for name, value in {LINES}}}"
TMP = "/tmp"  # noqa: S108 - inside a version


@pytest.fixture
def versions(engine: Engine, project: str) -> Versions:
    """Versions on the engine."""
    return Versions(engine, project, DockerRuntime(engine.url))


def start(versions: Versions, *steps: str, **asked: Any) -> Any:
    """Return a version that runs EVALUATES, ready."""
    return versions.ready(versions.spec(**asked), versions.source(EVALUATES, *steps))


def test_defaults_as_the_engine_reports_them(versions: Versions) -> None:
    """Each default is in the engine's own inspection."""
    resources = Resources(memory="128m", cpus=0.5, pids=64)
    instance = start(versions, resources=resources)
    found = versions.client.inspect_container(instance.id)
    host = found["HostConfig"]
    assert found["Config"]["User"] == "65532:65532"
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Privileged"] is False
    assert host["ReadonlyRootfs"] is True
    assert set(host["Tmpfs"]) == {TMP}
    assert set(host["Tmpfs"][TMP].split(",")) >= {"noexec", "nosuid", "nodev"}
    assert host["Memory"] == host["MemorySwap"] == 128 * 1024**2
    assert host["NanoCpus"] == 500_000_000
    assert host["PidsLimit"] == 64
    assert host["Init"] is True
    assert [u["Name"] for u in host["Ulimits"]] == ["nofile"]
    assert host["LogConfig"]["Type"] == "json-file"
    assert set(host["LogConfig"]["Config"]) == {"max-size", "max-file"}
    assert host["RestartPolicy"]["Name"] in ("", "no")
    for namespace in ("PidMode", "UTSMode", "UsernsMode"):
        assert host[namespace] == "", namespace
    assert host["IpcMode"] != "host"
    assert not found["Mounts"]
    assert not host["Devices"]
    assert not host["DeviceRequests"]
    assert host["PortBindings"] == {
        "8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(instance.port)}]
    }
    [network] = found["NetworkSettings"]["Networks"]
    assert network == f"daeploy.{versions.project}"


def test_defaults_as_the_service_meets_them(versions: Versions) -> None:
    """What is forbidden fails inside, and what a plain server needs works."""
    instance = start(versions)
    assert evaluate(instance, "[os.getuid(), os.getgid()]") == [65532, 65532]
    assert "Read-only" in evaluate(instance, "Path('/x').write_text('x')")
    assert evaluate(instance, "Path('/tmp/x').write_text('x')") == 1
    mounted = evaluate(instance, "Path('/proc/mounts').read_text().split('\\n')")
    [tmp] = [line.split() for line in mounted if " /tmp " in line]
    assert {"noexec", "nosuid", "nodev", "size=65536k"} <= set(tmp[3].split(","))
    script = (
        "Path('/tmp/run').write_text('#!/bin/sh\\n') and os.chmod('/tmp/run', 0o755)"
    )
    evaluate(instance, script)
    assert "Permission" in evaluate(instance, "subprocess.run(['/tmp/run']).returncode")
    raw = "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).fileno()"
    assert "not permitted" in evaluate(instance, raw)
    status = evaluate(instance, STATUS)
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    nofile = "resource.getrlimit(resource.RLIMIT_NOFILE)"
    assert evaluate(instance, nofile) == [16384, 16384]
    assert evaluate(instance, "Path('/proc/1/comm').read_text().strip()") != "python3"


def test_processes_are_limited(versions: Versions) -> None:
    """A version cannot start more processes than it was given."""
    instance = start(versions, resources=Resources(pids=20))
    many = "[subprocess.Popen(['sleep', '20']).pid for _ in range(40)]"
    assert "BlockingIOError" in evaluate(instance, many)


def test_a_version_that_takes_too_much_memory_is_reported(versions: Versions) -> None:
    """The kernel ends it, and the error says that memory was the reason."""
    eats = "print('eating', flush=True)\nx = bytearray(256 * 1024**2)\n"
    spec = versions.spec(resources=Resources(memory="32m"))
    instance = versions.start(spec, versions.source(eats))
    with pytest.raises(StartError, match="memory") as failed:
        wait_ready(versions.runtime, instance, spec)
    assert failed.value.oom_killed
    assert failed.value.exit_code == 137
    assert failed.value.log_lines == ("eating",)


@pytest.mark.parametrize(
    ("hardening", "expression", "expected"),
    [
        (Hardening(read_only_root=False, user="0:0"), "Path('/x').write_text('x')", 1),
        (Hardening(user="1234:1234"), "os.getuid()", 1234),
        (Hardening(no_new_privileges=False), f"{STATUS}['NoNewPrivs']", "0"),
        (
            Hardening(user="0:0", capabilities=("NET_RAW",)),
            "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).family",
            2,
        ),
        (
            Hardening(tmpfs_size="8m"),
            "os.statvfs('/tmp').f_blocks * os.statvfs('/tmp').f_frsize",
            8 * 1024**2,
        ),
    ],
    ids=["writable root", "user", "new privileges", "capability", "tmpfs size"],
)
def test_each_relaxation_works(
    versions: Versions, hardening: Hardening, expression: str, expected: object
) -> None:
    """Every relaxation is one named argument, and does what it says."""
    assert evaluate(start(versions, hardening=hardening), expression) == expected


def test_mounts_are_those_asked_for(versions: Versions, tmp_path: Path) -> None:
    """A host path is there if it was asked for, read-only unless said otherwise."""
    tmp_path.chmod(0o777)
    (tmp_path / "model").write_text("weights")
    mounts = (
        Mount(tmp_path, "/given"),
        Mount(tmp_path, "/writable", read_only=False),
    )
    instance = start(versions, mounts=mounts)
    assert evaluate(instance, "Path('/given/model').read_text()") == "weights"
    assert "Read-only" in evaluate(instance, "Path('/given/x').write_text('x')")
    assert evaluate(instance, "Path('/writable/x').write_text('x')") == 1
    assert (tmp_path / "x").read_text() == "x"


@pytest.mark.parametrize(
    ("step", "uid"), [("USER 1234", 1234), ("USER root", 65532), ("USER 0:0", 65532)]
)
def test_the_user_of_a_dockerfile(versions: Versions, step: str, uid: int) -> None:
    """A Dockerfile's own user is kept, unless that is root."""
    assert evaluate(start(versions, step), "os.getuid()") == uid


def test_gpus_are_asked_for(versions: Versions) -> None:
    """Without a GPU driver the start is refused by the engine, and nothing is left."""
    spec = versions.spec(resources=Resources(gpus="all"))
    with pytest.raises(StartError, match="gpu"):
        versions.start(spec)
    assert versions.containers() == []


def test_the_environment(versions: Versions) -> None:
    """The version gets its environment, HOST and PORT; no label has a value of it."""
    environment = {"TOKEN": "hunter2", "HOME": "/srv"}
    instance = start(versions, environment=environment, port=9000)
    names = "[os.environ[n] for n in ('TOKEN', 'HOST', 'PORT', 'HOME')]"
    assert evaluate(instance, names) == ["hunter2", "0.0.0.0", "9000", "/srv"]
    found = versions.client.inspect_container(instance.id)
    assert "hunter2" not in str(found["Config"]["Labels"])
    assert "hunter2" not in str(versions.runtime.details(instance.id))
    image = versions.client.inspect_image(instance.image)
    assert "hunter2" not in str(image)
    listed = versions.runtime.list(versions.project)[0]
    assert listed.spec is not None
    assert listed.spec.environment == {"TOKEN": "", "HOME": ""}


def test_the_command_replaces_the_image_s_own(versions: Versions) -> None:
    """The words of command= are run instead."""
    words = ("/usr/bin/env", "python3", "-c", "raise SystemExit(5)")
    spec = versions.spec(command=words, readiness=Readiness(timeout=20))
    with pytest.raises(StartError) as failed:
        versions.ready(spec)
    assert failed.value.exit_code == 5
