"""Main's share of the processors, and the shadows' smaller one."""

import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from daeploy_lib.errors import DeployError
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.registry.records import State, VersionRecord
from daeploy_lib.runtimes.base import Runtime

_log = logging.getLogger(__name__)

_AT_ONCE = 4

_T = TypeVar("_T")


def share_processors(project: Project, name: str) -> None:
    """
    Have the instances' shares follow the registry's roles.

    Repeated until main has not moved meanwhile, so that of several processes
    that assign at once the last one leaves the shares as the registry says.
    Shares matter under contention only: a failure is logged, not raised.
    """
    main = None
    while True:
        records = [
            record
            for record in project.registry.versions()
            if record.name == name and record.state is State.deployed
        ]
        before, main = main, _main_of(records)
        if main is None or main == before:
            return
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            _set_shares(pool, project.runtime, records)


def share_while(
    change: Callable[[], _T], project: Project, records: Sequence[VersionRecord]
) -> _T:
    """
    Change main, and set the shares for it meanwhile; return what that returned.

    An engine takes as long for a share as a disk for some ten commits. When the
    change is refused, or another process was faster, the shares follow the
    registry once more.

    Args:
        change: Changes main in the registry.
        project: Where the versions are.
        records: Those whose role changes, as they are after it.
    """
    [name] = {record.name for record in records}
    main = _main_of(records)
    is_done = False
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            _set_shares(pool, project.runtime, records)
            changed = change()
        is_done = project.registry.main(name) == main
    finally:
        if not is_done:
            share_processors(project, name)
    return changed


def _main_of(records: Collection[VersionRecord]) -> str | None:
    return next((record.version for record in records if record.is_main), None)


def _set_shares(
    pool: ThreadPoolExecutor, runtime: Runtime, records: Collection[VersionRecord]
) -> None:
    """Begin to set the shares; the pool's end waits for it."""
    for record in records:
        pool.submit(_set_share, runtime, record)


def _set_share(runtime: Runtime, record: VersionRecord) -> None:
    try:
        runtime.set_share(record.deployed.instance, is_main=record.is_main)
    except DeployError as error:
        _log.warning("Processor shares do not follow the roles: %s", error)
    except Exception:  # noqa: BLE001 - a pool would tell nobody
        _log.exception("Processor shares do not follow the roles")
