"""Main's share of the processors, and the shadows' smaller one."""

import logging
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from daeploy_lib.errors import DeployError
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.registry.records import State, VersionRecord
from daeploy_lib.runtimes.base import Runtime

_log = logging.getLogger(__name__)

_AT_ONCE = 4


def share_processors(
    project: Project, name: str, versions: Collection[str] | None = None
) -> None:
    """
    Have the instances' shares follow the registry's roles.

    Repeated until main has not moved meanwhile, so that of several processes
    that assign at once the last one leaves the shares as the registry says.
    Shares matter under contention only: a failure is logged, not raised.

    Args:
        project: Where they are.
        name: The service.
        versions: Those whose role has changed; None: look at all.
    """
    before: str | None = None
    while True:
        records = [
            record
            for record in project.registry.versions()
            if record.name == name and record.state is State.deployed
        ]
        main = next((r.version for r in records if r.is_main), None)
        if main is None or main == before:
            return
        if versions is not None and before is None:
            records = [record for record in records if record.version in versions]
        # An engine takes some 15 ms for each, and takes several at once.
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            pool.map(partial(_set_share, project.runtime), records)
        before = main


def _set_share(runtime: Runtime, record: VersionRecord) -> None:
    try:
        runtime.set_share(record.deployed.instance, is_main=record.is_main)
    except DeployError as error:
        _log.warning("Processor shares do not follow the roles: %s", error)
