"""
The protocol of whatever keeps versions running.

A runtime builds, starts, stops, lists and reads logs. It is synchronous,
keeps no state of its own, and obeys the contract suite ``check_runtime()``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import attrs

from daeploy_lib.domain.service import Leftover, LogLine, Status
from daeploy_lib.domain.spec import Spec
from daeploy_lib.sources.image import Image


@attrs.frozen
class Event:
    """
    One step of a deployment, as it happens.

    Attributes:
        stage: ``source``, ``build``, ``start``, ``ready`` or ``done``.
        text: One line for people, without its end.
        step: Which step of the build this is, from 1; None if not known.
        steps: How many there are; None if not known.
    """

    stage: str
    text: str
    step: int | None = None
    steps: int | None = None


OnEvent = Callable[[Event], object]


@attrs.frozen
class Artifact:
    """
    Something that can be started.

    Attributes:
        image: The runtime's id of it: an image ID for Docker.
        source_digest: Digest of the content that it was made from.
        is_built: Whether we made it, so that we may remove it.
        source_origin: Where the content came from, for people.
        hints: What may keep it from answering; told when it does not.
    """

    image: str
    source_digest: str
    is_built: bool = True
    source_origin: str = ""
    hints: tuple[str, ...] = ()


@attrs.frozen
class Instance:
    """
    One running thing, as the runtime sees it.

    Attributes:
        project, name, version: What it was started for, from its labels.
        registry: Id of the registry that it belongs to.
        id: The runtime's id of it.
        status: What it does right now.
        started_at: When it last started (aware, UTC); None if the listing does
            not tell.
        created_at: When it was created (aware, UTC).
        port: Its pinned port on the host, if it has one.
        endpoints: Base addresses it is reached at.
        image: Id of what it was started from.
        source_digest: Digest of the content behind that.
        source_origin: Where the content came from, for people.
        is_built: Whether we made the image.
        spec: What was asked for, without environment values; None if the
            labels cannot be read.
        exit_code: Of the process, once it has ended.
        oom_killed: Whether the kernel ended it for want of memory.
        has_settled: Whether it was ready once (see ``Runtime.settle``).
        has_main_share: Whether it runs with main's share of the processors.
        uptime: The runtime's own words for how long it has been as it is, such
            as ``Up 3 minutes``; see ``runtimes.uptime``. "" if it has none.
    """

    project: str
    name: str
    version: str
    registry: str
    id: str
    status: Status
    started_at: datetime | None = None
    created_at: datetime | None = None
    port: int | None = None
    endpoints: tuple[str, ...] = ()
    image: str = ""
    source_digest: str = ""
    source_origin: str = ""
    is_built: bool = True
    spec: Spec | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    has_settled: bool = False
    has_main_share: bool = False
    uptime: str = ""


class BuildInput(Protocol):
    """A vetted build context: what ``sources`` gives and runtimes take."""

    @property
    def digest(self) -> str:
        """``sha256:…`` over the content: equal content, equal digest."""
        ...

    @property
    def origin(self) -> str:
        """Where the content came from, for people; it holds no secret."""
        ...

    @property
    def has_dockerfile(self) -> bool:
        """Whether the content says itself how it is built."""
        ...

    def read(self, path: str) -> bytes | None:
        """Return the content of a small file; None if it is not there."""
        ...

    def write_tar(
        self, add: Mapping[str, bytes], *, under: str = ""
    ) -> Iterator[bytes]:
        """Yield the context as a tar; *add* at its top, the content *under* it."""
        ...


class Runtime(Protocol):
    """
    What keeps versions running.

    Every method may raise ``RuntimeUnavailableError``; within five seconds if
    nothing answers. Instances are told apart by project, name and version, and
    nothing without our labels and the given project is ever touched.
    """

    @property
    def description(self) -> str:
        """The endpoint in use, for people; contacts nothing."""
        ...

    def build(
        self, spec: Spec, source: BuildInput, on_event: OnEvent, *, registry: str
    ) -> Artifact:
        """
        Make an artifact; on any failure, Ctrl-C included, leave nothing behind.

        It is marked as belonging to *registry*, so that ``leftovers`` of another
        one never names it.

        Raises:
            BuildError: With the builder's last lines of output.
        """
        ...

    def fetch(self, spec: Spec, image: Image, on_event: OnEvent) -> Artifact:
        """
        Return an image that exists; it is pulled if it has to be.

        It is not ours: ``is_built`` is false, and nothing here removes it. On
        Ctrl-C the pull ends.

        Raises:
            SourceError: If it cannot be had, or the runtime runs no images.
        """
        ...

    def start(self, spec: Spec, artifact: Artifact, *, registry: str) -> Instance:
        """
        Start one instance with a shadow's share and no restart policy.

        On failure nothing of it is left.

        Raises:
            StartError: If it cannot be created or started.
        """
        ...

    def settle(self, instance: Instance) -> None:
        """Have the instance, which is ready now, come back after a crash."""
        ...

    def set_share(self, instance_id: str, *, is_main: bool) -> None:
        """Give an instance main's or a shadow's share of the processors."""
        ...

    def inspect(self, instance_id: str) -> Instance | None:
        """Return one instance with all that is known of it; None if it is gone."""
        ...

    def details(self, instance_id: str) -> Mapping[str, object]:
        """Return the runtime's own view of an instance, environment redacted."""
        ...

    def list(self, project: str) -> Sequence[Instance]:
        """Return every instance of a project, in one call to the engine."""
        ...

    def stop(self, instance_id: str, *, grace: float) -> None:
        """Ask to end, wait *grace* seconds, end, and remove. Gone is no error."""
        ...

    def remove_artifact(self, spec: Spec, *, registry: str) -> None:
        """
        Remove what ``build`` made for a project, name and version of a registry.

        Whatever else uses it keeps it; gone is no error.
        """
        ...

    def logs(
        self,
        instance_id: str,
        *,
        tail: int | None,
        follow: bool,
        since: datetime | None,
    ) -> Iterator[LogLine]:
        """Yield lines of output, oldest first; closing the iterator frees all."""
        ...

    def leftovers(
        self, project: str, registry: str, known: Sequence[tuple[str, str]]
    ) -> Sequence[Leftover]:
        """Return what belongs to *registry* and none of the *known* versions."""
        ...

    def remove_leftover(self, leftover: Leftover) -> None:
        """Remove one of ``leftovers``; gone is no error."""
        ...

    def close(self) -> None:
        """Free the connections; instances go on."""
        ...
