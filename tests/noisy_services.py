"""Services whose answers are never the same twice, and a runtime that runs them."""

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs

from daeploy_lib import Deployer
from daeploy_lib.domain.spec import Spec
from daeploy_lib.runtimes.base import Artifact, Instance
from daeploy_lib.runtimes.memory import MemoryRuntime
from daeploy_lib.testing import Script, Wire, answer

JSON = [(b"content-type", b"application/json")]
Answer = Callable[[random.Random], Mapping[str, object]]


def noisy(draw: random.Random) -> Mapping[str, object]:
    """Answer with a time, a random id, a shuffled list and a number with noise."""
    tags = ["a", "b", "c", "d", "e"]
    draw.shuffle(tags)
    return {
        "at": time.time(),
        "request_id": str(UUID(int=draw.getrandbits(128), version=4)),
        "tags": tags,
        "score": draw.gauss(10.0, 1.0),
        "label": "cat",
    }


def serving(seed: int, **changes: Callable[[Any], object]) -> Script:
    """
    Return a script that serves noisy answers.

    Args:
        seed: Of its noise.
        changes: What this version does to a field.
    """
    draw = random.Random(seed)  # noqa: S311 - no secret

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            said = {**noisy(draw)}
            for name, change in changes.items():
                said[name] = change(said[name])
            await wire.send(answer(json.dumps(said).encode(), headers=JSON))

    return script


def _misspelt(tags: Any) -> list[str]:
    """Return the shuffled list with one of its members wrong."""
    return ["E" if tag == "e" else tag for tag in tags]


CHANGES: Mapping[str, Mapping[str, Callable[[Any], object]]] = {
    "main": {},
    "fine": {},
    "score": {"score": lambda score: score + 2.0},
    "at": {"at": lambda at: at - 3600},
    "tags": {"tags": _misspelt},
    "id": {"request_id": lambda _: "none"},
}
"""What versions do to their answers; all but the first two are errors."""


class ServedRuntime(MemoryRuntime):
    """
    Versions whose requests a test's own servers answer.

    Args:
        addresses: Of the servers, by version.
    """

    def __init__(self, addresses: Mapping[str, str]) -> None:
        super().__init__()
        self._addresses = addresses

    def start(self, spec: Spec, artifact: Artifact, *, registry: str) -> Instance:
        """Start as ever, and name the test's server as the endpoint."""
        return self._named(super().start(spec, artifact, registry=registry))

    def inspect(self, instance_id: str) -> Instance | None:
        """Return what runs, at the test's server."""
        instance = super().inspect(instance_id)
        return None if instance is None else self._named(instance)

    def list(self, project: str) -> Sequence[Instance]:
        """Return what runs, at the test's servers."""
        return [self._named(instance) for instance in super().list(project)]

    def end(self) -> None:
        """Stop everything."""
        for instance in super().list("default"):
            self.stop(instance.id, grace=0.0)

    def _named(self, instance: Instance) -> Instance:
        address = self._addresses[instance.version]
        return attrs.evolve(instance, endpoints=(address,))


def deploy(deployer: Deployer, folder: Path, sources: Mapping[str, str]) -> None:
    """
    Deploy versions of ``hello``, the first one as main.

    Args:
        deployer: With a ``ServedRuntime``.
        folder: For the sources.
        sources: Content by version; the same content makes a control.
    """
    for version, content in sources.items():
        source = folder / f"source-{content}"
        source.mkdir(exist_ok=True)
        (source / "service.py").write_text(f"# {content}")
        deployer.deploy("hello", version, source, on_event=lambda _: None)
