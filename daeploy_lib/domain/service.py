"""One version of a service, as the user sees it."""

import enum
from datetime import datetime

import attrs


class Status(enum.StrEnum):
    """What a version does right now."""

    running = "running"
    restarting = "restarting"
    exited = "exited"
    missing = "missing"
    unknown = "unknown"
    deploying = "deploying"


@attrs.frozen
class Service:
    """
    One version of a service.

    Attributes:
        project: The set of services that it belongs to.
        name: The name that clients call.
        version: This variant of it.
        is_main: Whether clients get its answers.
        status: What it does right now.
        started_at: When it last started (aware, UTC); None if not known.
        created_at: When it was deployed (aware, UTC).
        port: The pinned port on the host; None where there is none.
        endpoints: Base addresses, such as ``http://127.0.0.1:17001``.
        image: What it was started from: the image's ID.
        source_digest: Digest of the content that it was deployed from.
        source_origin: Where that came from, for people: a path, an address with its
            commit, an image with its digest.
    """

    project: str
    name: str
    version: str
    is_main: bool = False
    status: Status = Status.unknown
    started_at: datetime | None = None
    created_at: datetime | None = None
    port: int | None = None
    endpoints: tuple[str, ...] = ()
    image: str = ""
    source_digest: str = ""
    source_origin: str = ""


@attrs.frozen
class Assignment:
    """
    One change of main, as kept in the history.

    Attributes:
        name: The service.
        version: The version that became main.
        previous: The version that was main before; None for a first deploy.
        at: When (aware, UTC).
        forced: Whether a gate was overruled.
        verdict: What the gate said, when one was asked.
    """

    name: str
    version: str
    previous: str | None
    at: datetime
    forced: bool = False
    verdict: str | None = None


@attrs.frozen
class LogLine:
    """
    One line of a version's output.

    Attributes:
        at: When it was written (aware, UTC); None if the runtime can't tell.
        stream: ``stdout`` or ``stderr``.
        text: The line without its end; invalid UTF-8 is replaced.
    """

    at: datetime | None
    stream: str
    text: str

    def __str__(self) -> str:
        return self.text


@attrs.frozen
class Leftover:
    """
    Something of ours that no registered version needs any more.

    Attributes:
        kind: ``container``, ``image``, ``network`` or ``reservation``.
        id: The runtime's id of it, or the route segment of a reservation.
        name: What a person would call it.
        reason: Why it counts as left over.
    """

    kind: str
    id: str
    name: str
    reason: str
