"""The verbs against the same by hand: docker's own command, and bare calls."""

import itertools
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import docker
import httpx

from bench.timing import compared, seconds
from daeploy_lib import Deployer, PythonImage, Readiness
from daeploy_lib.domain.spec import Spec
from daeploy_lib.runtimes.readiness import probe_once
from daeploy_lib.sources import open_source

SERVICES = 50
PORT = 16990
ROUNDS = 9


def deploy() -> Iterator[str]:
    """Deploy the hello directory; docker build, docker run and polling by hand."""
    with tempfile.TemporaryDirectory() as folder, _deployer(folder) as deployer:
        hello = deployer.init("hello", folder)
        context, build_args = _context_by_hand(Path(folder, "context"), hello)
        numbers = itertools.count()
        taken: list[str] = []

        def ours() -> None:
            version = str(next(numbers))
            deployer.deploy("hello", version, hello, on_event=lambda _: None)
            taken.append(version)

        def by_hand() -> None:
            tag = "daeploy-bench"
            _docker("build", "-q", "-t", tag, *build_args, str(context))
            published = f"127.0.0.1:{PORT}:8000"
            _docker("run", "-d", "--init", "--name", tag, "-p", published, tag)
            _poll(f"http://127.0.0.1:{PORT}/")

        def undo() -> None:
            _docker("rm", "-f", "daeploy-bench")
            for version in taken[1:]:
                deployer.kill("hello", version, grace=0)
            del taken[1:]

        ratios, pairs = [], []
        for _ in range(ROUNDS + 1):
            pairs.append((seconds(ours), seconds(by_hand)))
            ratios.append(pairs[-1][0] / pairs[-1][1])
            undo()
        _docker("rmi", "-f", "daeploy-bench")
        # The first round fills the cache.
        ratios, pairs = sorted(ratios[1:]), pairs[1:]
        yield (
            f"ours {statistics.median(p[0] for p in pairs):.2f} s, by hand "
            f"{statistics.median(p[1] for p in pairs):.2f} s, ratio "
            f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}, "
            f"{ROUNDS} rounds; mark: 1.15)"
        )


def ls() -> Iterator[str]:
    """List fifty services; the bare call to the engine for the same containers."""
    with tempfile.TemporaryDirectory() as folder, _deployer(folder) as deployer:
        _many(deployer, folder)
        client = docker.APIClient(base_url=os.environ["DOCKER_HOST"])
        client.trust_env = False
        own = {"label": [f"daeploy.project={deployer.project}"]}
        result = compared(
            deployer.ls, lambda: client.containers(all=True, filters=own), 30
        )
        assert len(deployer.ls()) == SERVICES  # noqa: S101
        yield f"{result} (mark: 1.50)"


def assign() -> Iterator[str]:
    """
    Change main to and fro; what its readiness probe takes is left out.

    Beside it what the engine alone takes for its part: the shares of both.
    """
    with tempfile.TemporaryDirectory() as folder, _deployer(folder) as deployer:
        source = _plain_service(folder)
        for version in ("1", "2"):
            deployer.deploy("hello", version, source, on_event=lambda _: None)
        times, engines = [], []
        shares = _shares_by_hand(deployer.project)
        for version in ["2", "1"] * 15:
            endpoints = deployer.get("hello", version).endpoints
            probe = seconds(partial(probe_once, endpoints, Readiness()))
            whole = seconds(partial(deployer.assign, "hello", version))
            times.append((whole - probe) * 1e3)
            engines.append(seconds(shares) * 1e3)
        yield (
            f"besides its probe {statistics.median(times):.1f} ms "
            f"({min(times):.1f} to {max(times):.1f}, {len(times)} rounds; mark: 20 "
            f"ms); the engine alone, for the shares of both containers, "
            f"{statistics.median(engines):.1f} ms "
            f"({min(engines):.1f} to {max(engines):.1f})"
        )


def _shares_by_hand(project: str) -> Callable[[], None]:
    """Return what has the engine change the shares of every container at once."""
    client = docker.APIClient(base_url=os.environ["DOCKER_HOST"])
    client.trust_env = False
    own = {"label": [f"daeploy.project={project}"]}
    found = [entry["Id"] for entry in client.containers(filters=own)]
    numbers = itertools.count(200)

    def change() -> None:
        shares = next(numbers)
        update = partial(client.update_container, cpu_shares=shares)
        with ThreadPoolExecutor() as pool:
            list(pool.map(update, found))

    return change


def _deployer(folder: str) -> Deployer:
    state = Path(folder, "state")
    return Deployer(project="bench", state=state, ephemeral=True)


def _plain_service(folder: str) -> Path:
    source = Path(folder, "plain")
    source.mkdir()
    (source / "service.py").write_text(
        "import os\n"
        "from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer\n"
        "address = (os.environ['HOST'], int(os.environ['PORT']))\n"
        "ThreadingHTTPServer(address, SimpleHTTPRequestHandler).serve_forever()\n"
    )
    return source


def _many(deployer: Deployer, folder: str) -> None:
    """Deploy one service for real and register the others with its container's kin."""
    source = _plain_service(folder)
    for number in range(SERVICES):
        deployer.deploy(f"service-{number}", "1", source, on_event=lambda _: None)


def _context_by_hand(folder: Path, hello: Path) -> tuple[Path, list[str]]:
    """Write what our builder sends, and return it as docker's own command wants it."""
    spec = Spec("bench", "hello", "by-hand")
    context = open_source(hello, spec)
    build = PythonImage.from_host().build(context)
    folder.mkdir()
    with subprocess.Popen(
        ["tar", "-x", "-C", str(folder)], stdin=subprocess.PIPE
    ) as tar:
        assert tar.stdin is not None  # noqa: S101
        for chunk in context.write_tar(build.files, under=build.under):
            tar.stdin.write(chunk)
    pairs = build.build_args.items()
    return folder, [word for k, v in pairs for word in ("--build-arg", f"{k}={v}")]


def _docker(*words: str) -> None:
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(
        ["docker", *words], check=False, capture_output=True, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"docker {words[0]}: {done.stderr.decode()}")


def _poll(url: str) -> None:
    while True:
        try:
            httpx.get(url)
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
