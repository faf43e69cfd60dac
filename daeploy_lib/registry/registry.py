"""
The rules of the domain, each as one transaction over the registry's file.

Every method either returns with its change committed and acknowledged, or
raises with nothing changed. Safe to call from any thread and process.
"""

import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from daeploy_lib.domain.encoding import spec_to_json
from daeploy_lib.domain.service import Assignment
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import (
    MainProtectedError,
    ServiceNotFoundError,
    StaleAssignError,
    VersionExistsError,
    VersionNotFoundError,
)
from daeploy_lib.registry.database import Database
from daeploy_lib.registry.owner import Owner
from daeploy_lib.registry.records import (
    Adopted,
    Deployed,
    State,
    VersionRecord,
    from_timestamp,
    not_deployed,
)
from daeploy_lib.registry.rows import (
    Change,
    insert_adopted,
    main_of,
    point_main,
    record_deployed,
    select_versions,
)
from daeploy_lib.registry.segments import (
    check_segments,
    free_segments,
    take_segments,
)


@attrs.frozen
class Reservation:
    """
    The right to deploy one name and version, until it is published or released.

    Attributes:
        spec: What is being deployed.
        token: Tells this reservation from any other of the same version.
    """

    spec: Spec
    token: str

    @classmethod
    def of(cls, spec: Spec) -> "Reservation":
        """Return a reservation that ``Registry.reserve`` has yet to make."""
        return cls(spec, secrets.token_hex(8))


@attrs.frozen
class _Read:
    """All versions, as they are for as long as the file keeps its signature."""

    signature: tuple[int, ...]
    records: tuple[VersionRecord, ...]


class Registry:
    """
    The versions of one project.

    Args:
        state: The state directory.
        project: The project.
        clock: Seconds since the epoch, for what is recorded.
    """

    def __init__(
        self, state: Path, project: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = Database(state)
        self._project = project
        self._clock = clock
        self._read: _Read | None = None

    def prepare(self) -> bool:
        """Make or check the file; return whether it is another one than before."""
        return self._database.prepare()

    # ------------------------------------------------------------- reading

    def versions(self) -> tuple[VersionRecord, ...]:
        """Return all: names alphabetical, versions in order of deployment."""
        signature, read = self._database.signature(), self._read
        if read is not None and read.signature == signature:
            return read.records
        with self._database.reading() as connection:
            records = select_versions(connection, self._project)
        self._read = None if signature is None else _Read(signature, records)
        return records

    def main(self, name: str) -> str | None:
        """Return the version that is main; None without one."""
        with self._database.reading() as connection:
            return main_of(connection, self._project, name)

    def history(self, name: str) -> tuple[Assignment, ...]:
        """
        Return every change of main of a service, oldest first.

        Raises:
            ServiceNotFoundError: If the name never had a main.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM history WHERE project = ? AND name = ? ORDER BY id",
                (self._project, name),
            ).fetchall()
            if not rows:
                _of_name(select_versions(connection, self._project), name)
        return tuple(
            Assignment(
                name=row["name"],
                version=row["version"],
                previous=row["previous"],
                at=from_timestamp(row["at"]),
                forced=bool(row["forced"]),
                verdict=row["verdict"],
            )
            for row in rows
        )

    # ----------------------------------------------------------- deploying

    def reserve(self, reservation: Reservation) -> bool:
        """
        Take a name and version; of N callers at once exactly one succeeds.

        Returns:
            Whether it was taken over from a process that has died, which may
            have left something behind.

        Raises:
            VersionExistsError: If it is deployed, or being deployed or removed.
            RouteConflictError: If a route of it belongs to another service.
        """
        spec = reservation.spec
        with self._database.writing() as connection:
            check_segments(connection, spec)
            is_reclaimed = _reclaim(connection, spec)
            connection.execute(
                "INSERT INTO versions (project, name, version, state, owner, token,"
                " created_at, spec) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self._project,
                    spec.name,
                    spec.version,
                    State.reserved,
                    Owner.current().to_json(),
                    reservation.token,
                    self._clock(),
                    spec_to_json(spec),
                ),
            )
            take_segments(connection, self._project, spec.name, spec.version)
        return is_reclaimed

    def check_free(self, spec: Spec) -> None:
        """
        Refuse a version that ``reserve`` would refuse now; take nothing.

        Raises:
            VersionExistsError, RouteConflictError: As ``reserve``.
        """
        with self._database.reading() as connection:
            check_segments(connection, spec)
            _check_taken(connection, spec)

    def state_of(self, reservation: Reservation) -> State | None:
        """
        Return how far a reservation has come: reserved, or published.

        None if it has not been made, was given back, or belongs to nobody any
        more because the version was killed or the file was lost.
        """
        spec = reservation.spec
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT state FROM versions WHERE project = ?"
                " AND name = ? AND version = ? AND token = ?",
                (self._project, spec.name, spec.version, reservation.token),
            ).fetchone()
        return None if row is None else State(row["state"])

    def publish(self, reservation: Reservation, deployed: Deployed) -> bool:
        """
        Make a reserved version visible; return whether it became main.

        It becomes main if its name has none, which of N first deploys at once
        holds for exactly one.

        Raises:
            VersionNotFoundError: If the reservation was lost meanwhile.
        """
        spec = reservation.spec
        with self._database.writing() as connection:
            changed = connection.execute(
                "UPDATE versions SET state = ?,"
                " place = (SELECT max(place) + 1 FROM versions)"
                " WHERE project = ? AND name = ? AND version = ? AND token = ?",
                (
                    State.deployed,
                    self._project,
                    spec.name,
                    spec.version,
                    reservation.token,
                ),
            )
            if changed.rowcount != 1:
                raise VersionNotFoundError(
                    spec.name, spec.version, reason="lost its reservation meanwhile"
                )
            record_deployed(
                connection, self._project, spec.name, spec.version, deployed
            )
            if main_of(connection, self._project, spec.name) is not None:
                return False
            self._point(connection, Change(spec.name, spec.version))
            return True

    def release(self, reservation: Reservation) -> None:
        """Give a reservation back; one that is lost or published is left."""
        spec = reservation.spec
        with self._database.writing() as connection:
            found = connection.execute(
                "DELETE FROM versions WHERE project = ? AND name = ?"
                " AND version = ? AND token = ? AND state = ?",
                (
                    self._project,
                    spec.name,
                    spec.version,
                    reservation.token,
                    State.reserved,
                ),
            )
            if found.rowcount:
                free_segments(connection, self._project, spec.name, spec.version)

    # ------------------------------------------------------------ adopting

    def is_adopted(self) -> bool:
        """Return whether this registry knows what runs of its project."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT EXISTS (SELECT 1 FROM adoptions WHERE project = ?)",
                (self._project,),
            ).fetchone()
        return bool(row[0])

    def adopt(self, found: Sequence[Adopted]) -> None:
        """
        Take up what runs, once, after the registry was lost or is new.

        Of several processes that do so at once the first one's word stands.
        """
        with self._database.writing() as connection:
            fresh = connection.execute(
                "INSERT OR IGNORE INTO adoptions (project) VALUES (?)",
                (self._project,),
            )
            if not fresh.rowcount:
                return
            known = {
                (record.name, record.version)
                for record in select_versions(connection, self._project)
            }
            for lost in found:
                if (lost.name, lost.version) not in known:
                    insert_adopted(connection, self._project, lost)
                    take_segments(connection, self._project, lost.name, lost.version)
            for lost in found:
                has_main = main_of(connection, self._project, lost.name) is not None
                if lost.is_main and not has_main:
                    self._point(connection, Change(lost.name, lost.version))

    # ----------------------------------------------------------- assigning

    def assign(
        self,
        name: str,
        version: str,
        *,
        expected: str | None = None,
        forced: bool = False,
        verdict: str | None = None,
    ) -> str | None:
        """
        Make a deployed version main; return the version that was it before.

        Assigning main itself changes nothing and returns that version.

        Raises:
            ServiceNotFoundError, VersionNotFoundError: If it is not deployed.
            StaleAssignError: If main is not the *expected* version.
        """
        with self._database.writing() as connection:
            records = _of_name(select_versions(connection, self._project), name)
            _check_deployed(records, name, version)
            current = main_of(connection, self._project, name)
            if expected is not None and current != expected:
                raise StaleAssignError(name, version, expected, current)
            if current != version:
                change = Change(name, version, current, forced, verdict)
                self._point(connection, change)
            return current

    # ------------------------------------------------------------- killing

    def retire(self, name: str, version: str) -> VersionRecord:
        """
        Unroute a version that is to be removed; return what it was.

        A repeat, after the first attempt was cut short, returns it again.

        Raises:
            ServiceNotFoundError, VersionNotFoundError: If it is not deployed,
                or still being deployed by a living process.
            MainProtectedError: If it is main and has shadows.
        """
        with self._database.writing() as connection:
            records = _of_name(select_versions(connection, self._project), name)
            record = _find(records, name, version)
            if record.state is State.reserved and record.owner.is_alive():
                raise not_deployed(record, _known(records))
            shadows = [
                r.version
                for r in records
                if r.state is State.deployed and r.version != version
            ]
            if record.is_main and shadows:
                raise MainProtectedError(name, version, tuple(shadows))
            key = (self._project, name, version)
            connection.execute(
                "DELETE FROM mains WHERE project = ? AND name = ? AND version = ?", key
            )
            connection.execute(
                "UPDATE versions SET state = ?, owner = ?, token = ''"
                " WHERE project = ? AND name = ? AND version = ?",
                (State.leaving, Owner.current().to_json(), *key),
            )
        return record

    def forget(self, name: str, version: str) -> None:
        """Delete a retired version and its routes; unknown is no error."""
        with self._database.writing() as connection:
            found = connection.execute(
                "DELETE FROM versions WHERE project = ? AND name = ?"
                " AND version = ? AND state = ?",
                (self._project, name, version, State.leaving),
            )
            # Of two kills at once the slower one may find it deployed again.
            if found.rowcount:
                free_segments(connection, self._project, name, version)

    def _point(self, connection: sqlite3.Connection, change: Change) -> None:
        point_main(connection, self._project, change, self._clock())


def _reclaim(connection: sqlite3.Connection, spec: Spec) -> bool:
    """Delete the reservation of a dead process; refuse any other row."""
    is_left = _check_taken(connection, spec)
    if is_left:
        connection.execute(
            "DELETE FROM versions WHERE project = ? AND name = ? AND version = ?",
            (spec.project, spec.name, spec.version),
        )
    return is_left


def _check_taken(connection: sqlite3.Connection, spec: Spec) -> bool:
    """Refuse a version that is taken; return whether a dead process reserved it."""
    row = connection.execute(
        "SELECT state, owner FROM versions"
        " WHERE project = ? AND name = ? AND version = ?",
        (spec.project, spec.name, spec.version),
    ).fetchone()
    if row is None:
        return False
    if row["state"] == State.deployed:
        raise VersionExistsError(spec.name, spec.version)
    owner = Owner.from_json(row["owner"])
    if owner.is_alive():
        verb = "deployed" if row["state"] == State.reserved else "removed"
        reason = f"is being {verb}"
        raise VersionExistsError(spec.name, spec.version, reason, str(owner))
    return True


def _of_name(records: Sequence[VersionRecord], name: str) -> tuple[VersionRecord, ...]:
    found = tuple(r for r in records if r.name == name)
    if not found:
        raise ServiceNotFoundError(name, tuple(dict.fromkeys(r.name for r in records)))
    return found


def _find(records: Sequence[VersionRecord], name: str, version: str) -> VersionRecord:
    for record in records:
        if record.version == version:
            return record
    raise VersionNotFoundError(name, version, _known(records))


def _check_deployed(records: Sequence[VersionRecord], name: str, version: str) -> None:
    record = _find(records, name, version)
    if record.state is not State.deployed:
        raise not_deployed(record, _known(records))


def _known(records: Sequence[VersionRecord]) -> tuple[str, ...]:
    return tuple(r.version for r in records if r.state is State.deployed)
