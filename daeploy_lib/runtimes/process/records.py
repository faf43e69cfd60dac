"""What is written down of an instance, read as the runtime's view of it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from daeploy_lib.domain.encoding import spec_from_json, spec_to_json
from daeploy_lib.domain.service import Status
from daeploy_lib.domain.spec import Spec
from daeploy_lib.registry.owner import Owner
from daeploy_lib.runtimes.base import Artifact, Instance
from daeploy_lib.runtimes.process import folders

HOST = "127.0.0.1"


def _numbers(found: Iterable[int]) -> tuple[int, ...]:
    return tuple(found)  # in JSON they are a list


@attrs.frozen
class Record:
    """
    What does not change of an instance.

    Attributes:
        id: Name of its directory.
        project, name, version, registry: What it was started for.
        created_at: Seconds since 1970.
        port: Where it listens.
        spec: JSON text, without environment values.
        image: Id of the build that it runs.
        source_digest, source_origin: Of that.
        processors: Numbers of those that it may use; none: all.
        supervisor: Who stands by it, as ``Owner`` writes itself; "" until it does.
    """

    id: str
    project: str
    name: str
    version: str
    registry: str
    created_at: float
    port: int
    spec: str
    image: str
    source_digest: str
    source_origin: str
    processors: tuple[int, ...] = attrs.field(default=(), converter=_numbers)
    supervisor: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        spec: Spec,
        artifact: Artifact,
        registry: str,
        *,
        port: int,
        processors: tuple[int, ...],
    ) -> "Record":
        """Return the record of what is about to be started."""
        return cls(
            name,
            spec.project,
            spec.name,
            spec.version,
            registry,
            datetime.now(UTC).timestamp(),
            port,
            spec_to_json(spec),
            artifact.image,
            artifact.source_digest,
            artifact.source_origin,
            processors,
        )

    @property
    def owner(self) -> Owner | None:
        """Who stands by it."""
        return Owner.from_json(self.supervisor) if self.supervisor else None

    @property
    def is_attended(self) -> bool:
        """Whether the one who stands by it lives: this one, not a later process."""
        owner = self.owner
        return owner is not None and owner.is_alive()

    def keep(self, folder: Path) -> None:
        """Write it down."""
        folders.write(folder / folders.INSTANCE, attrs.asdict(self))


def record_in(folder: Path) -> Record | None:
    """Return what is written down in an instance's directory; None if it is not."""
    fields = folders.read(folder / folders.INSTANCE)
    try:
        return None if fields is None else Record(**fields)
    except TypeError:
        return None


def instance_in(folder: Path) -> Instance | None:
    """Return the runtime's view of an instance; None if it is gone."""
    record = record_in(folder)
    if record is None:
        return None
    state = folders.read(folder / folders.STATE) or {}
    started_at = state.get("started_at")
    status = _status(record, state)
    has_ended = status in (Status.exited, Status.restarting)
    return Instance(
        project=record.project,
        name=record.name,
        version=record.version,
        registry=record.registry,
        id=record.id,
        status=status,
        started_at=None if started_at is None else _time(started_at),
        created_at=_time(record.created_at),
        port=record.port,
        endpoints=(f"http://{HOST}:{record.port}",),
        image=record.image,
        source_digest=record.source_digest,
        source_origin=record.source_origin,
        spec=_spec(record.spec),
        exit_code=state.get("exit_code") if has_ended else None,
        oom_killed=bool(state.get("oom_killed")) and has_ended,
        has_settled=(folder / folders.SETTLED).exists(),
        has_main_share=(folder / folders.MAIN_SHARE).exists(),
    )


def _status(record: Record, state: Mapping[str, Any]) -> Status:
    word = state.get("status")
    if word == "exited":
        return Status.exited
    if not record.is_attended:
        # Nobody stands by it, so that it has ended too; also after a reboot.
        return Status.exited if record.supervisor else Status.unknown
    return Status.restarting if word == "restarting" else Status.running


def _spec(text: str) -> Spec | None:
    try:
        return spec_from_json(text)
    except ValueError:
        return None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
