"""The rows of versions and mains: single steps inside a transaction."""

import json
import sqlite3

import attrs

from daeploy_lib.registry.owner import Owner
from daeploy_lib.registry.records import Adopted, Deployed, State, VersionRecord

_VERSIONS = """
SELECT v.name, v.version, v.state, m.version IS NOT NULL, v.owner, v.created_at,
    v.spec, v.instance, v.started_at, v.port, v.endpoints, v.image, v.is_built,
    v.source_digest, v.source_origin
FROM versions AS v LEFT JOIN mains AS m USING (project, name, version)
WHERE v.project = ?
ORDER BY v.name, v.place
"""


@attrs.frozen
class Change:
    """One change of main: see ``domain.service.Assignment``."""

    name: str
    version: str
    previous: str | None = None
    forced: bool = False
    verdict: str | None = None


def select_versions(
    connection: sqlite3.Connection, project: str
) -> tuple[VersionRecord, ...]:
    """Return all versions of a project, in the order of listings."""
    rows = connection.execute(_VERSIONS, (project,))
    return tuple(VersionRecord.from_row(*row) for row in rows)


def main_of(connection: sqlite3.Connection, project: str, name: str) -> str | None:
    """Return the version that main points to."""
    row = connection.execute(
        "SELECT version FROM mains WHERE project = ? AND name = ?", (project, name)
    ).fetchone()
    return None if row is None else str(row["version"])


def point_main(
    connection: sqlite3.Connection, project: str, change: Change, at: float
) -> None:
    """Point main to a version and keep that in the history."""
    connection.execute(
        "INSERT INTO mains (project, name, version) VALUES (?, ?, ?)"
        " ON CONFLICT (project, name) DO UPDATE SET version = excluded.version",
        (project, change.name, change.version),
    )
    connection.execute(
        "INSERT INTO history (project, name, version, previous, at, forced, verdict)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            project,
            change.name,
            change.version,
            change.previous,
            at,
            change.forced,
            change.verdict,
        ),
    )


def insert_adopted(
    connection: sqlite3.Connection, project: str, adopted: Adopted
) -> None:
    """Add a version that runs already."""
    connection.execute(
        "INSERT INTO versions (project, name, version, state, owner, token,"
        " created_at, spec) VALUES (?, ?, ?, ?, ?, '', ?, ?)",
        (
            project,
            adopted.name,
            adopted.version,
            State.deployed,
            Owner.current().to_json(),
            adopted.created_at.timestamp(),
            adopted.spec_json,
        ),
    )
    record_deployed(
        connection, project, adopted.name, adopted.version, adopted.deployed
    )


def record_deployed(
    connection: sqlite3.Connection,
    project: str,
    name: str,
    version: str,
    deployed: Deployed,
) -> None:
    """Keep what runs of a version."""
    started_at = deployed.started_at
    connection.execute(
        "UPDATE versions SET instance = ?, started_at = ?, port = ?,"
        " endpoints = ?, image = ?, is_built = ?, source_digest = ?,"
        " source_origin = ?"
        " WHERE project = ? AND name = ? AND version = ?",
        (
            deployed.instance,
            None if started_at is None else started_at.timestamp(),
            deployed.port,
            json.dumps(deployed.endpoints),
            deployed.image,
            deployed.is_built,
            deployed.source_digest,
            deployed.source_origin,
            project,
            name,
            version,
        ),
    )
