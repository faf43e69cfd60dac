"""Four processes of one server, as an operator starts them, and one report."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import attrs
import httpx
import pytest

from daeploy_lib import Deployer
from daeploy_lib.testing import MemoryRuntime

pytestmark = pytest.mark.once

WORKERS = 4
APP = """\
from daeploy_lib import Deployer, ShadowRouter
app = ShadowRouter(Deployer(state={state!r}))
"""


@pytest.fixture
def deployer(tmp_path: Path) -> Iterator[Deployer]:
    """Two versions of hello, served by threads of this process."""
    deployer = Deployer(MemoryRuntime(), state=tmp_path / "state")
    hello = deployer.init("hello", tmp_path)
    for version in ("1.0.0", "2.0.0"):
        deployer.deploy("hello", version, hello, on_event=lambda _: None)
    yield deployer
    deployer.kill_all(grace=0.0)


@attrs.frozen
class Server:
    """The workers: where they are asked, and how they are ended."""

    address: str
    program: "subprocess.Popen[bytes]"

    def ask(self, count: int) -> None:
        """Make requests, each over a connection of its own: any worker takes it."""
        for _ in range(count):
            url = f"{self.address}/hello/"
            assert httpx.get(url, trust_env=False, timeout=10).status_code == 200

    def kill(self) -> None:
        """End all of its processes at once, as an operator may."""
        os.killpg(self.program.pid, signal.SIGKILL)
        self.program.wait()


@contextmanager
def workers(folder: Path, deployer: Deployer) -> Iterator[Server]:
    """Serve a router in four processes."""
    (folder / "app.py").write_text(APP.format(state=str(deployer.state)))
    port = free_port()
    words = [sys.executable, "-m", "uvicorn", "app:app", "--workers", str(WORKERS)]
    words += ["--port", str(port), "--log-level", "error"]
    with subprocess.Popen(words, cwd=folder, start_new_session=True) as program:
        server = Server(f"http://127.0.0.1:{port}", program)
        try:
            until(lambda: answers(server.address))
            yield server
        finally:
            if program.poll() is None:
                server.kill()


def free_port() -> int:
    """Return a port that nobody listens on right now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def answers(address: str) -> bool:
    """Return whether the first worker listens."""
    try:
        httpx.get(address, trust_env=False)
    except httpx.TransportError:
        return False
    return True


def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def seen(deployer: Deployer) -> int:
    """Return how many requests the report knows the outcome of."""
    return sum(deployer.report("hello")["2.0.0"].outcomes.values())


def test_four_workers_and_a_notebook_agree(tmp_path: Path, deployer: Deployer) -> None:
    """Nobody asks them to write: what all of them saw is in the report soon."""
    with workers(tmp_path, deployer) as server:
        server.ask(200)
        until(lambda: seen(deployer) == 200)
        stored = list((deployer.state / "evidence").rglob("*"))
        assert len([path for path in stored if path.is_file()]) >= 2


def test_workers_that_are_killed_lose_the_last_interval_only(
    tmp_path: Path, deployer: Deployer
) -> None:
    """In the middle of their work; what they had written is whole."""
    with workers(tmp_path, deployer) as server:
        server.ask(100)
        until(lambda: seen(deployer) == 100)
        asked, is_over = [0], Event()

        def load() -> None:
            while not is_over.is_set():
                try:
                    server.ask(1)
                except httpx.TransportError:
                    return
                asked[0] += 1

        thread = Thread(target=load)
        thread.start()
        until(lambda: asked[0] >= 50)
        server.kill()
        is_over.set()
        thread.join()
    assert 100 <= seen(deployer) <= 100 + asked[0] + 1
    # Others begin where these have ended.
    before = seen(deployer)
    with workers(tmp_path, deployer) as server:
        server.ask(20)
        until(lambda: seen(deployer) == before + 20)
