"""Following a new main, awaited."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from daeploy_lib.evidence.verdict import Verdict
from daeploy_lib.lifecycle.awaiting import carried_out, iterated
from daeploy_lib.lifecycle.watching import Watch


class AsyncWatch:
    """
    Follows a promotion; ``AsyncDeployer.watch`` makes it, and ``Watch`` says how.

    Iterating with ``async for`` yields each verdict as it is given, until it is over.
    Leaving the ``async with`` block ends it.

    Attributes:
        name: The service.
        version: The main that is watched.
        previous: The version that it would return to.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.name, self.version = watch.name, watch.version
        self.previous = watch.previous

    def __repr__(self) -> str:
        return repr(self._watch).replace("<Watch", "<AsyncWatch", 1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def __aiter__(self) -> AsyncIterator[Verdict]:
        return iterated(lambda: iter(self._watch))

    @property
    def verdict(self) -> Verdict | None:
        """What the gate said last; None before the first time."""
        return self._watch.verdict

    @property
    def rolled_back(self) -> bool:
        """Whether it has returned to the old main."""
        return self._watch.rolled_back

    @property
    def reason(self) -> str:
        """Why it is over, or what hinders it now; "" if nothing does."""
        return self._watch.reason

    @property
    def is_over(self) -> bool:
        """Whether it judges no more."""
        return self._watch.is_over

    async def wait(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - as Watch
        """
        Wait until it is over; return whether it is.

        Args:
            timeout: Seconds to wait at most; None: as long as it takes.
        """
        return await carried_out(lambda: self._watch.wait(timeout))

    async def stop(self) -> None:
        """End it, and wait until it has ended; main stays as it is."""
        await carried_out(self._watch.stop)
