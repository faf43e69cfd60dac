"""What the checks of the contract are run with."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

import attrs

from daeploy_lib.domain.spec import Readiness, Spec
from daeploy_lib.runtimes.base import BuildInput, Event, Instance, Runtime
from daeploy_lib.runtimes.readiness import wait_ready

KINDS = ("answers", "exits", "silent", "unbuildable")
EXIT_CODE = 3
EXIT_LINE = "this is the end"

# Seconds for what is asked of a runtime in the background.
PATIENCE_S = 10.0

_E = TypeVar("_E", bound=Exception)


@attrs.frozen
class Contract:
    """
    What the checks are run with.

    Attributes:
        runtime: The runtime.
        sources: A source for each of ``KINDS``, which is also the name of the
            service: ``answers`` prints ``up`` and answers HTTP on ``$PORT``;
            ``exits`` prints ``this is the end`` and exits with code 3;
            ``silent`` takes connections and never answers; ``unbuildable`` does
            not build.
        project: A project that nothing else uses.
    """

    runtime: Runtime
    sources: Mapping[str, BuildInput]
    project: str
    registry: str = "contract"

    def spec(self, kind: str = "answers", version: str = "1.0.0") -> Spec:
        """Return what is asked for."""
        return Spec(
            self.project,
            kind,
            version,
            environment=MappingProxyType({"TOKEN": "hunter2"}),
            readiness=Readiness(timeout=1.5 if kind == "silent" else 30.0),
        )

    def start(self, kind: str = "answers", version: str = "1.0.0") -> Instance:
        """Build and start one version."""
        spec = self.spec(kind, version)
        artifact = self.runtime.build(
            spec, self.sources[kind], nobody, registry=self.registry
        )
        return self.runtime.start(spec, artifact, registry=self.registry)

    def ready(self, version: str = "1.0.0") -> Instance:
        """Build and start one version, and wait until it answers."""
        instance = self.start("answers", version)
        return wait_ready(self.runtime, instance, self.spec("answers", version))

    def empty(self) -> None:
        """Remove everything that the project has."""
        for instance in self.runtime.list(self.project):
            self.runtime.stop(instance.id, grace=0.0)
        for leftover in self.runtime.leftovers(self.project, self.registry, []):
            self.runtime.remove_leftover(leftover)

    def assert_nothing_left(self) -> None:
        """
        Check that no container and no image is left.

        Raises:
            AssertionError: With what there is.
        """
        left = self.runtime.leftovers(self.project, self.registry, [])
        things = [one for one in left if one.kind != "network"]
        if things:
            raise AssertionError(f"something is left: {things}")


def raised(kind: type[_E], call: Callable[[], object]) -> _E:
    """
    Return the error of that kind that *call* raises.

    Raises:
        AssertionError: If it raises none.
    """
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def nobody(event: Event) -> None:
    """Take an event that nobody looks at."""
    del event
