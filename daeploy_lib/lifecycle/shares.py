"""Main's share of the processors, and the shadows' smaller one."""

import logging

from daeploy_lib.errors import DeployError
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.registry.records import State

_log = logging.getLogger(__name__)


def share_processors(project: Project, name: str) -> None:
    """
    Have the instances' shares follow the registry's roles.

    Repeated until main has not moved meanwhile, so that of several processes
    that assign at once the last one leaves the shares as the registry says.
    Shares matter under contention only: a failure is logged, not raised.
    """
    before: str | None = None
    while True:
        records = [
            r
            for r in project.registry.versions()
            if r.name == name and r.state is State.deployed
        ]
        main = next((r.version for r in records if r.is_main), None)
        if main is None or main == before:
            return
        for record in records:
            try:
                project.runtime.set_share(
                    record.deployed.instance, is_main=record.is_main
                )
            except DeployError as error:
                _log.warning("Processor shares do not follow the roles: %s", error)
        before = main
