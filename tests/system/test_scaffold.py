"""What ``Deployer.init`` writes: it tests itself, deploys unchanged, and explains."""

import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from container_engine import Engine
from daeploy_lib import Deployer, Route, ShadowRouter

# The packages of the service are installed, so an index has to be in reach too.
pytestmark = pytest.mark.docker

Serving = Callable[[Any], AbstractContextManager[str]]
NAME = "iris-model"


def run(folder: Path, *command: str | Path) -> str:
    """Run a command in a directory; return what it printed."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_own_test_passes_in_a_new_environment(tmp_path: Path) -> None:
    """The README's commands are all it takes."""
    folder = Deployer(state=tmp_path / "state").init(NAME, tmp_path)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    assert (
        "pip install -r requirements.txt pytest" in (folder / "README.md").read_text()
    )
    pip = (python, "-m", "pip", "install", "-q")
    run(folder, *pip, "-r", "requirements.txt", "pytest")
    # Where the folder of temporary files lies in a checkout, as nox has it, pytest
    # would take that one's configuration.
    pytest_alone = (python, "-m", "pytest", "-q", "-c", os.devnull)
    assert "3 passed" in run(folder, *pytest_alone, "--rootdir", folder)


@pytest.fixture
def deployed(
    engine: Engine, project: str, state: Path, tmp_path: Path
) -> Iterator[Deployer]:
    """Two versions of the scaffold, deployed as it is."""
    del engine
    with Deployer(project=project, state=state) as deployer:
        folder = deployer.init(NAME, tmp_path)
        before = {file: file.read_bytes() for file in folder.iterdir()}
        for version in ("1.0.0", "2.0.0+gpu"):
            deployer.deploy(NAME, version, folder, on_event=lambda _: None)
        assert {file: file.read_bytes() for file in folder.iterdir()} == before
        yield deployer


def test_it_deploys_and_answers_behind_every_mount(
    deployed: Deployer, serving: Serving
) -> None:
    """Calls and docs work below the name and below one version, at any mount."""
    router = ShadowRouter(deployed)
    fastapi, starlette = FastAPI(), Starlette()
    fastapi.mount("/services", router)
    starlette.mount("/a/b", router)
    mounted: dict[str, Any] = {"/services": fastapi, "/a/b": starlette, "": router}
    for mount, app in mounted.items():
        with serving(app) as address:
            for segment in (NAME, f"{NAME}_1.0.0", f"{NAME}_2.0.0+gpu"):
                check(address, f"{mount}/{segment}")


def check(address: str, prefix: str) -> None:
    """Call a service, and follow its docs as a browser would."""
    with httpx.Client(base_url=f"{address}{prefix}") as client:
        assert client.get("/").json() == {"service": NAME}
        assert client.post("/hello", json={"name": "Ada"}).json() == "Hello Ada"
        assert client.post("/hello", json={}).status_code == 422
        page = client.get("/docs").text
        assert f"url: '{prefix}/openapi.json'" in page
        described = httpx.get(f"{address}{prefix}/openapi.json").json()
        assert described["servers"][0]["url"] == prefix
        called = described["servers"][0]["url"] + next(iter(described["paths"]))
        assert httpx.get(f"{address}{called}").status_code == 200


HOSTILE = [
    "//evil.example",
    "/\\evil.example",
    "/x//evil.example",
    "https://evil.example",
    "/'-alert(1)-'",
    "/<script>",
    "/\xe9",
    "x",
    "/",
]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[str]:
    """The scaffold's service in a process of its own, without a router."""
    folder = Deployer(state=tmp_path / "state").init(NAME, tmp_path)
    code = (
        "import sys, uvicorn; sys.path.insert(0, '.'); from service import app\n"
        "config = uvicorn.Config(app, port=0, log_level='warning')\n"
        "server = uvicorn.Server(config)\n"
        "async def main():\n"
        "    import asyncio\n"
        "    task = asyncio.create_task(server.serve())\n"
        "    while not server.started: await asyncio.sleep(0.01)\n"
        "    print(server.servers[0].sockets[0].getsockname()[1], flush=True)\n"
        "    await task\n"
        "import asyncio; asyncio.run(main())\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def test_docs_are_not_led_elsewhere(alone: str, serving: Serving) -> None:
    """A hostile x-forwarded-prefix is not believed, with and without a router."""
    for prefix in HOSTILE:
        headers = {b"x-forwarded-prefix": prefix.encode("latin-1")}
        page = httpx.get(f"{alone}/docs", headers=headers)
        assert "url: '/openapi.json'" in page.text
        assert "evil" not in page.text
        described = httpx.get(f"{alone}/openapi.json", headers=headers).json()
        assert "servers" not in described
    routes = {NAME: Route({"1": alone}, main="1")}
    with serving(ShadowRouter(routes)) as address:
        for prefix in HOSTILE:
            headers = {b"x-forwarded-prefix": prefix.encode("latin-1")}
            page = httpx.get(f"{address}/{NAME}/docs", headers=headers)
            assert f"url: '/{NAME}/openapi.json'" in page.text
            assert "evil" not in page.text
    # Nobody else gets to see what an attacker has sent.
    assert "evil" not in httpx.get(f"{alone}/openapi.json").text
