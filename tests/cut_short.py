"""Runtimes and registries that misbehave, for what cannot be provoked."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import attrs

from daeploy_lib.lifecycle.project import Project
from daeploy_lib.runtimes.base import Instance, Runtime

# Called with the name of a call and "before" or "after".
Hook = Callable[[str, str], None]


class Hooked:
    """Something whose every call from the main thread is told to a hook."""

    def __init__(self, inner: object, hook: Hook) -> None:
        self._inner = inner
        self._hook = hook

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        is_main_thread = threading.current_thread() is threading.main_thread()
        if not callable(value) or not is_main_thread:
            return value

        def call(*arguments: Any, **named: Any) -> Any:
            self._hook(name, "before")
            returned = value(*arguments, **named)
            self._hook(name, "after")
            return returned

        return call


def hooked(project: Project, hook: Hook) -> Project:
    """Return the project with hooks around its registry and its runtime."""
    return attrs.evolve(
        project,
        registry=cast("Any", Hooked(project.registry, hook)),
        runtime=cast("Any", Hooked(project.runtime, hook)),
    )


@attrs.define
class Cut:
    """
    A hook that raises at one moment, and perhaps again at the next.

    Attributes:
        moment: Which one, from 0: every call has one before and one after it.
        error: What is raised.
        times: At how many moments in a row.
        seen: The moments so far.
    """

    moment: int
    error: BaseException = attrs.field(factory=KeyboardInterrupt)
    times: int = 1
    seen: list[str] = attrs.field(factory=list)

    def __call__(self, name: str, phase: str) -> None:
        """Take a moment, and raise if it is the one."""
        number = len(self.seen)
        self.seen.append(f"{phase} {name}")
        if self.moment <= number < self.moment + self.times:
            raise self.error

    @property
    def is_done(self) -> bool:
        """Whether it has raised at all."""
        return len(self.seen) > self.moment


@attrs.define
class Altered:
    """
    A runtime that says something else of its versions than it knows.

    Attributes:
        inner: The runtime.
        changes: What it says, by version.
        asked: The names of the calls that looked.
    """

    inner: Runtime
    changes: Mapping[str, Mapping[str, Any]]
    asked: list[str] = attrs.field(factory=list)

    def list(self, project: str) -> Sequence[Instance]:
        """Return the instances, changed."""
        self.asked.append("list")
        return [self._altered(i) for i in self.inner.list(project)]

    def inspect(self, instance_id: str) -> Instance | None:
        """Return one instance, changed."""
        self.asked.append("inspect")
        found = self.inner.inspect(instance_id)
        return None if found is None else self._altered(found)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _altered(self, instance: Instance) -> Instance:
        return attrs.evolve(instance, **self.changes.get(instance.version, {}))


def on(project: Project, runtime: Altered) -> Project:
    """Return the project on another runtime."""
    return attrs.evolve(project, runtime=cast("Runtime", runtime))
