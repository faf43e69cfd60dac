"""What the registry knows of one version, as a frozen value."""

import enum
import sqlite3
from datetime import UTC, datetime

import attrs
import orjson

from daeploy_lib.domain.encoding import spec_from_json
from daeploy_lib.domain.spec import Spec
from daeploy_lib.registry.owner import Owner


class State(enum.StrEnum):
    """How far a version has come; only deployed ones are routed."""

    reserved = "reserved"
    deployed = "deployed"
    leaving = "leaving"


@attrs.frozen
class Deployed:
    """
    What a runtime made of a spec, as far as the registry keeps it.

    Attributes:
        instance: The runtime's id of the instance.
        started_at: When it started (aware, UTC).
        port: Its pinned port on the host.
        endpoints: Base addresses it is reached at.
        image: Id of what it was started from.
        is_built: Whether we made that image.
        source_digest: Digest of the content behind it.
    """

    instance: str
    started_at: datetime | None = None
    port: int | None = None
    endpoints: tuple[str, ...] = ()
    image: str = ""
    is_built: bool = True
    source_digest: str = ""


@attrs.frozen
class Adopted:
    """
    A running version that the registry has lost, as its labels tell it.

    Attributes:
        name, version: Which one.
        is_main: Whether it is taken for main.
        created_at: When it was deployed (aware, UTC).
        spec_json: What was asked for; "" if that cannot be read.
        deployed: What runs of it.
    """

    name: str
    version: str
    is_main: bool
    created_at: datetime
    spec_json: str
    deployed: Deployed


@attrs.frozen
class VersionRecord:
    """
    One row: a version with its state, its reservation and what runs of it.

    Attributes:
        name, version: Which one.
        state: How far it has come.
        is_main: Whether main points to it.
        owner: The process that reserved it, or that is removing it.
        created_at: When it was reserved or adopted (aware, UTC).
        spec_json: What was asked for; see ``spec``.
        deployed: What runs of it; empty while it is only reserved.
    """

    name: str
    version: str
    state: State
    is_main: bool
    owner: Owner
    created_at: datetime
    spec_json: str
    deployed: Deployed

    @property
    def spec(self) -> Spec | None:
        """What was asked for, without environment values; None if unreadable."""
        try:
            return spec_from_json(self.spec_json)
        except ValueError:
            return None

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "VersionRecord":
        """Return the record of one row of the versions, joined with main."""
        return cls(
            name=row["name"],
            version=row["version"],
            state=State(row["state"]),
            is_main=bool(row["is_main"]),
            owner=Owner.from_json(row["owner"]),
            created_at=from_timestamp(row["created_at"]),
            spec_json=row["spec"],
            deployed=Deployed(
                instance=row["instance"],
                started_at=(
                    None
                    if row["started_at"] is None
                    else from_timestamp(row["started_at"])
                ),
                port=row["port"],
                endpoints=tuple(orjson.loads(row["endpoints"])),
                image=row["image"],
                is_built=bool(row["is_built"]),
                source_digest=row["source_digest"],
            ),
        )


def from_timestamp(seconds: float) -> datetime:
    """Return seconds since the epoch as an aware time."""
    return datetime.fromtimestamp(seconds, UTC)
