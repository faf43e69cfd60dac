"""``daeploy serve``: a router in a process of its own, and nothing to write for it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from daeploy_lib import Deployer
from daeploy_lib.testing import MemoryRuntime
from terminal import Terminal

DAEPLOY = [sys.executable, "-m", "daeploy_lib.cli"]


@pytest.fixture
def environment(state: Path) -> Mapping[str, str]:
    """The variables of a person's shell."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DAEPLOY_")}
    return {**kept, "DAEPLOY_STATE": str(state)}


@pytest.fixture
def deployer(state: Path, tmp_path: Path) -> Iterator[Deployer]:
    """Hello with a main and a shadow, in this process."""
    with Deployer(MemoryRuntime(), state=state) as deployer:
        hello = deployer.init("hello", tmp_path)
        for version in ("1.0.0", "2.0.0"):
            deployer.deploy("hello", version, hello, on_event=lambda _: None)
        yield deployer
        deployer.kill_all()


@pytest.fixture
def server(
    deployer: Deployer, environment: Mapping[str, str], tmp_path: Path
) -> Iterator[Terminal]:
    """The command in a terminal, on a free port."""
    del deployer
    with Terminal(
        [*DAEPLOY, "serve", "--port", "0"], environment=environment, cwd=tmp_path
    ) as terminal:
        terminal.expect("(Ctrl-C ends it)")
        yield terminal


def address(server: Terminal) -> str:
    """Return where it says that it serves, without the path."""
    [found] = re.findall(
        r"^Serving (http://127\.0\.0\.1:\d+)/services/ ", server.text, re.MULTILINE
    )
    return str(found)


def test_services_are_served_and_followed(server: Terminal, deployer: Deployer) -> None:
    """Main answers, its shadow gets copies, and an assign is followed at once."""
    base = address(server)
    with httpx.Client(base_url=base, timeout=20) as client:
        assert client.get("/services/hello/a?b=1").json()["version"] == "1.0.0"
        assert client.get("/services/hello_2.0.0/").json()["version"] == "2.0.0"
        index = client.get("/").json()
        assert index["services"]["hello"]["main"] == "1.0.0"
        assert index["services"]["hello"]["shadows"] == ["2.0.0"]
        paths = index["services"]["hello"]["versions"].values()
        assert all(client.get(path).status_code == 200 for path in paths)
        assert client.get("/services/").json() == index
        assert client.get("/services/nobody/").status_code == 404
        assert "/services/NAME/" in client.get("/elsewhere").json()["detail"]
        assert "daeploy_shadow_outcomes" in client.get("/metrics/").text
        deployer.assign("hello", "2.0.0")
        assert client.get("/services/hello/").json()["version"] == "2.0.0"
        assert client.get("/").json()["services"]["hello"]["main"] == "2.0.0"
    server.type("\x03")
    assert server.end() == 0
    assert server.text.endswith("Stopped.\n")
    assert "Traceback" not in server.text
    # What it saw was kept before it ended.
    outcomes = deployer.report("hello")["1.0.0"].outcomes
    assert sum(outcomes.values()) == 1


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_request_under_way_ends_first(
    server: Terminal, ending: signal.Signals
) -> None:
    """A signal lets it have its whole answer, and is no failure."""
    base, has_begun, may_end = address(server), threading.Event(), threading.Event()

    def body() -> Iterator[bytes]:
        yield b"first, "
        has_begun.set()
        assert may_end.wait(20)
        yield b"last"

    def ask() -> httpx.Response:
        headers = {"content-length": "11"}
        url = f"{base}/services/hello/"
        return httpx.post(url, content=body(), headers=headers, timeout=20)

    with ThreadPoolExecutor() as pool:
        asked = pool.submit(ask)
        assert has_begun.wait(20)
        while not has_under_way(base):
            assert not asked.done()
        server.signal(ending)
        while is_open(base):
            assert not asked.done()
        may_end.set()
        assert asked.result().json()["version"] == "1.0.0"
    assert server.end() == 0
    assert "Traceback" not in server.text


def has_under_way(base: str) -> bool:
    """Tell whether a request has come as far as the router."""
    metrics = httpx.get(f"{base}/metrics/", timeout=20).text
    return "daeploy_router_in_flight 1.0" in metrics


def is_open(base: str) -> bool:
    """Tell whether a server takes connections."""
    url = httpx.URL(base)
    try:
        socket.create_connection((url.host, url.port or 80), timeout=20).close()
    except ConnectionError:
        return False
    return True


def test_a_taken_port_is_an_error(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    """That names it and the option, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*DAEPLOY, "serve", "--port", str(port)],
            env=dict(environment),
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: Port {port} of 127.0.0.1 cannot be used: address already in use. "
        f"Choose another with --port.\n"
    )


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("daeploy as", ["assign"]),
        ("daeploy logs ", ["hello"]),
        ("daeploy assign hello ", ["1.0.0", "2.0.0"]),
        ("daeploy assign hello 2", ["2.0.0"]),
        ("daeploy --project other logs ", []),
        ("daeploy --state /nowhere/at/all logs ", []),
    ],
)
def test_the_shell_completes_names_and_versions(
    deployer: Deployer, environment: Mapping[str, str], words: str, offered: list[str]
) -> None:
    """From the registry: there is no engine, and no error."""
    del deployer
    done = subprocess.run(
        DAEPLOY,
        env={
            **environment,
            "DOCKER_HOST": "tcp://192.0.2.1:2375",
            "_DAEPLOY_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - (not words.endswith(" "))),
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout.split(), done.stderr) == (offered, "")


def test_a_reader_that_has_enough(
    deployer: Deployer, environment: Mapping[str, str]
) -> None:
    """Ends the command as it ends others, without a word."""
    del deployer
    with subprocess.Popen(
        [*DAEPLOY, "history", "hello", "--json"],
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (128 + signal.SIGPIPE, "")


def test_json_of_a_process_is_whole(
    deployer: Deployer, environment: Mapping[str, str]
) -> None:
    """The console script's own process writes it, and ends with 0."""
    done = subprocess.run(
        [Path(sys.executable).parent / "daeploy", "report", "hello", "--json"],
        env=dict(environment),
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == deployer.report("hello").to_dict()
