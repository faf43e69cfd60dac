"""Deploy: reserve, build, start, wait until ready, publish. All or nothing."""

import logging

import attrs

from daeploy_lib.domain.service import Service
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import RuntimeUnavailableError
from daeploy_lib.lifecycle.adoption import deployed_of
from daeploy_lib.lifecycle.listing import find_record, service_of
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.lifecycle.shares import share_processors
from daeploy_lib.lifecycle.undoing import remove_remains, undo
from daeploy_lib.registry.registry import Reservation
from daeploy_lib.runtimes.base import BuildInput, Event, OnEvent
from daeploy_lib.runtimes.readiness import wait_ready

_log = logging.getLogger(__name__)


def deploy(
    project: Project, spec: Spec, source: BuildInput, on_event: OnEvent
) -> Service:
    """
    Deploy one version and return it; it becomes main if its name has none.

    On any failure, Ctrl-C included, what was made is removed again and the
    version is free; main and routes are not touched.

    Raises:
        VersionExistsError, RouteConflictError: Before anything is built.
        ServiceNotFoundError, VersionNotFoundError: If it was killed before this
            returned, or the registry was lost meanwhile.
        DeployError: With the stage that failed.
    """
    deployment = _Deployment(
        project, Reservation.of(spec), source, _unfailing(on_event)
    )
    try:
        return deployment.run()
    except BaseException as error:
        deployment.undo(error)
        raise


@attrs.define
class _Deployment:
    """
    One deployment, under way.

    Attributes:
        project: Where it takes place.
        reservation: The right to deploy the version.
        source: What it is built from.
        report: Takes its events.
        is_reserved: Whether the reservation is known to have been made.
        is_built: Whether an image is known to have been made.
    """

    project: Project
    reservation: Reservation
    source: BuildInput
    report: OnEvent
    is_reserved: bool = False
    is_built: bool = False

    def run(self) -> Service:
        """Go through all stages; return what was deployed."""
        project, spec = self.project, self.reservation.spec
        runtime, registry_id = project.runtime, project.registry_id
        is_reclaimed = project.registry.reserve(self.reservation)
        self.is_reserved = True
        if is_reclaimed:
            remove_remains(project, spec)
        self.report(Event("build", f"Building on {runtime.description}"))
        artifact = runtime.build(spec, self.source, self.report, registry=registry_id)
        self.is_built = True
        self.report(Event("start", "Starting"))
        instance = runtime.start(spec, artifact, registry=registry_id)
        self.report(Event("ready", f"Waiting for an answer on {spec.readiness.path}"))
        ready = wait_ready(runtime, instance, spec)
        runtime.settle(ready)
        is_main = project.registry.publish(self.reservation, deployed_of(ready))
        if is_main:
            # It was started with a shadow's share.
            share_processors(project, spec.name)
        self.report(Event("done", "Service deployed successfully"))
        record = find_record(project.registry.versions(), spec.name, spec.version)
        return service_of(project, record, ready)

    def undo(self, error: BaseException) -> None:
        """Remove what was made, and give the version back."""
        undo(
            self.project,
            self.reservation,
            was_made=self.is_reserved,
            # An engine that hangs would be waited for a second time.
            is_empty=isinstance(error, RuntimeUnavailableError) and not self.is_built,
        )


def _unfailing(on_event: OnEvent) -> OnEvent:
    """Return *on_event* so that its failure cannot fail the deployment."""

    def report(event: Event) -> None:
        try:
            on_event(event)
        except Exception:  # noqa: BLE001 - the caller's hook may raise anything
            _log.warning("on_event failed for %s", event, exc_info=True)

    return report
