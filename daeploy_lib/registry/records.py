"""What the registry knows of one version, as a frozen value."""

import enum
from collections.abc import Sequence
from datetime import UTC, datetime

import attrs
import orjson

from daeploy_lib.domain.encoding import spec_from_json
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import VersionNotFoundError
from daeploy_lib.registry.owner import Owner


class State(enum.StrEnum):
    """How far a version has come; only deployed ones are routed."""

    reserved = "reserved"
    deployed = "deployed"
    leaving = "leaving"


# A listing makes many of them, and a look-up is faster than the enum's own.
_STATES = {str(state): state for state in State}


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
        source_origin: Where that came from, for people.
    """

    instance: str
    started_at: datetime | None = None
    port: int | None = None
    endpoints: tuple[str, ...] = ()
    image: str = ""
    is_built: bool = True
    source_digest: str = ""
    source_origin: str = ""


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
        owner_json: The process that reserved it, or that is removing it; see
            ``owner``.
        created_at: When it was reserved or adopted (aware, UTC).
        spec_json: What was asked for; see ``spec``.
        deployed: What runs of it; empty while it is only reserved.
    """

    name: str
    version: str
    state: State
    is_main: bool
    owner_json: str
    created_at: datetime
    spec_json: str
    deployed: Deployed

    @property
    def owner(self) -> Owner:
        """The process that reserved it, or that is removing it."""
        return Owner.from_json(self.owner_json)

    @property
    def spec(self) -> Spec | None:
        """What was asked for, without environment values; None if unreadable."""
        try:
            return spec_from_json(self.spec_json)
        except ValueError:
            return None

    @classmethod
    def from_row(  # noqa: PLR0917 - the columns, in their order
        cls,
        name: str,
        version: str,
        state: str,
        is_main: int,
        owner: str,
        created_at: float,
        spec: str,
        instance: str,
        started_at: float | None,
        port: int | None,
        endpoints: str,
        image: str,
        is_built: int,
        source_digest: str,
        source_origin: str,
    ) -> "VersionRecord":
        """Return the record of one row of the versions, joined with main."""
        deployed = Deployed(
            instance,
            None if started_at is None else from_timestamp(started_at),
            port,
            tuple(orjson.loads(endpoints)),
            image,
            bool(is_built),
            source_digest,
            source_origin,
        )
        return cls(
            name,
            version,
            _STATES[state],
            bool(is_main),
            owner,
            from_timestamp(created_at),
            spec,
            deployed,
        )


def from_timestamp(seconds: float) -> datetime:
    """Return seconds since the epoch as an aware time."""
    return datetime.fromtimestamp(seconds, UTC)


def not_deployed(
    record: VersionRecord, known: Sequence[str] = ()
) -> VersionNotFoundError:
    """
    Return the error for a version that is still being deployed or removed.

    Args:
        record: What is known of it.
        known: The versions of its name that are deployed.
    """
    verb = "deployed" if record.state is State.reserved else "removed"
    owner = str(record.owner)
    if record.owner.is_alive():
        reason = f"is still being {verb}"
    else:
        reason, owner = f"was being {verb} by {owner}, which has ended", ""
    return VersionNotFoundError(record.name, record.version, known, reason, owner)
