"""Deploy: reserve, build, start, wait until ready, publish. All or nothing."""

import logging
from collections.abc import Callable

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
    reservation = Reservation.of(spec)
    try:
        _bring_up(project, reservation, source, report)
    except BaseException:
        _undo(project, reservation)
        raise
    share_processors(project, spec.name)
    report(Event("done", "Service deployed successfully"))


def _bring_up(
    project: Project, reservation: Reservation, source: BuildInput, report: OnEvent
) -> None:
    spec, runtime = reservation.spec, project.runtime
    is_reclaimed = project.registry.reserve(reservation)
    if is_reclaimed:
        _remove_remains(project, spec)
    report(Event("build", f"Building on {runtime.description}"))
    artifact = runtime.build(spec, source, report, registry=project.registry_id)
    report(Event("start", "Starting"))
    instance = runtime.start(spec, artifact, registry=project.registry_id)
    report(Event("ready", f"Waiting for an answer on {spec.readiness.path}"))
    ready = wait_ready(runtime, instance, spec)
    runtime.settle(ready)
    project.registry.publish(reservation, deployed_of(ready))


def _undo(project: Project, reservation: Reservation) -> None:
    """
    Remove whatever was made under a reservation, then give that back.

    What there is to remove is read from labels and not remembered, because
    Ctrl-C may come between the making of a thing and the memory of it.
    """
    spec = reservation.spec
    if not project.registry.holds(reservation):
        return
    _attempt(lambda: _remove_remains(project, spec))
    _attempt(lambda: project.registry.release(reservation))


def _remove_remains(project: Project, spec: Spec) -> None:
    """Remove the instance and the image of a version that is not published."""
    for instance in project.runtime.list(project.name):
        is_remains = (
            instance.name == spec.name
            and instance.version == spec.version
            and instance.registry == project.registry_id
        )
        if is_remains:
            project.runtime.stop(instance.id, grace=0.0)
    project.runtime.remove_artifact(spec, registry=project.registry_id)


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
