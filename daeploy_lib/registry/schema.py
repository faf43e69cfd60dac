"""The tables of the registry, and the way to them from those of older libraries."""

import sqlite3

# "daep": tells our file from any other SQLite file.
APPLICATION_ID = 0x64616570
SCHEMA_VERSION = 2

_SCHEMA = """
CREATE TABLE versions (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'deployed', 'leaving')),
    owner TEXT NOT NULL,
    token TEXT NOT NULL,
    created_at REAL NOT NULL,
    spec TEXT NOT NULL,
    instance TEXT NOT NULL DEFAULT '',
    started_at REAL,
    port INTEGER,
    endpoints TEXT NOT NULL DEFAULT '[]',
    image TEXT NOT NULL DEFAULT '',
    is_built INTEGER NOT NULL DEFAULT 1,
    source_digest TEXT NOT NULL DEFAULT '',
    source_origin TEXT NOT NULL DEFAULT '',
    UNIQUE (project, name, version)
);
-- The route segments `name` and `name_version`, unique per project. Those of a
-- name (version is NULL) go with its last version.
CREATE TABLE segments (
    project TEXT NOT NULL,
    segment TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT,
    PRIMARY KEY (project, segment)
);
-- Main is one pointer for each name: two mains cannot be written.
CREATE TABLE mains (
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (project, name),
    FOREIGN KEY (project, name, version)
        REFERENCES versions (project, name, version)
);
CREATE TABLE history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    previous TEXT,
    at REAL NOT NULL,
    forced INTEGER NOT NULL DEFAULT 0,
    verdict TEXT
);
-- Projects whose running instances have been looked for once. A project that
-- is missing here is not known to be empty: its file was lost or is new.
CREATE TABLE adoptions (project TEXT PRIMARY KEY);
-- Tells this file from one that is made in its place: inodes are used again.
CREATE TABLE origin (id TEXT NOT NULL);
INSERT INTO origin (id) VALUES (hex(randomblob(16)));
CREATE INDEX history_by_name ON history (project, name, id);
"""

# What brings a file from each schema to the next one. Only ever added to.
_MIGRATIONS = {
    1: "ALTER TABLE versions ADD COLUMN source_origin TEXT NOT NULL DEFAULT ''",
}


def make_schema(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty file, inside the transaction that is under way."""
    for statement in _SCHEMA.split(";\n"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring the tables from an older schema to ours, inside that transaction."""
    for step in range(version, SCHEMA_VERSION):
        connection.execute(_MIGRATIONS[step])
    if version != SCHEMA_VERSION:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
