"""Deploy: reserve, build, start, wait until ready, publish. All or nothing."""

import logging
from collections.abc import Callable
from contextlib import ExitStack

from daeploy_lib.domain.spec import Spec
from daeploy_lib.lifecycle.adoption import deployed_of
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.lifecycle.shares import share_processors
from daeploy_lib.registry.registry import Reservation
from daeploy_lib.runtimes.base import BuildInput, Event, OnEvent
from daeploy_lib.runtimes.readiness import wait_ready

_log = logging.getLogger(__name__)


def deploy(project: Project, spec: Spec, source: BuildInput, on_event: OnEvent) -> None:
    """
    Deploy one version; it becomes main if its name has none.

    On any failure, Ctrl-C included, what was made is removed again and the
    version is free; main and routes are not touched.

    Raises:
        VersionExistsError, RouteConflictError: Before anything is built.
        DeployError: With the stage that failed.
    """
    report = _unfailing(on_event)
    registry = project.registry
    with ExitStack() as undo:
        reservation = registry.reserve(spec)
        undo.callback(_attempt, lambda: registry.release(reservation))
        if reservation.is_reclaimed:
            _remove_remains(project, reservation)
        _bring_up(project, reservation, source, report, undo)
        # Nothing is undone once it is published, which was the last step.
        undo.pop_all()
    share_processors(project, spec.name)
    report(Event("done", "Service deployed successfully"))


def _bring_up(
    project: Project,
    reservation: Reservation,
    source: BuildInput,
    report: OnEvent,
    undo: ExitStack,
) -> None:
    spec, runtime = reservation.spec, project.runtime
    report(Event("build", f"Building on {runtime.description}"))
    artifact = runtime.build(spec, source, report)
    undo.callback(_attempt, lambda: runtime.remove_artifact(artifact.image, spec))
    report(Event("start", "Starting"))
    instance = runtime.start(spec, artifact, registry=project.registry_id)
    undo.callback(_attempt, lambda: runtime.stop(instance.id, grace=0.0))
    report(Event("ready", f"Waiting for an answer on {spec.readiness.path}"))
    ready = wait_ready(runtime, instance, spec)
    runtime.settle(ready)
    project.registry.publish(reservation, deployed_of(ready))


def _remove_remains(project: Project, reservation: Reservation) -> None:
    """Remove what a process that died in its deployment left running."""
    spec = reservation.spec
    for instance in project.runtime.list(project.name):
        is_remains = (
            instance.name == spec.name
            and instance.version == spec.version
            and instance.registry == project.registry_id
        )
        if is_remains:
            project.runtime.stop(instance.id, grace=0.0)


def _attempt(step: Callable[[], None]) -> None:
    """
    Undo one thing; what cannot be undone is logged and left for ``cleanup``.

    A second Ctrl-C does not stop the undoing: it would leave what the first
    one was meant to end.
    """
    try:
        try:
            step()
        except KeyboardInterrupt:
            step()
    except Exception:  # noqa: BLE001 - what failed the deployment matters more
        _log.warning("Could not undo a part of a failed deployment", exc_info=True)


def _unfailing(on_event: OnEvent) -> OnEvent:
    """Return *on_event* so that its failure cannot fail the deployment."""

    def report(event: Event) -> None:
        try:
            on_event(event)
        except Exception:  # noqa: BLE001 - the caller's hook may raise anything
            _log.warning("on_event failed for %s", event, exc_info=True)

    return report
