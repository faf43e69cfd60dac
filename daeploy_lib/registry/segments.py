"""
The route segments ``name`` and ``name_version``, unique within a project.

A name may hold what looks like another name with a version ("hello_1" beside
version "1" of "hello"), so both kinds share one table with one key.
"""

import sqlite3

from daeploy_lib.domain.names import version_segment
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import RouteConflictError


def check_segments(connection: sqlite3.Connection, spec: Spec) -> None:
    """
    Refuse a version whose routes belong to another service.

    Raises:
        RouteConflictError: With the segment and its holder.
    """
    wanted = {
        spec.name: (spec.name, None),
        version_segment(spec.name, spec.version): (spec.name, spec.version),
    }
    for segment, holder in wanted.items():
        row = connection.execute(
            "SELECT name, version FROM segments WHERE project = ? AND segment = ?",
            (spec.project, segment),
        ).fetchone()
        if row is not None and (row["name"], row["version"]) != holder:
            taken_by = f"service {row['name']}"
            if row["version"] is not None:
                taken_by = f"version {row['version']} of {taken_by}"
            raise RouteConflictError(spec.name, spec.version, segment, taken_by)


def take_segments(
    connection: sqlite3.Connection, project: str, name: str, version: str
) -> None:
    """Hold both segments of a version."""
    connection.executemany(
        "INSERT OR IGNORE INTO segments (project, segment, name, version)"
        " VALUES (?, ?, ?, ?)",
        (
            (project, name, name, None),
            (project, version_segment(name, version), name, version),
        ),
    )


def free_segments(
    connection: sqlite3.Connection, project: str, name: str, version: str
) -> None:
    """Free a deleted version's segment, and the name's with its last version."""
    connection.execute(
        "DELETE FROM segments WHERE project = ? AND name = ? AND version = ?",
        (project, name, version),
    )
    connection.execute(
        "DELETE FROM segments WHERE project = ? AND name = ? AND version IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM versions WHERE project = ? AND name = ?)",
        (project, name, project, name),
    )
