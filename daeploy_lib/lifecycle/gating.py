"""Assign with a gate: judged before anything is changed, and on what is then true."""

import json

from daeploy_lib.domain.service import Service
from daeploy_lib.errors import GateNotPassedError, StaleAssignError
from daeploy_lib.evidence.gate import Gate
from daeploy_lib.evidence.verdict import Verdict
from daeploy_lib.lifecycle.assigning import assign
from daeploy_lib.lifecycle.evidence import evidence_of
from daeploy_lib.lifecycle.listing import find_record
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.registry.records import State, not_deployed


def check_gate(gate: object) -> None:
    """
    Refuse what is no gate.

    Raises:
        TypeError: If it is none.
    """
    if not isinstance(gate, Gate):
        raise TypeError(
            f"gate must be a Gate, such as Gate(agreement=0.99), not {gate!r}."
        )


def assign_gated(
    project: Project,
    name: str,
    version: str,
    gate: Gate,
    *,
    expected: str | None = None,
    force: bool = False,
) -> Service:
    """
    Make a version main if the gate passes; assigning main itself changes nothing.

    The verdict holds against the main that it was given for: when another process
    assigns meanwhile, the version is judged again, beside the new main.

    Raises:
        GateNotPassedError: If it fails or is inconclusive; nothing was changed.
        ServiceNotFoundError, VersionNotFoundError: If it is not deployed.
        NotReadyError: If it does not answer right now.
        StaleAssignError: If main is not the *expected* version.
    """
    while True:
        main = _main_beside(project, name, version)
        if expected not in (None, main):
            raise StaleAssignError(name, version, str(expected), main)
        if main == version:
            return assign(project, name, version, expected=expected)
        evidence = evidence_of(project, name)
        if evidence.main != main:
            continue
        verdict = evidence.judge(gate, version)
        if not (verdict.is_pass or force):
            raise GateNotPassedError(name, version, verdict)
        try:
            return assign(
                project,
                name,
                version,
                expected=main,
                forced=not verdict.is_pass,
                verdict=verdict_to_json(verdict),
            )
        except StaleAssignError:
            # Every round is another process's success, so that this ends.
            if expected is not None:
                raise


def verdict_to_json(verdict: Verdict, **more: object) -> str:
    """Return a verdict as the history keeps it."""
    return json.dumps(verdict.to_dict() | more, separators=(",", ":"))


def _main_beside(project: Project, name: str, version: str) -> str:
    """
    Return which version is main, beside one that can be judged.

    Raises:
        ServiceNotFoundError, VersionNotFoundError: If one of them is not deployed.
    """
    records = project.registry.versions()
    record = find_record(records, name, version)
    if record.state is not State.deployed:
        raise not_deployed(record)
    return find_record(records, name, None).version
