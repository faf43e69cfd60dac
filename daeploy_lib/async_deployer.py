"""The verbs of a Deployer, awaited: the loop goes on meanwhile."""

import asyncio
import os
from collections.abc import (
    AsyncGenerator,
    Iterable,
    Mapping,
    Sequence,
)
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from daeploy_lib.deployer import Deployer
from daeploy_lib.domain.service import Assignment, Leftover, LogLine, Service
from daeploy_lib.domain.spec import Hardening, Mount, Readiness, Resources
from daeploy_lib.evidence.examples import Example
from daeploy_lib.evidence.gate import Gate
from daeploy_lib.lifecycle.async_watching import AsyncWatch
from daeploy_lib.lifecycle.awaiting import carried_out, iterated, looked_up
from daeploy_lib.lifecycle.deploying import unfailing
from daeploy_lib.router.replay import Replayed
from daeploy_lib.runtimes.base import Event, OnEvent, Runtime
from daeploy_lib.show.report import Report
from daeploy_lib.show.table import Services
from daeploy_lib.sources import Source


class AsyncDeployer:
    """
    The ``Deployer`` of programs that are asynchronous; on asyncio.

    Same verbs, arguments, results and errors, awaited. Each works in a thread of its
    own, so that the event loop goes on. A verb that is cancelled, by a timeout or
    Ctrl-C too, ends its work:

    - ``deploy`` undoes what it has made, then raises ``CancelledError``; the version
      can be deployed again.
    - ``assign`` and ``rollback`` have changed main or have not; ``history`` tells.
    - ``kill``, ``kill_all`` and ``cleanup`` stop between two steps: what was unrouted
      stays so, and a repeat completes it.
    - What only looks is left alone.

    A ``ShadowRouter`` takes it like a ``Deployer``. For trio there is none: call the
    ``Deployer`` in ``trio.to_thread.run_sync``.

    Args:
        runtime, project, state, ephemeral: As of ``Deployer``.

    Raises:
        ValueError, TypeError: As ``Deployer``.

    Example:
        >>> import asyncio, tempfile
        >>> from daeploy_lib.testing import MemoryRuntime
        >>> async def main(folder):
        ...     async with AsyncDeployer(MemoryRuntime(), state=folder) as deployer:
        ...         hello = await deployer.init("hello", folder)
        ...         for version in ("1.0.0", "2.0.0"):
        ...             await deployer.deploy("hello", version, hello, on_event=str)
        ...         await deployer.assign("hello", "2.0.0")
        ...         for service in await deployer.kill("hello"):
        ...             print(service.version, service.is_main)
        >>> asyncio.run(main(tempfile.mkdtemp()))
        1.0.0 False
        2.0.0 True
    """

    def __init__(
        self,
        runtime: Runtime | None = None,
        *,
        project: str = "default",
        state: str | os.PathLike[str] | None = None,
        ephemeral: bool = False,
    ) -> None:
        self._deployer = Deployer(
            runtime, project=project, state=state, ephemeral=ephemeral
        )
        self.project, self.state = self._deployer.project, self._deployer.state

    def __repr__(self) -> str:
        return repr(self._deployer).replace("<Deployer", "<AsyncDeployer", 1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # ------------------------------------------------------------ deploying

    async def init(self, name: str, directory: str | os.PathLike[str] = ".") -> Path:
        """Write a small service; see ``Deployer.init``."""
        return await carried_out(lambda: self._deployer.init(name, directory))

    async def deploy(
        self,
        name: str,
        version: str,
        source: Source,
        *,
        port: int = 8000,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] | None = None,
        mounts: Sequence[Mount] = (),
        resources: Resources = Resources(),  # noqa: B008 - a frozen value
        hardening: Hardening | None = None,
        readiness: Readiness = Readiness(),  # noqa: B008 - a frozen value
        on_event: OnEvent | None = None,
    ) -> Service:
        """
        Deploy a version; see ``Deployer.deploy``.

        *on_event* is called on the event loop, each event in its turn, and for the
        last time before this returns.

        Raises:
            asyncio.CancelledError: Once what was made is removed again. A step that
                cannot be cut short, such as a removal, ends first.
        """
        reported = None if on_event is None else _on_loop(on_event)
        return await carried_out(
            lambda: self._deployer.deploy(
                name,
                version,
                source,
                port=port,
                environment=environment,
                command=command,
                mounts=mounts,
                resources=resources,
                hardening=hardening,
                readiness=readiness,
                on_event=reported,
            ),
            # Deployed at the moment when it was cancelled.
            undo=lambda _: self._deployer.kill(name, version, grace=0.0),
        )

    # -------------------------------------------------------------- looking

    async def ls(self, name: str | None = None, version: str | None = None) -> Services:
        """Return all versions, or those of a name; see ``Deployer.ls``."""
        return await looked_up(lambda: self._deployer.ls(name, version))

    async def get(self, name: str, version: str | None = None) -> Service:
        """Return one version; without *version*, main; see ``Deployer.get``."""
        return await looked_up(lambda: self._deployer.get(name, version))

    async def inspect(
        self, name: str, version: str | None = None
    ) -> Mapping[str, object]:
        """Return all that is known of one version; see ``Deployer.inspect``."""
        return await looked_up(lambda: self._deployer.inspect(name, version))

    def logs(
        self,
        name: str,
        version: str | None = None,
        *,
        tail: int | None = 50,
        follow: bool = False,
        since: datetime | None = None,
    ) -> AsyncGenerator[LogLine, None]:
        """
        Yield lines of a version's output, with ``async for``; see ``Deployer.logs``.

        Errors come with the first line. A loop that is left before the end, while it
        follows, is best written in ``contextlib.aclosing``: what reads for it then
        ends at once, and not when Python notices.
        """
        return iterated(
            lambda: self._deployer.logs(
                name, version, tail=tail, follow=follow, since=since
            )
        )

    # ------------------------------------------------------------ assigning

    async def assign(
        self,
        name: str,
        version: str,
        *,
        gate: Gate | None = None,
        expected: str | None = None,
        force: bool = False,
    ) -> Service:
        """Make a version main, in one transaction; see ``Deployer.assign``."""
        return await carried_out(
            lambda: self._deployer.assign(
                name, version, gate=gate, expected=expected, force=force
            )
        )

    async def report(self, name: str) -> Report:
        """Return how each shadow compares with main; see ``Deployer.report``."""
        return await looked_up(lambda: self._deployer.report(name))

    async def replay(
        self,
        name: str,
        version: str,
        example: Example,
        *,
        headers: Iterable[tuple[str, str]] = (),
        timeout: float = 30.0,  # noqa: ASYNC109 - as Deployer.replay
    ) -> Replayed:
        """Send the request of an example again; see ``Deployer.replay``."""
        return await looked_up(
            lambda: self._deployer.replay(
                name, version, example, headers=headers, timeout=timeout
            )
        )

    async def watch(
        self, name: str, *, gate: Gate, interval: float = 5.0
    ) -> AsyncWatch:
        """Follow a new main, and return from a worse one; see ``Deployer.watch``."""
        watch = await carried_out(
            lambda: self._deployer.watch(name, gate=gate, interval=interval),
            undo=lambda watch: watch.stop(),
        )
        return AsyncWatch(watch)

    async def rollback(self, name: str) -> Service:
        """Assign the version that was main before; see ``Deployer.rollback``."""
        return await carried_out(lambda: self._deployer.rollback(name))

    async def history(self, name: str) -> Sequence[Assignment]:
        """Return every change of main, oldest first; see ``Deployer.history``."""
        return await looked_up(lambda: self._deployer.history(name))

    # -------------------------------------------------------------- killing

    async def kill(
        self,
        name: str,
        version: str | None = None,
        *,
        keep_image: bool = False,
        grace: float = 10.0,
    ) -> Services:
        """Remove a version, or every version of a name; see ``Deployer.kill``."""
        return await carried_out(
            lambda: self._deployer.kill(
                name, version, keep_image=keep_image, grace=grace
            )
        )

    async def kill_all(
        self, *, keep_image: bool = False, grace: float = 10.0
    ) -> Services:
        """Remove every version of this project; see ``Deployer.kill_all``."""
        return await carried_out(
            lambda: self._deployer.kill_all(keep_image=keep_image, grace=grace)
        )

    async def cleanup(self, *, dry_run: bool = False) -> Sequence[Leftover]:
        """Remove what no version needs any more; see ``Deployer.cleanup``."""
        return await carried_out(lambda: self._deployer.cleanup(dry_run=dry_run))

    async def close(self) -> None:
        """
        Free the connections; if ephemeral, kill what was deployed here.

        A cancellation waits for it.
        """
        await carried_out(self._deployer.close)


def _on_loop(on_event: OnEvent) -> OnEvent:
    """Return what calls a hook on the running loop, from any thread."""
    if not callable(on_event):
        raise TypeError(f"on_event must be callable, not {on_event!r}.")
    loop, report = asyncio.get_running_loop(), unfailing(on_event)

    def reported(event: Event) -> None:
        loop.call_soon_threadsafe(report, event)

    return reported
