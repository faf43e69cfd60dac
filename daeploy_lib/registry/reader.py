"""
Routes for readers: one immutable snapshot, noticed anew in microseconds.

A reader must learn of a commit that has been acknowledged, at once, without
taking a lock for each request. Two ``stat`` calls tell it:

- the size of the commits file, to which every writer appends one byte after
  its commit and before it returns. If that has grown, there is something that
  must be read before the next request is routed;
- inode and time of the database, for a writer that was killed between its
  commit and its byte, and for a file that was deleted and made again. If
  those differ, there may be something to read. A file's time moves in ticks,
  so it says nothing before its tick is over.

While a writer holds SQLite's exclusive lock nothing can be read. For the second
kind of change the old snapshot is then still the right one; for the first, the
caller waits a moment off the event loop's back and asks again.

SQLite's locks belong to the process and are dropped when *any* descriptor of
the file is closed, so this module only ever opens the database through SQLite.

Source:
    https://sqlite.org/howtocorrupt.html, section 2.2.
"""

import os
import sqlite3
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import attrs
import orjson

from daeploy_lib.domain.route import Route
from daeploy_lib.registry.database import is_locked
from daeploy_lib.registry.inflight import InFlight
from daeploy_lib.registry.state import COMMITS, DATABASE, mark_key

_ROUTES = """
SELECT v.name, v.version, v.endpoints, m.version IS NOT NULL AS is_main, v.created_at,
    (SELECT MAX(h.id) FROM history AS h WHERE (h.project, h.name) = (v.project, v.name))
FROM versions AS v LEFT JOIN mains AS m USING (project, name, version)
WHERE v.project = ? AND v.state = 'deployed'
ORDER BY v.name, v.place
"""
# The kernel's clock for files moves every 10 ms at most (HZ=100), and lags as
# much behind the other; nanoseconds.
_TICK_NS = 20_000_000
_UNSETTLED = (0, 0, 0)
_IS_KNOWN = "SELECT EXISTS (SELECT 1 FROM adoptions WHERE project = ?)"


# Name, version, endpoints, whether it is main, since when, the latest assignment.
_Row = tuple[str, str, str, bool, float, int | None]


@attrs.frozen
class _Marks:
    """What tells that the registry has changed since."""

    acknowledged: int
    database: tuple[int, int, int]


class RegistryReader:
    """
    The routes of one project, for a router.

    It is the registry's reader only: it holds no engine and changes nothing.
    Use it from one thread.

    Args:
        state: The state directory; it need not exist yet.
        project: The project.
    """

    def __init__(self, state: Path, project: str) -> None:
        self._path = state.absolute() / DATABASE
        self._commits_name = os.fspath(self._path.with_name(COMMITS))
        self._database_name = os.fspath(self._path)
        self.state = self._path.parent
        """The state directory."""
        self.project = project
        """The project in it."""
        self._seen: _Marks | None = None
        self._connection: sqlite3.Connection | None = None
        self._closing: weakref.finalize[..., RegistryReader] | None = None
        self._inode: tuple[int, int] | None = None
        self._pid = 0
        self._rows: list[_Row] = []
        self._in_flight = InFlight(state)
        self.last: Mapping[str, Route] = MappingProxyType({})
        self.key = mark_key(self._path.parent)
        """What copies are marked with, the same in every router's process."""

    def poll(self) -> Mapping[str, Route] | None:
        """
        Return the current routes by service, the same object until they change.

        None means that a change has been acknowledged but is locked for a
        moment: wait a millisecond and ask again. A registry that has vanished
        or cannot be read leaves the last routes in force.
        """
        # Path.stat costs twice as much.
        try:
            acknowledged = os.stat(self._commits_name).st_size  # noqa: PTH116
        except OSError:
            # Deleted, or the disk was too full for it: the time must do.
            acknowledged = -1
        try:
            found = os.stat(self._database_name)  # noqa: PTH116
        except OSError:
            return self.last
        database = (found.st_dev, found.st_ino, found.st_mtime_ns)
        seen = self._seen
        if (
            seen is not None
            and seen.acknowledged == acknowledged
            and seen.database == database
        ):
            return self.last
        return self._notice(_Marks(acknowledged, database))

    def _notice(self, marks: _Marks) -> Mapping[str, Route] | None:
        try:
            self._load(marks)
        except sqlite3.OperationalError as error:
            self._disconnect()
            seen = self._seen
            is_due = seen is None or seen.acknowledged != marks.acknowledged
            # What is not a lock may last: traffic goes on meanwhile.
            return None if is_due and is_locked(error) else self.last
        except (sqlite3.DatabaseError, LookupError, TypeError, ValueError):
            # Damaged: the Deployer reports it, traffic goes on.
            self._disconnect()
        is_settled = abs(time.time_ns() - marks.database[2]) > _TICK_NS
        self._seen = marks if is_settled else _Marks(marks.acknowledged, _UNSETTLED)
        return self.last

    def _load(self, marks: _Marks) -> None:
        connection = self._connected(marks)
        connection.execute("BEGIN")
        try:
            is_known = connection.execute(_IS_KNOWN, (self.project,)).fetchone()[0]
            # A file that was lost and made anew is empty until the services
            # that run have been adopted; they are served meanwhile.
            if is_known:
                rows = connection.execute(_ROUTES, (self.project,)).fetchall()
                if rows != self._rows:
                    self.last = MappingProxyType(_routes(rows))
                    self._rows = rows
        finally:
            connection.rollback()

    def _connected(self, marks: _Marks) -> sqlite3.Connection:
        # SQLite's connections must not be carried across a fork.
        key = (marks.database[:2], os.getpid())
        if self._connection is None or (self._inode, self._pid) != key:
            self._disconnect()
            self._connection = sqlite3.connect(
                # Not mode=ro: after a crash in a commit, the first who opens
                # the file rolls that back, and a reader may be the first.
                f"{self._path.as_uri()}?mode=rw",
                uri=True,
                timeout=0,
                isolation_level=None,
                check_same_thread=False,
            )
            # Who drops a router without closing it still closes the file.
            self._closing = weakref.finalize(self, self._connection.close)
            self._closing.atexit = False
            self._connection.execute("PRAGMA query_only = ON")
            self._inode, self._pid = key
        return self._connection

    def _disconnect(self) -> None:
        self._connection = None
        if self._closing is not None:
            self._closing()  # once

    def enter(self, name: str, version: str) -> int:
        """Count a request to a version as in flight; return its slot."""
        return self._in_flight.enter(f"{self.project}\0{name}\0{version}")

    def leave(self, slot: int) -> None:
        """Count the request of that slot as ended."""
        self._in_flight.leave(slot)

    def close(self) -> None:
        """Free the file; ``poll`` opens it again."""
        self._disconnect()
        self._seen = None
        self._in_flight.close()


def _routes(rows: list[_Row]) -> dict[str, Route]:
    addresses: dict[str, dict[str, str]] = {}
    eras: dict[str, dict[str, object]] = {}
    mains: dict[str, str] = {}
    for name, version, endpoints, is_main, created_at, assignment in rows:
        found = orjson.loads(endpoints)
        if found:
            addresses.setdefault(name, {})[version] = found[0]
            eras.setdefault(name, {})[version] = created_at, assignment
            if is_main:
                mains[name] = version
    return {
        name: Route(versions, main=mains.get(name), eras=eras[name])
        for name, versions in addresses.items()
    }
