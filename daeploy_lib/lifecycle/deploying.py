"""Deploy: reserve, build, start, wait until ready, publish. All or nothing."""

import contextlib
import logging
from collections.abc import Iterator

import attrs

from daeploy_lib import interruption
from daeploy_lib.domain.service import Service
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import (
    DaeployError,
    NotReadyError,
    RuntimeUnavailableError,
    StartError,
    VersionExistsError,
)
from daeploy_lib.lifecycle.adoption import deployed_of
from daeploy_lib.lifecycle.listing import find_record, service_of
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.lifecycle.shares import share_processors
from daeploy_lib.lifecycle.undoing import remove_remains, undo
from daeploy_lib.registry.registry import Reservation
from daeploy_lib.runtimes.base import Artifact, BuildInput, Event, OnEvent
from daeploy_lib.runtimes.readiness import wait_ready
from daeploy_lib.sources.image import Image

_log = logging.getLogger(__name__)


def deploy(
    project: Project, spec: Spec, source: BuildInput | Image, on_event: OnEvent
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
    deployment = _Deployment(project, Reservation.of(spec), source, unfailing(on_event))
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
        source: What it is built from, or an image as it is.
        report: Takes its events.
        is_reserved: Whether the reservation is known to have been made.
        is_built: Whether an image is known to have been made.
    """

    project: Project
    reservation: Reservation
    source: BuildInput | Image
    report: OnEvent
    is_reserved: bool = False
    is_built: bool = False

    def run(self) -> Service:
        """Go through all stages; return what was deployed."""
        project, spec = self.project, self.reservation.spec
        runtime, registry_id = project.runtime, project.registry_id
        is_reclaimed = self._reserve()
        self.is_reserved = True
        if is_reclaimed:
            remove_remains(project, spec)
        interruption.check()
        artifact = self._artifact()
        self.is_built = True
        with _hinting(artifact):
            interruption.check()
            self.report(Event("start", "Starting"))
            instance = runtime.start(spec, artifact, registry=registry_id)
            path = spec.readiness.path
            self.report(Event("ready", f"Waiting for an answer on {path}"))
            interruption.check()
            ready = wait_ready(runtime, instance, spec)
        runtime.settle(ready)
        interruption.check()
        is_main = project.registry.publish(self.reservation, deployed_of(ready))
        if is_main:
            # It was started with a shadow's share.
            share_processors(project, spec.name)
        self.report(Event("done", "Service deployed successfully"))
        record = find_record(project.registry.versions(), spec.name, spec.version)
        return service_of(project, record, ready)

    def _reserve(self) -> bool:
        """Reserve the version; say of a taken one whether it is this content."""
        project, spec = self.project, self.reservation.spec
        try:
            return project.registry.reserve(self.reservation)
        except VersionExistsError as error:
            # What another process has under way has no digest yet.
            if not error.owner:
                with contextlib.suppress(DaeployError):
                    records = project.registry.versions()
                    known = find_record(records, spec.name, spec.version).deployed
                    error.reason += _compared(self.source, known.source_digest)
            raise

    def _artifact(self) -> Artifact:
        """Return what is started: built, or an image as it is."""
        project, spec, source = self.project, self.reservation.spec, self.source
        runtime = project.runtime
        if isinstance(source, Image):
            self.report(Event("source", f"Looking for the image {source.shown}"))
            return runtime.fetch(spec, source, self.report)
        self.report(Event("build", f"Building on {runtime.description}"))
        return runtime.build(spec, source, self.report, registry=project.registry_id)

    def undo(self, error: BaseException) -> None:
        """Remove what was made, and give the version back."""
        # What asked the deployment to end does not ask the undoing.
        with interruption.under(None):
            undo(
                self.project,
                self.reservation,
                was_made=self.is_reserved,
                # An engine that hangs would be waited for a second time.
                is_empty=isinstance(error, RuntimeUnavailableError)
                and not self.is_built,
            )


def _compared(source: BuildInput | Image, known: str) -> str:
    """Return whether a source is what is known of a version, in words."""
    digest = source.digest
    if not (digest and known):
        return ""
    return f", from {'the same' if digest == known else 'other'} content"


@contextlib.contextmanager
def _hinting(artifact: Artifact) -> Iterator[None]:
    """Add what the artifact gives as likely reasons to why it does not run."""
    try:
        yield
    except (StartError, NotReadyError) as error:
        error.message = " ".join((error.message, *artifact.hints))
        raise


def unfailing(on_event: OnEvent) -> OnEvent:
    """Return *on_event* so that its failure cannot fail the deployment."""

    def report(event: Event) -> None:
        try:
            on_event(event)
        except Exception:  # noqa: BLE001 - the caller's hook may raise anything
            _log.warning("on_event failed for %s", event, exc_info=True)

    return report
