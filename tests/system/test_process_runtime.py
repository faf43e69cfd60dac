"""Versions as real processes: what a user, an operator and a crash do to them."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import httpx
import psutil
import pytest

from daeploy_lib import (
    BuildError,
    Deployer,
    DeployError,
    Image,
    MainProtectedError,
    Mount,
    ProcessRuntime,
    Resources,
    Service,
    SourceError,
    StartError,
    Status,
)
from daeploy_lib.runtimes.process.ports import own_port
from daeploy_lib.runtimes.process.supervisor import LOG_BYTES, LOG_FILES, RESTARTS
from package_index import PACKAGE, PASSWORD, serving_index, wheel
from process_versions import running_in

pytestmark = pytest.mark.once

# Answers with what it is; "/die?CODE" ends it, "/grow" uses memory, "/threads?COUNT"
# has threads, "/fork" leaves a process behind that has a session of its own, "/log"
# writes a lot.
SERVICE = """
import json, os, subprocess, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

kept = []

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/die":
            os._exit(int(query))
        if path == "/grow":
            kept.append(bytearray(os.urandom(1) * 200_000_000))
        if path == "/threads":
            for _ in range(int(query)):
                threading.Thread(target=threading.Event().wait, daemon=True).start()
        if path == "/fork":
            kept.append(subprocess.Popen(["sleep", "600"], start_new_session=True))
        if path == "/log":
            for number in range(int(query)):
                print(number, "x" * 1000)
        told = {"pid": os.getpid(), "environment": dict(os.environ), "cwd": os.getcwd(),
                "python": sys.prefix, "version": VERSION,
                "processors": sorted(getattr(os, "sched_getaffinity", set)(0))}
        if path == "/fork":
            told["forked"] = kept[-1].pid
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

VERSION = "one"
print("up", flush=True)
print("warning", file=sys.stderr, flush=True)
HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""


@attrs.frozen
class Place:
    """A Deployer on processes, and what it deploys."""

    folder: Path
    deployer: Deployer
    source: Path

    def deploy(self, version: str = "1.0.0", **more: Any) -> Service:
        """Deploy the service."""
        return self.deployer.deploy(
            "hello",
            version,
            self.source,
            on_event=lambda _: None,
            **more,
        )

    def ask(self, service: Service, path: str = "/") -> Mapping[str, object]:
        """Ask a version."""
        told: Mapping[str, object] = httpx.get(
            service.endpoints[0] + path, trust_env=False, timeout=10
        ).json()
        return told

    def status(self, version: str = "1.0.0") -> Status:
        """Return what a version does now."""
        return self.deployer.get("hello", version).status

    def files(self) -> list[Path]:
        """Return what the runtime has written, but for locks."""
        found = (self.folder / "processes").rglob("*")
        return [path for path in found if path.is_file() and "lock" not in path.name]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Nothing is deployed, and nothing is left."""
    source = tmp_path / "hello"
    source.mkdir()
    (source / "service.py").write_text(SERVICE)
    runtime = ProcessRuntime(tmp_path / "processes")
    deployer = Deployer(runtime, state=tmp_path / "state")
    yield Place(tmp_path, deployer, source)
    deployer.kill_all(grace=0.0)
    for left in deployer.cleanup():
        assert left.name
    assert not running_in(tmp_path)


def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pid_of(told: Mapping[str, object], key: str = "pid") -> int:
    """Return a process id that a version has told."""
    return int(str(told[key]))


def supervisor_of(place: Place, service: Service) -> int:
    """Return the pid of who stands by a version."""
    [record] = [
        json.loads(path.read_text())
        for path in (place.folder / "processes/instances").glob("*/instance.json")
        if json.loads(path.read_text())["port"] == service.port
    ]
    return int(json.loads(record["supervisor"])["pid"])


def test_a_session(place: Place) -> None:
    """Every verb does what it does with containers."""
    first = place.deploy("1.0.0")
    text = (place.source / "service.py").read_text()
    (place.source / "service.py").write_text(text.replace('"one"', '"two"'))
    second = place.deploy("2.0.0")
    assert (first.is_main, second.is_main) == (True, False)
    assert first.port != second.port
    assert place.ask(first)["version"] == "one"
    assert place.ask(second)["version"] == "two"
    assert first.source_origin == str(place.source)
    assert [s.status for s in place.deployer.ls()] == [Status.running] * 2
    lines = list(place.deployer.logs("hello", "2.0.0"))
    assert {("stdout", "up"), ("stderr", "warning")} <= {
        (line.stream, line.text) for line in lines
    }
    with pytest.raises(MainProtectedError):
        place.deployer.kill("hello", "1.0.0")
    place.deployer.assign("hello", "2.0.0")
    assert place.deployer.get("hello").version == "2.0.0"
    assert place.deployer.rollback("hello").version == "1.0.0"
    told = place.deployer.inspect("hello")
    assert "restarts_at_most" in str(told["runtime"])
    place.deployer.kill("hello")
    assert not place.files()
    assert not running_in(place.folder)


def test_little_of_our_environment_is_passed_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is secret here stays here; what is given on purpose is there."""
    monkeypatch.setenv("CLOUD_PASSWORD", "hunter2")
    service = place.deploy(environment={"GREETING": "hi", "PORT": "1"})
    told = place.ask(service)
    environment = told["environment"]
    assert isinstance(environment, dict)
    assert "CLOUD_PASSWORD" not in environment
    assert (environment["GREETING"], environment["HOST"]) == ("hi", "127.0.0.1")
    assert environment["PORT"] == str(service.port)
    assert str(told["python"]).startswith(str(place.folder))
    kept = b"".join(path.read_bytes() for path in place.files())
    assert b"hunter2" not in kept
    assert "hi" not in str(place.deployer.inspect("hello")["runtime"])


def test_it_outlives_who_deployed_it(place: Place) -> None:
    """Another process finds it, and ends it."""
    program = (
        "import sys; from daeploy_lib import Deployer, ProcessRuntime\n"
        f"d = Deployer(ProcessRuntime({str(place.folder / 'processes')!r}), "
        f"state={str(place.folder / 'state')!r})\n"
        f"d.deploy('hello', '1.0.0', {str(place.source)!r}, on_event=lambda e: None)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    service = place.deployer.get("hello")
    assert service.status is Status.running
    assert place.ask(service)["version"] == "one"
    place.deployer.kill("hello")
    assert not place.files()


def test_a_lost_registry_is_read_back(place: Place) -> None:
    """What is written beside the processes is enough."""
    before = place.deploy()
    for file in (place.folder / "state").glob("registry.*"):
        if file.name != "registry.id":
            file.unlink()
    after = Deployer(
        ProcessRuntime(place.folder / "processes"), state=place.folder / "state"
    ).get("hello")
    assert (after.version, after.is_main) == ("1.0.0", True)
    assert after.source_digest == before.source_digest


def test_one_that_fails_is_started_again(place: Place) -> None:
    """At the same port, at most three times; then it is exited, with its code."""
    service = place.deploy()
    for number in range(RESTARTS + 1):
        pid = pid_of(place.ask(service))
        with pytest.raises(httpx.TransportError):
            place.ask(service, "/die?7")
        if number < RESTARTS:
            until(lambda: answers(place, service))
            assert pid_of(place.ask(service)) != pid
    until(lambda: place.status() is Status.exited)
    runtime = place.deployer.inspect("hello")["runtime"]
    assert "'exit_code': 7" in str(runtime)


@pytest.mark.skipif(sys.platform != "linux", reason="others cannot hold a port")
def test_a_port_stays_its_own_while_nothing_listens(place: Place) -> None:
    """No other runtime gets it before the version has ended for good."""
    service = place.deploy()
    port = service.port
    assert port is not None
    os.kill(pid_of(place.ask(service)), signal.SIGKILL)
    until(lambda: place.status() is Status.restarting)
    while place.status() is Status.restarting:
        assert own_port([port], ()) is None
    until(lambda: answers(place, service))
    place.deployer.kill("hello", grace=0.0)
    again = own_port([port], ())
    assert again is not None
    again.hold.close()


def answers(place: Place, service: Service) -> bool:
    """Return whether a version answers."""
    try:
        place.ask(service)
    except httpx.TransportError:
        return False
    return True


def test_one_that_ends_well_is_not_started_again(place: Place) -> None:
    """Code 0 is what it wanted."""
    service = place.deploy()
    with pytest.raises(httpx.TransportError):
        place.ask(service, "/die?0")
    until(lambda: place.status() is Status.exited)


def test_nothing_outlives_a_kill(place: Place) -> None:
    """Nor what has left its session, also when nobody stands by it any more."""
    for is_attended in (True, False):
        service = place.deploy()
        forked = pid_of(place.ask(service, "/fork"), "forked")
        assert psutil.pid_exists(forked)
        if not is_attended:
            os.kill(supervisor_of(place, service), signal.SIGKILL)
        place.deployer.kill("hello", grace=0.5)
        until(lambda forked=forked: not psutil.pid_exists(forked))  # type: ignore[misc]
        assert not answers(place, service)
        assert not place.files()


def test_a_service_ends_with_who_stands_by_it(place: Place) -> None:
    """Then it is exited, and can be deployed again after a kill."""
    service = place.deploy()
    os.kill(supervisor_of(place, service), signal.SIGKILL)
    until(lambda: place.status() is Status.exited)
    until(lambda: not answers(place, service))
    place.deployer.kill("hello")
    assert place.ask(place.deploy())["version"] == "one"


def test_a_pid_that_is_used_again_is_never_mistaken(place: Place) -> None:
    """Who has the number now is left alone."""
    service = place.deploy()
    supervisor = supervisor_of(place, service)
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: place.status() is Status.exited)
    [file] = (place.folder / "processes/instances").glob("*/instance.json")
    record = json.loads(file.read_text())
    owner = json.loads(record["supervisor"])
    record["supervisor"] = json.dumps({**owner, "pid": os.getpid()})
    file.write_text(json.dumps(record))
    assert place.status() is Status.exited
    place.deployer.kill("hello", grace=0.1)  # this process goes on


def test_too_much_memory_ends_it(place: Place) -> None:
    """It is said that memory was the reason."""
    service = place.deploy(resources=Resources(memory="100m"))
    with contextlib.suppress(httpx.TransportError):
        place.ask(service, "/grow")  # it may end before it has answered
    # It may be started again meanwhile; the log remembers.
    until(
        lambda: any(
            "more memory than it may" in line.text
            for line in place.deployer.logs("hello", tail=None)
        )
    )


def test_too_many_threads_end_it(place: Place) -> None:
    """As many as it may have are no reason."""
    service = place.deploy(resources=Resources(pids=20))
    place.ask(service, "/threads?10")
    with contextlib.suppress(httpx.TransportError):
        place.ask(service, "/threads?10")
    until(
        lambda: any(
            "processes and threads, more than it may" in line.text
            for line in place.deployer.logs("hello", tail=None)
        )
    )


@pytest.mark.skipif(os.cpu_count() == 1, reason="all have the only processor")
def test_each_has_processors_of_its_own(place: Place) -> None:
    """As long as there are enough; half a one is a whole one."""
    first = place.deploy("1.0.0", resources=Resources(cpus=0.5))
    second = place.deploy("2.0.0", resources=Resources(cpus=1))
    third = place.deploy("3.0.0", resources=Resources(cpus=1000))
    one, other = (str(place.ask(s)["processors"]) for s in (first, second))
    assert len({one, other} & {f"[{number}]" for number in range(1024)}) == 2
    assert place.ask(third)["processors"] == sorted(os.sched_getaffinity(0))
    runtime = str(place.deployer.inspect("hello", "1.0.0")["runtime"])
    assert f"'processors': ({one[1:-1]},)" in runtime


def test_output_is_bounded(place: Place) -> None:
    """The last lines are kept, and read across files."""
    service = place.deploy()
    count = 3 * LOG_FILES * LOG_BYTES // 2 // 1000
    place.ask(service, f"/log?{count}")
    last = f"{count - 1} "
    until(
        lambda: any(
            line.text.startswith(last) for line in place.deployer.logs("hello", tail=5)
        )
    )
    sizes = [path.stat().st_size for path in place.files() if "log" in path.name]
    assert sum(sizes) < (LOG_FILES + 1) * LOG_BYTES
    numbers = [
        int(line.text.split()[0])
        for line in place.deployer.logs("hello", tail=None)
        if "x" * 1000 in line.text
    ]
    assert numbers == list(range(numbers[0], count))
    assert len(numbers) > LOG_BYTES // 1100


def test_what_needs_an_engine_is_refused(place: Place) -> None:
    """Each with the reason, and nothing is left."""
    with pytest.raises(BuildError, match="Mounts need a container engine"):
        place.deploy(mounts=[Mount(str(place.folder), "/data")])
    with pytest.raises(SourceError, match="needs a container engine"):
        place.deployer.deploy("hello", "1.0.0", Image("nginx"), on_event=lambda _: None)
    (place.source / "service.py").unlink()
    (place.source / "Dockerfile").write_text("FROM scratch\n")
    with pytest.raises(BuildError, match="a Dockerfile, which needs a container"):
        place.deploy()
    assert not place.files()
    runtime = ProcessRuntime(place.folder / "processes")
    with pytest.raises(DeployError, match="another one, such as Docker"):
        runtime.stop("f" * 64, grace=0.0)


def test_a_command_that_does_not_exist(place: Place) -> None:
    """It is told by name before anything is started."""
    with pytest.raises(StartError, match="'nonesuch' of its command does not exist"):
        place.deploy(command=["nonesuch"])
    assert not place.files()


def test_packages_are_installed_once(place: Place) -> None:
    """Versions that need the same share an environment, which goes with the last."""
    (place.source / "requirements.txt").write_text("# nothing yet\n")
    events: list[str] = []
    for version in ("1.0.0", "2.0.0"):
        place.deployer.deploy(
            "hello", version, place.source, on_event=lambda e: events.append(e.text)
        )
    assert any("installed already" in text for text in events)
    assert len(list((place.folder / "processes/packages").iterdir())) == 1
    place.deployer.kill("hello", "2.0.0")
    assert len(list((place.folder / "processes/packages").iterdir())) == 1
    place.deployer.kill("hello")
    assert not list((place.folder / "processes/packages").iterdir())


@pytest.mark.parametrize("uses_uv", [True, False])
def test_packages_come_from_the_index_that_pip_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, uses_uv: bool
) -> None:
    """By uv where it is found, else by pip; its password is nowhere to be seen."""
    (place.source / "requirements.txt").write_text(PACKAGE)
    code = (place.source / "service.py").read_text()
    service = place.source / "service.py"
    service.write_text(
        f"import daeploy_probe\nassert daeploy_probe.ANSWER == 42\n{code}"
    )
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    runtime = ProcessRuntime(place.folder / "processes", uses_uv=uses_uv)
    events: list[str] = []
    with serving_index("127.0.0.1") as index, monkeypatch.context() as configured:
        for name, value in index.options().items():
            configured.setenv(f"PIP_{name.upper().replace('-', '_')}", value)
        with Deployer(runtime, state=place.folder / "state") as deployer:
            deployer.deploy(
                "hello",
                "1.0.0",
                place.source,
                on_event=lambda event: events.append(event.text),
            )
    assert index.asked
    assert not any(PASSWORD in text for text in events)
    is_by_uv = any(text.startswith("Installed 1 package") for text in events)
    assert is_by_uv is uses_uv, events


@pytest.mark.parametrize("uses_uv", [True, False])
def test_a_version_may_come_from_any_index(
    place: Place, monkeypatch: pytest.MonkeyPatch, uses_uv: bool
) -> None:
    """As pip has it: also from one behind an index that has other versions."""
    for version in ("1.0", "2.0"):
        folder = place.folder / version / PACKAGE
        folder.mkdir(parents=True)
        name = f"daeploy_probe-{version}-py3-none-any.whl"
        code = f"VERSION = {version!r}\n"
        (folder / name).write_bytes(wheel(PACKAGE, {"daeploy_probe.py": code}, version))
        (folder / "index.html").write_text(f'<a href="{name}">{name}</a>')
    (place.source / "requirements.txt").write_text(f"{PACKAGE}==2.0")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("PIP_INDEX_URL", (place.folder / "2.0").as_uri())
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", (place.folder / "1.0").as_uri())
    runtime = ProcessRuntime(place.folder / "processes", uses_uv=uses_uv)
    with Deployer(runtime, state=place.folder / "state") as deployer:
        events: list[str] = []
        deployer.deploy(
            "hello", "1.0.0", place.source, on_event=lambda e: events.append(e.text)
        )
    assert any(f"{PACKAGE}==2.0" in t or f"{PACKAGE}-2.0" in t for t in events), events


def test_a_package_that_does_not_exist(place: Place) -> None:
    """The installer's last lines are in the error, and nothing is left."""
    (place.source / "requirements.txt").write_text("./nowhere\n")
    with pytest.raises(BuildError, match="packages cannot be installed") as failed:
        place.deploy()
    assert any("nowhere" in line for line in failed.value.log_lines)
    assert not place.files()


@pytest.mark.usefixtures("neighbours")
def test_the_quickstart_falls_back_to_processes(tmp_path: Path) -> None:
    """Without an engine it says so, and shows the same session."""
    script = Path(__file__).parents[2] / "examples" / "quickstart.py"
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "No container engine can be used, so processes are" in done.stdout
    assert "hello_2.0.0   Good morning Ada" in done.stdout
    # By pip, or by uv.
    assert re.search("Successfully installed|Installed \\d+ packages", done.stderr)
    assert "installed already" in done.stderr
