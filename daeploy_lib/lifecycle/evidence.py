"""Which of the stored evidence speaks about the versions as they are now."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import attrs

from daeploy_lib.domain.spec import Spec
from daeploy_lib.evidence.gate import Gate
from daeploy_lib.evidence.store import Stored, read
from daeploy_lib.evidence.totals import Totals
from daeploy_lib.evidence.verdict import Verdict
from daeploy_lib.lifecycle.listing import find_record
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.registry.records import State, VersionRecord


@attrs.frozen
class Evidence:
    """
    What is known of a service's shadows beside its main.

    Attributes:
        name: The service.
        main: The version that is main.
        began: When it became main (aware, UTC).
        since: By shadow: seconds since 1970 from which on evidence counts. Before
            that the version, or main, was another one.
        controls: Shadows that run what main runs.
        seen: All that was stored, of other pairings too.
        unreadable: How many stored files could not be read.
    """

    name: str
    main: str
    began: datetime
    since: Mapping[str, float]
    controls: frozenset[str]
    seen: tuple[Stored, ...] = ()
    unreadable: int = 0

    def totals(self, *shadows: str) -> Totals:
        """Return what counts of these shadows, together."""
        merged = Totals()
        for one in self.seen:
            is_ours = (one.name, one.main) == (self.name, self.main)
            if not is_ours or one.shadow not in shadows:
                continue
            if one.since >= self.since.get(one.shadow, float("inf")):
                merged = merged.merged(one.totals)
        return merged

    def judge(self, gate: Gate, shadow: str) -> Verdict:
        """Return whether a shadow may become main; its own noise excuses nothing."""
        return gate.judge(self.totals(shadow), self._noise(shadow))

    def judge_main(self, gate: Gate, shadow: str) -> Verdict:
        """Return what the gate says of main, as if the shadow had been main."""
        return gate.judge(self.totals(shadow).swapped(), self._noise(shadow))

    def _noise(self, judged: str) -> Totals | None:
        others = self.controls - {judged}
        return self.totals(*others) if others else None


def evidence_of(project: Project, name: str) -> Evidence:
    """
    Return what all processes have seen of a service's present versions.

    Raises:
        ServiceNotFoundError: If no version of the name is deployed.
        VersionNotFoundError: If it has no main yet.
        StateError: If the state directory cannot be used.
    """
    # Versions and history of one moment, and both before the evidence: what was
    # seen under an older main is then never counted for a newer one.
    history = project.registry.history(name)
    while True:
        records = project.registry.versions()
        main = find_record(records, name, None)
        before, history = history, project.registry.history(name)
        if history == before:
            break
    latest = history[-1]
    shadows = [
        record
        for record in records
        if record.name == name and record.state is State.deployed and not record.is_main
    ]
    reading = read(project.state, project.name)
    began = max(latest.at, main.created_at)
    return Evidence(
        name,
        main.version,
        began,
        {s.version: max(began, s.created_at).timestamp() for s in shadows},
        frozenset(s.version for s in shadows if _is_alike(s, main)),
        tuple(reading.stored),
        reading.unreadable,
    )


def _is_alike(one: VersionRecord, main: VersionRecord) -> bool:
    """
    Return whether a version runs what main runs, as far as it can be told.

    Content alone does not say it: one image may be started with other words. The
    values of environment variables are not kept; only their names are compared.
    """
    digest = main.deployed.source_digest
    is_same = bool(digest) and one.deployed.source_digest == digest
    return is_same and _start(one.spec) == _start(main.spec)


def _start(spec: Spec | None) -> Sequence[object]:
    """Return what, beside the content, decides how a version answers."""
    return [] if spec is None else [spec.command, spec.mounts, set(spec.environment)]
