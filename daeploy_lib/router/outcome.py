"""What became of each copy: exactly one named outcome each, counted."""

import enum
from collections.abc import Callable, Mapping
from time import monotonic, time
from typing import NamedTuple, Protocol

from daeploy_lib.compare.answer import Answer
from daeploy_lib.evidence.latencies import Timing
from daeploy_lib.evidence.sample import Compared, Sample


class Outcome(enum.StrEnum):
    """
    How one (request, shadow) pair ended.

    Attributes:
        match: Both answered, and the answers agree.
        differ: Both answered, and the answers do not agree.
        shadow_error: The shadow broke off or sent what is no HTTP answer.
        timeout: The shadow was not done within its deadline.
        refused: The shadow accepted no connection, or no WebSocket.
        dropped_in_flight: Too many copies to this shadow were under way.
        dropped_bytes: The shadow took an upload too slowly; its copy was aborted.
        not_sampled: The policy's sample left the request out.
        excluded: The policy, or the mark of a copy, keeps the request from it.
        not_ready: The version was not ready, or has failed too often to be asked now.
        main_failed: Main gave no complete answer, or did not want the whole
            request; the copy was not sent or was aborted.
        client_gone: The client left before the end; so did the copy.
        incomparable: Both answered; whether they agree was not looked at.
    """

    match = "match"
    differ = "differ"
    shadow_error = "shadow_error"
    timeout = "timeout"
    refused = "refused"
    dropped_in_flight = "dropped_in_flight"
    dropped_bytes = "dropped_bytes"
    not_sampled = "not_sampled"
    excluded = "excluded"
    not_ready = "not_ready"
    main_failed = "main_failed"
    client_gone = "client_gone"
    incomparable = "incomparable"


class Observation(NamedTuple):
    """
    What one version answered in one exchange.

    Attributes:
        version: Which.
        status: Of its answer.
        body_bytes: Length of the body that was read.
        elapsed_s: From when it was asked to the end of the answer.
        is_whole: Whether all of the answer was read.
        first_byte_s: From when it was asked to the answer's first byte.
        answer: To compare; None if nothing is compared.
    """

    version: str
    status: int
    body_bytes: int
    elapsed_s: float
    is_whole: bool = True
    first_byte_s: float = 0.0
    answer: Answer | None = None

    @property
    def timing(self) -> Timing:
        """How long it took."""
        return Timing(self.first_byte_s, self.elapsed_s)


class Pairing(Protocol):
    """Takes the evidence of one main and one shadow."""

    def add_compared(self, one: Compared) -> None:
        """Take how most requests end; costs less than ``add``."""
        ...

    def add(self, sample: Sample) -> None:
        """Take what was seen of one request; costs next to nothing."""
        ...

    def wants_fields(self, size: int) -> bool:
        """Return whether fields of two answers of a size are to be collected."""
        ...

    def wants_example(self, fingerprint: str) -> bool:
        """Return whether a pair with this shape of differences is to be kept."""
        ...


class Asked(NamedTuple):
    """
    What all versions were asked.

    Attributes:
        name: Of the service.
        method: Of the request.
        path: Raw, below the service's segment, without query.
        query: Raw, without its question mark.
        lines: Header lines as every version got them.
        body: First bytes of the body.
        body_bytes: Length of the body.
    """

    name: str
    method: bytes
    path: bytes
    query: bytes
    lines: bytes
    body: bytes
    body_bytes: int


class Pair(NamedTuple):
    """
    One request, main's answer and a shadow's.

    Attributes:
        asked: What both were asked.
        main: What main answered.
        shadow: What the shadow answered.
        pairing: Takes the evidence; None if none is kept.
        may_be_kept: Whether it may become an example.
    """

    asked: Asked
    main: Observation
    shadow: Observation
    pairing: Pairing | None = None
    may_be_kept: bool = True


def missed(outcome: Outcome, main: Observation | None) -> Sample:
    """
    Return what is known of a request that was not compared.

    Args:
        outcome: How its copy ended.
        main: What main answered, if that is known.
    """
    return Sample(
        outcome,
        time(),
        main_status=None if main is None else main.status,
        main=None if main is None else main.timing,
    )


Settle = Callable[[Outcome], bool]
"""Takes the outcome of a pair; returns whether it had none before."""

Judge = Callable[[Pair, Settle], None]
"""Calls with the outcome of the pair, once: at once, or later from the same loop."""


def not_compared(pair: Pair, settle: Settle) -> None:
    """Judge nothing."""
    del pair
    settle(Outcome.incomparable)


_MAX_FAILURES = 500
_MAX_COSTLY_FAILURES = 100
_FAILURES_PER_SECOND = 50


class VersionTally:
    """
    Counts of one version as a shadow.

    A copy that fails costs more than one that is answered: its connection, and
    what was read of it. A shadow of which nothing else comes is asked 50 times a
    second, after 100 failures of which something was read, or 500 of others; the
    first answer ends that.

    Attributes:
        requests: Requests of the service that this shadow could have got.
        in_flight: Copies under way.
        messages: It sent over WebSockets; all were thrown away.
        failures_left: So many copies may fail, those under way among them.
        is_failing: Whether the last copy that ended had failed.
    """

    __slots__ = (
        *("_outcomes", "_rested_at", "failures_left", "in_flight", "is_failing"),
        *("messages", "requests"),
    )

    def __init__(self) -> None:
        self.failures_left = _MAX_FAILURES
        self.is_failing = False
        self._rested_at = monotonic()
        self.requests = 0
        self.in_flight = 0
        self.messages = 0
        self._outcomes: dict[Outcome, int] = dict.fromkeys(Outcome, 0)

    def fail(self, *, is_costly: bool) -> None:
        """Note that a copy has failed, after bytes of an answer if it was costly."""
        most = _MAX_COSTLY_FAILURES if is_costly else _MAX_FAILURES
        self.failures_left = min(self.failures_left, most) - 1
        self.is_failing = True

    def rests(self) -> bool:
        """Return whether it shall not be asked now, once so many are under way."""
        now = monotonic()
        allowed = int((now - self._rested_at) * _FAILURES_PER_SECOND)
        if allowed:
            self._rested_at = now
            # Never again as many at once: they would hold main up.
            left = max(self.failures_left, 0) + allowed
            self.failures_left = min(left, _FAILURES_PER_SECOND)
        return self.is_failing and self.failures_left <= self.in_flight

    def count(self, outcome: Outcome) -> None:
        """Count how one pair ended."""
        self._outcomes[outcome] += 1

    @property
    def outcomes(self) -> Mapping[str, int]:
        """How often each outcome was seen; those never seen are left out."""
        return {str(name): n for name, n in self._outcomes.items() if n}


class Tally:
    """
    Counts of one router in this process.

    Attributes:
        held: Bytes that copies hold until their shadows take them.
        in_flight: Exchanges under way.
        relayed: Answers of main that reached the client whole.
        broken: Answers of main that broke off after they had begun.
        client_gone: Exchanges that the client left.
    """

    def __init__(self) -> None:
        self.held = 0
        self.in_flight = 0
        self.relayed = 0
        self.broken = 0
        self.client_gone = 0
        self._refused: dict[int, int] = {}
        self._mirrored: dict[str, int] = {}
        self._safe: dict[str, int] = {}
        self._versions: dict[tuple[str, str], VersionTally] = {}
        self._again: dict[tuple[str, str], VersionTally] = {}

    def refuse(self, status: int) -> None:
        """Count an answer that the router gave by itself."""
        self._refused[status] = self._refused.get(status, 0) + 1

    def place_in_sample(self, name: str) -> int:
        """Return how many requests of the service were considered before."""
        place = self._mirrored.get(name, 0)
        self._mirrored[name] = place + 1
        return place

    def place_in_noise(self, name: str) -> int:
        """Return how many safe requests of the service were copied before."""
        place = self._safe.get(name, 0)
        self._safe[name] = place + 1
        return place

    def version(self, name: str, version: str) -> VersionTally:
        """Return the counts of one shadow."""
        key = (name, version)
        tally = self._versions.get(key)
        if tally is None:
            tally = self._versions[key] = VersionTally()
        return tally

    def again(self, name: str, main: str) -> VersionTally:
        """Return the counts of what a main was asked twice."""
        return self._again.setdefault((name, main), VersionTally())

    def as_mapping(self) -> Mapping[str, object]:
        """Return everything as plain values."""
        return {
            "in_flight": self.in_flight,
            "held_bytes": self.held,
            "relayed": self.relayed,
            "broken": self.broken,
            "client_gone": self.client_gone,
            "refused": dict(self._refused),
            "shadows": _by_name(self._versions),
            "noise": _by_name(self._again),
        }


def _by_name(
    tallies: Mapping[tuple[str, str], VersionTally],
) -> dict[str, dict[str, object]]:
    """Return the counts of those that could have got any request."""
    named: dict[str, dict[str, object]] = {}
    for (name, version), tally in tallies.items():
        if not tally.requests:
            continue  # as a shadow: it has been main ever since
        named.setdefault(name, {})[version] = {
            "requests": tally.requests,
            "in_flight": tally.in_flight,
            "messages": tally.messages,
            "outcomes": tally.outcomes,
        }
    return named
