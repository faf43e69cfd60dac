"""Which of the stored evidence speaks about the versions as they are now."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs

from daeploy_lib.domain.route import Route
from daeploy_lib.errors import VersionNotFoundError
from daeploy_lib.evidence.examples import Examples
from daeploy_lib.evidence.gate import Gate
from daeploy_lib.evidence.store import Stored, read
from daeploy_lib.evidence.summary import ShadowSummary, summarise
from daeploy_lib.evidence.totals import Totals
from daeploy_lib.evidence.verdict import Verdict
from daeploy_lib.lifecycle.listing import find_record
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.registry.records import State, VersionRecord
from daeploy_lib.registry.registry import Registry


@attrs.frozen
class Evidence:
    """
    What is known of a service's shadows beside its main.

    Attributes:
        name: The service.
        main: The version that is main.
        began: When it became main (aware, UTC); None if that is not known.
        since: By shadow: seconds since 1970 from which on evidence counts. Before
            that the version, or main, was another one.
        controls: Shadows that run what main runs.
        seen: All that was stored, of other pairings too.
        unreadable: How many stored files could not be read.
        problem: What hinders the recording; "" if nothing does.
        main_since: Seconds since 1970 from which on main's own differences, where it
            was asked twice, count.
    """

    name: str
    main: str
    began: datetime | None
    since: Mapping[str, float]
    controls: frozenset[str]
    seen: tuple[Stored, ...] = ()
    unreadable: int = 0
    problem: str = ""
    main_since: float = math.inf

    def totals(self, *shadows: str) -> Totals:
        """Return what counts of these shadows, together."""
        merged = Totals()
        for one in self._counted(*shadows):
            merged = merged.merged(one.totals)
        return merged

    def summary(self, shadow: str) -> ShadowSummary:
        """Return what the evidence says of a shadow."""
        found = (example for one in self._counted(shadow) for example in one.examples)
        return summarise(
            shadow,
            self.totals(shadow),
            control=self._noise(shadow),
            is_control=shadow in self.controls,
            examples=Examples(found),
        )

    def judge(self, gate: Gate, shadow: str) -> Verdict:
        """Return whether a shadow may become main; its own noise excuses nothing."""
        return gate.judge(self.totals(shadow), self._noise(shadow))

    def judge_main(self, gate: Gate, shadow: str) -> Verdict:
        """Return what the gate says of main, as if the shadow had been main."""
        return gate.judge(self.totals(shadow).swapped(), self._noise(shadow))

    def _counted(self, *shadows: str) -> Iterator[Stored]:
        since = {**self.since, self.main: self.main_since}
        for one in self.seen:
            is_ours = (one.name, one.main) == (self.name, self.main)
            if not is_ours or one.shadow not in shadows:
                continue
            if one.since >= since.get(one.shadow, math.inf):
                yield one

    def _noise(self, judged: str) -> Totals | None:
        """Return what is known of main and itself: controls, and main asked twice."""
        others = self.controls - {judged}
        if any(self._counted(self.main)):
            others |= {self.main}
        return self.totals(*others) if others else None


@attrs.frozen
class Place:
    """
    Where a project keeps what is known of it.

    Attributes:
        name: The project.
        state: The state directory.
        registry: Which versions there are.
    """

    name: str
    state: Path
    registry: Registry


def evidence_of(place: Place | Project, name: str) -> Evidence:
    """
    Return what all processes have seen of a service's present versions.

    Args:
        place: Where it is kept.
        name: The service.

    Raises:
        ServiceNotFoundError: If no version of the name is deployed.
        VersionNotFoundError: If it has no main yet.
        StateError: If the state directory cannot be used.
    """
    # Versions and history of one moment, and both before the evidence: what was
    # seen under an older main is then never counted for a newer one.
    history = place.registry.history(name)
    while True:
        records = place.registry.versions()
        main = find_record(records, name, None)
        before, history = history, place.registry.history(name)
        if history == before:
            break
    latest = history[-1]
    shadows = [
        record
        for record in records
        if record.name == name and record.state is State.deployed and not record.is_main
    ]
    reading = read(place.state, place.name)
    began = max(latest.at, main.created_at)
    return Evidence(
        name,
        main.version,
        began,
        {s.version: max(began, s.created_at).timestamp() for s in shadows},
        frozenset(s.version for s in shadows if _is_alike(s, main)),
        tuple(reading.stored),
        reading.unreadable,
        main_since=began.timestamp(),
    )


def evidence_of_route(name: str, route: Route, seen: Sequence[Stored]) -> Evidence:
    """
    Return what one router has seen of the present versions of a static route.

    The latest pairing of main and a shadow counts: it began when the one became main,
    or either got another address.

    Args:
        name: The service.
        route: Its versions.
        seen: By that router.

    Raises:
        VersionNotFoundError: If none of them is main.
    """
    if route.main is None:
        known = tuple(route.addresses)
        raise VersionNotFoundError(name, "main", known, "is not named by its route")
    since = dict.fromkeys(route.shadows, 0.0)
    ours = [one for one in seen if one.main == route.main]
    for one in ours:
        if one.shadow in since:
            since[one.shadow] = max(since[one.shadow], one.since)
    began = min((one.since for one in ours), default=None)
    at = None if began is None else datetime.fromtimestamp(began, UTC)
    main_since = max((one.since for one in ours if one.shadow == one.main), default=0.0)
    return Evidence(
        *(name, route.main, at, since, frozenset(), tuple(seen)), main_since=main_since
    )


def _is_alike(one: VersionRecord, main: VersionRecord) -> bool:
    """
    Return whether a version certainly runs what main runs.

    Content alone does not say it: one image may be started with other words, or with
    other values of environment variables. Values are not kept, so that a version
    with an environment is never a control: what is wrongly taken for one would
    excuse the differences of the others.
    """
    digest = main.deployed.source_digest
    specs = one.spec, main.spec
    if not digest or one.deployed.source_digest != digest or None in specs:
        return False
    if any(spec.environment for spec in specs if spec):
        return False
    starts = [(spec.command, spec.mounts) for spec in specs if spec]
    return starts[0] == starts[1]
