"""
The contract of a runtime, as a suite that any runtime can be held to.

Plain assertions with messages: it needs no test framework. ``CHECKS`` are the
single checks, for a framework that runs one at a time inside ``checking()``.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping

from daeploy_lib.runtimes.base import BuildInput, Runtime
from daeploy_lib.runtimes.contract import building, ending, running
from daeploy_lib.runtimes.contract.case import EXIT_CODE, EXIT_LINE, KINDS, Contract

__all__ = [
    "CHECKS",
    "EXIT_CODE",
    "EXIT_LINE",
    "KINDS",
    "Contract",
    "check_runtime",
    "checking",
]

CHECKS: tuple[Callable[[Contract], None], ...] = (
    building.check_description,
    building.check_build,
    building.check_build_of_two_versions,
    building.check_fetch,
    building.check_failed_build,
    running.check_start,
    running.check_list,
    running.check_versions_side_by_side,
    running.check_inspect,
    running.check_settle_and_share,
    running.check_exit_at_once,
    running.check_never_ready,
    running.check_logs,
    running.check_following_logs,
    ending.check_stop,
    ending.check_again_after_stop,
    ending.check_remains_make_way,
    ending.check_other_registry_is_left_alone,
    ending.check_leftovers,
)


def check_runtime(
    make_runtime: Callable[[], Runtime],
    sources: Mapping[str, BuildInput],
    *,
    project: str = "contract",
) -> None:
    """
    Hold a runtime to the contract; what it made is removed again.

    Args:
        make_runtime: Makes the runtime; called once for each check.
        sources: A source for each of ``KINDS``; see ``Contract``.
        project: A project that nothing else uses.

    Raises:
        AssertionError: With what was expected, at the first breach.
    """
    for check in CHECKS:
        with checking(make_runtime, sources, project) as contract:
            check(contract)


@contextlib.contextmanager
def checking(
    make_runtime: Callable[[], Runtime],
    sources: Mapping[str, BuildInput],
    project: str,
) -> Iterator[Contract]:
    """Give what one check needs, and clean up after it."""
    contract = Contract(make_runtime(), sources, project)
    try:
        yield contract
    finally:
        contract.empty()
        contract.runtime.close()
