"""Versions on a real engine, for the tests of the Docker runtime."""

import json
import time
from collections.abc import Callable
from typing import Any

import attrs
import docker
import httpx

from container_engine import Engine
from container_engine.client import built_images
from daeploy_lib.domain.spec import Spec
from daeploy_lib.runtimes.base import Event, Instance
from daeploy_lib.runtimes.docker import DockerRuntime
from daeploy_lib.runtimes.readiness import wait_ready
from runtime_contexts import ANSWERS, Files, on_base

# Answers POST with the value of the Python expression in the body, as JSON; an
# error is the text of it.
EVALUATES = """
import ctypes, json, os, resource, signal, socket, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        length = int(self.headers.get("content-length", 0))
        expression = self.rfile.read(length).decode() or "None"
        try:
            value = eval(expression)
        except Exception as error:
            value = f"{type(error).__name__}: {error}"
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

server = ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
print("up", flush=True)
server.serve_forever()
"""

REGISTRY = "test-registry"


@attrs.frozen
class Versions:
    """
    Builds and starts versions in one project.

    Attributes:
        engine: The engine, for looking at it from the side.
        project: The test's own project.
        runtime: The runtime under test.
    """

    engine: Engine
    project: str
    runtime: DockerRuntime

    @property
    def client(self) -> docker.APIClient:
        """The engine's low-level client."""
        return self.engine.client

    def spec(self, version: str = "1.0.0", **more: Any) -> Spec:
        """Return what is asked for."""
        return Spec(self.project, "hello", version, **more)

    def source(self, code: str = ANSWERS, *steps: str) -> Files:
        """Return a context on the base image."""
        return on_base(self.engine.base_image, code, *steps)

    def start(self, spec: Spec | None = None, source: Files | None = None) -> Instance:
        """Build and start a version."""
        spec = spec or self.spec()
        artifact = self.runtime.build(
            spec, source or self.source(), ignore, registry=REGISTRY
        )
        return self.runtime.start(spec, artifact, registry=REGISTRY)

    def ready(self, spec: Spec | None = None, source: Files | None = None) -> Instance:
        """Build and start a version, and wait until it answers."""
        spec = spec or self.spec()
        return wait_ready(self.runtime, self.start(spec, source), spec)

    def containers(self) -> list[dict[str, Any]]:
        """Return the project's containers as the engine lists them."""
        return list(self.client.containers(all=True, filters=self._label))

    def images(self) -> list[dict[str, Any]]:
        """Return the project's images as the engine lists them."""
        return built_images(self.client, self.project)

    def networks(self) -> list[dict[str, Any]]:
        """Return the project's networks as the engine lists them."""
        return list(self.client.networks(filters=self._label))

    def assert_nothing_left(self) -> None:
        """Check that the engine has nothing of the project."""
        assert self.containers() == []
        assert self.images() == []
        assert self.networks() == []

    @property
    def _label(self) -> dict[str, Any]:
        return {"label": [f"daeploy.project={self.project}"]}


def evaluate(instance: Instance, expression: str) -> Any:
    """Return what an expression is inside of a version that runs EVALUATES."""
    answer = httpx.post(
        instance.endpoints[0], content=expression, trust_env=False, timeout=20
    )
    return json.loads(answer.content)


def is_podman(engine: Engine) -> bool:
    """Return whether the engine is Podman, which differs here and there."""
    parts = engine.client.version().get("Components") or []
    return any("Podman" in part["Name"] for part in parts)


def ignore(event: Event) -> None:
    """Take an event that nobody looks at."""
    del event


def wait_until(condition: Callable[[], object], timeout: float = 20.0) -> None:
    """Wait until something holds; fail if it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
