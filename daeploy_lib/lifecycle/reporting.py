"""The report of a service, from the evidence about it."""

from daeploy_lib.lifecycle.evidence import Evidence
from daeploy_lib.show.report import Report


def report_of(evidence: Evidence) -> Report:
    """Return what the evidence says of every shadow."""
    return Report(
        evidence.name,
        evidence.main,
        evidence.began,
        tuple(evidence.summary(shadow) for shadow in evidence.since),
        evidence.unreadable,
        evidence.problem,
    )
