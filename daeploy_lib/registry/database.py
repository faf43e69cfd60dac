"""
The SQLite file: opened safely, its schema made or checked, errors mapped.

Rollback journal, always: SQLite's write-ahead log had a fault with several
connections until 3.51.3, and ``reader.py`` relies on the rollback journal's
locks. ``synchronous=EXTRA`` is FULL and also survives a power cut between the
deletion of the journal and the sync of its directory.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from daeploy_lib.errors import StateError
from daeploy_lib.registry.schema import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    make_schema,
    migrate,
)
from daeploy_lib.registry.state import COMMITS, DATABASE, prepare

# Seconds a writer waits for the others; each holds the lock for milliseconds.
_BUSY_TIMEOUT_S = 30.0
# Times of files move in ticks: those of the kernel's clock, 10 ms at most, or on
# some file systems, whose times are then round, 1 s (HFS+, ext3) or 2 s (FAT).
_TICK_NS = 100_000_000
_ROUND_NS = 10_000_000
_ROUND_TICK_NS = 2_500_000_000

# A newer library may upgrade the file while this one has it in use.
_ORIGIN = """
SELECT id, application_id, user_version
FROM origin, pragma_application_id, pragma_user_version
"""


class Database:
    """
    The registry's file.

    A connection lives for one transaction: that is safe across threads and
    forks, and costs well under a millisecond.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory.absolute() / DATABASE
        self._commits = self.path.with_name(COMMITS)
        self._checked: str | None = None
        self._unchanged: tuple[int, ...] | None = None

    def prepare(self) -> bool:
        """
        Make or check the file, unless that is done.

        Returns:
            Whether it is another file than at the last call: the first one, or
            one that was made after that was deleted.

        Raises:
            StateError: If it cannot be used, is damaged or newer; it is left
                as it is.
        """
        signature = self.signature()
        if signature is not None and signature == self._unchanged:
            return False
        if self._checked is not None and self._checked == self._origin():
            self._unchanged = signature
            return False
        prepare(self.path.parent)
        with self._errors():
            connection = self._connect(create=True)
            try:
                is_new = self._make_schema(connection)
                if is_new:
                    # Somebody else's empty file does as well.
                    with suppress(OSError):
                        self.path.chmod(0o600)
            finally:
                connection.close()
        self._unchanged = None
        self._checked = self._origin()
        if is_new:
            self._acknowledge()
        return True

    def signature(self) -> tuple[int, ...] | None:
        """
        Return what the file loses with any change; None if it might keep it.

        Taken before a read, it tells later whether that is still good. A file's
        times move in ticks: within one a second change, or another file in its
        place, can look like the first.
        """
        try:
            found = self.path.stat()
        except OSError:
            return None
        is_round = found.st_ctime_ns % _ROUND_NS == 0
        tick = _ROUND_TICK_NS if is_round else _TICK_NS
        if time.time_ns() - found.st_ctime_ns < tick:
            return None
        return found.st_dev, found.st_ino, found.st_ctime_ns

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside one consistent read."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """
        Give a connection inside the only write transaction of the machine.

        It commits at the end, and rolls back on any exception.
        """
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection
        self._acknowledge()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._errors():
            connection = self._connect()
            try:
                connection.execute(begin)
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.execute("COMMIT")
            finally:
                connection.close()

    def _connect(self, *, create: bool = False) -> sqlite3.Connection:
        mode = "rwc" if create else "rw"
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode={mode}",
            uri=True,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = EXTRA")
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_schema(self, connection: sqlite3.Connection) -> bool:
        """Make the tables in an empty file, or bring those of a used one up to date."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master")
            is_new = not (application or version or tables.fetchone()[0])
            if is_new:
                make_schema(connection)
            else:
                self._check(connection, application, version)
                migrate(connection, version)
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise
        return is_new

    def _check(
        self, connection: sqlite3.Connection, application: int, version: int
    ) -> None:
        if application != APPLICATION_ID:
            raise StateError(
                str(self.path),
                "This is an SQLite file of another program; it was left as it is. "
                "Name another state directory.",
            )
        if version > SCHEMA_VERSION:
            raise StateError(
                str(self.path),
                f"The registry has schema {version}, newer than {SCHEMA_VERSION} "
                f"which this library knows; it was left as it is. Update "
                f"daeploy-lib, or name another state directory.",
            )
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise self._damaged(found)

    def _origin(self) -> str | None:
        """Return which file this is, and whose; None if it cannot be used."""
        try:
            connection = self._connect()
            try:
                return str(tuple(connection.execute(_ORIGIN).fetchone()))
            finally:
                connection.close()
        except (sqlite3.DatabaseError, TypeError):
            return None

    def _acknowledge(self) -> None:
        """Tell readers that a commit is complete: see ``reader.py``."""
        try:
            # Appending is atomic between processes, and a size only grows.
            descriptor = os.open(
                self._commits, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600
            )
            try:
                os.write(descriptor, b".")
            finally:
                os.close(descriptor)
        except OSError:
            # The commit stands. Readers still notice it by the file's time.
            return

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Map SQLite's errors, at this one place."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise self._unusable(error) from error
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from error

    def _unusable(self, error: sqlite3.OperationalError) -> StateError:
        if is_locked(error):
            what = (
                f"Another process has held the registry for {_BUSY_TIMEOUT_S:.0f} s; "
                f"nothing was changed. End that process if it hangs, then try again."
            )
        else:
            what = (
                f"The registry cannot be used: {error}. Check that the file and "
                f"its directory can be written and that the disk has room."
            )
        return StateError(str(self.path), what)

    def _damaged(self, what: str) -> StateError:
        return StateError(
            str(self.path),
            f"The registry is damaged ({what}); it was left as it is. Move the file "
            f"away: everything that runs is then adopted again from its labels.",
        )


def is_locked(error: sqlite3.OperationalError) -> bool:
    """Return whether only another process's transaction is in the way."""
    # The low byte is the primary code; Python's own errors carry none.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return bool(code & 0xFF == sqlite3.SQLITE_BUSY)
