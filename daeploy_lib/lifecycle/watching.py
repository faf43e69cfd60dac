"""Following a new main, and returning to the old one when that was better."""

import logging
import math
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from daeploy_lib import interruption
from daeploy_lib.domain.service import Assignment
from daeploy_lib.errors import (
    DaeployError,
    StaleAssignError,
    VersionNotFoundError,
)
from daeploy_lib.evidence.gate import Gate
from daeploy_lib.evidence.verdict import Result, Verdict
from daeploy_lib.lifecycle.assigning import assign, promotion
from daeploy_lib.lifecycle.evidence import evidence_of
from daeploy_lib.lifecycle.gating import check_gate, verdict_to_json
from daeploy_lib.lifecycle.project import Project

_log = logging.getLogger(__name__)

# In the JSON of a verdict: why a watch has returned to the old main.
_MARK = "rolled_back"


class Watch:
    """
    Follows a promotion in a thread of its own; ``Deployer.watch`` makes it.

    Every *interval* seconds the new main is judged as if the old one, which is its
    shadow now, were main. When the gate fails, the old main is assigned again: once,
    with the verdict in the history. An inconclusive verdict changes nothing. It is
    over after that, or when main changes by another hand, the old main is killed,
    or it is stopped, which leaving the ``with`` block and closing the Deployer do.

    Iterating yields each verdict as it is given, until it is over.

    Attributes:
        name: The service.
        version: The main that is watched.
        previous: The version that it would return to.
    """

    def __init__(
        self,
        opened: Callable[[], Project | None],
        name: str,
        gate: Gate,
        interval: float,
    ) -> None:
        check_gate(gate)
        _check_interval(interval)
        project = opened()
        if project is None:
            raise RuntimeError("The Deployer of this watch is gone.")
        self.name = name
        self.version, self.previous = _promotion(project, name)
        self._began = project.registry.history(name)[-1]
        self._opened = opened
        self._gate = gate
        self._interval = interval
        self._asked_to_stop = threading.Event()
        self._changed = threading.Condition()
        self._verdict: Verdict | None = None
        self._judged = 0
        self._reason = ""
        self._rolled_back = False
        self._is_over = False
        self._thread = threading.Thread(
            target=self._run, name=f"daeploy-watch-{name}", daemon=True
        )

    def __repr__(self) -> str:
        state = "over" if self.is_over else "watching"
        return f"<Watch {self.name} {self.version}, {state}: {self.reason or 'so far'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __iter__(self) -> Iterator[Verdict]:
        judged = 0
        while True:
            with self._changed:
                self._await(lambda: self._judged != judged or self._is_over)  # noqa: B023
                if self._judged == judged or self._verdict is None:
                    return
                judged, verdict = self._judged, self._verdict
            yield verdict

    @property
    def verdict(self) -> Verdict | None:
        """What the gate said last; None before the first time."""
        return self._verdict

    @property
    def rolled_back(self) -> bool:
        """Whether it has returned to the old main."""
        return self._rolled_back

    @property
    def reason(self) -> str:
        """Why it is over, or what hinders it now; "" if nothing does."""
        return self._reason

    @property
    def is_over(self) -> bool:
        """Whether it judges no more."""
        return self._is_over

    def start(self) -> None:
        """Begin to judge; ``Deployer.watch`` has done so."""
        self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """
        Wait until it is over; return whether it is.

        Args:
            timeout: Seconds to wait at most; None: as long as it takes.
        """
        with self._changed:
            return self._await(lambda: self._is_over, timeout)

    def stop(self) -> None:
        """End it, and wait until it has ended; main stays as it is."""
        self._asked_to_stop.set()
        # A Deployer may be collected in the thread itself.
        is_other = threading.current_thread() is not self._thread
        if is_other and self._thread.is_alive():
            self._thread.join()

    def _await(
        self, condition: Callable[[], bool], timeout: float | None = None
    ) -> bool:
        with interruption.ended_by(self._wake):
            self._changed.wait_for(
                lambda: condition() or interruption.is_interrupted(), timeout
            )
        return condition()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        reason = "It was stopped."
        try:
            while not self._asked_to_stop.is_set():
                if ended := self._look():
                    reason = ended
                    break
                self._asked_to_stop.wait(self._interval)
        except Exception as error:  # noqa: BLE001 - a thread would tell nobody
            _log.exception("Watching %s %s failed", self.name, self.version)
            reason = f"It failed: {error!r}."
        with self._changed:
            self._reason, self._is_over = reason, True
            self._changed.notify_all()

    def _look(self) -> str:
        """Judge once; return why it is over, or "" to go on."""
        project = self._opened()
        if project is None:
            return "Its Deployer is gone."
        try:
            return self._judge(project)
        except (LookupError, StaleAssignError) as error:
            # The version, or the whole service, was killed meanwhile, or main changed.
            return f"There is nothing to watch any more: {error}"
        except DaeployError as error:
            # Such as an old main that does not answer now: it may do so later.
            if str(error) != self._reason:
                _log.warning("Watching %s %s: %s", self.name, self.version, error)
            self._reason = str(error)
            return ""

    def _judge(self, project: Project) -> str:
        if changed := self._change_since(project.registry.history(self.name)):
            return changed
        evidence = evidence_of(project, self.name)
        if self.previous not in evidence.since:
            return f"The old main, {self.previous}, was killed."
        verdict = evidence.judge_main(self._gate, self.previous)
        with self._changed:
            self._verdict = verdict
            self._judged += 1
            self._changed.notify_all()
        if verdict.result is not Result.failed or self._asked_to_stop.is_set():
            self._reason = ""
            return ""
        reason = f"{self.version} is worse than {self.previous}: {verdict}"
        assign(
            project,
            self.name,
            self.previous,
            expected=self.version,
            verdict=verdict_to_json(verdict, **{_MARK: reason}),
        )
        self._rolled_back = True
        _log.warning("Returned to %s %s: %s", self.name, self.previous, reason)
        return reason

    def _change_since(self, history: tuple[Assignment, ...]) -> str:
        latest = history[-1]
        if latest == self._began:
            return ""
        return (
            f"Main was changed by another hand, to {latest.version} at "
            f"{latest.at:%Y-%m-%d %H:%M:%S} UTC."
        )


def _promotion(project: Project, name: str) -> tuple[str, str]:
    """
    Return the main that is to be watched, and the one before it.

    A return that a watch made is no promotion: agreement is the same both ways, so
    that another watch would return to what was found worse.

    Raises:
        ServiceNotFoundError: If no version of the name is deployed.
        VersionNotFoundError: If there is none to return to.
    """
    version, previous = promotion(project, name)
    latest = project.registry.history(name)[-1]
    if latest.verdict is not None and f'"{_MARK}":' in latest.verdict:
        raise VersionNotFoundError(
            name,
            previous,
            reason=f"was left by a watch, which has returned to {version!r}: "
            f"assign a version before it is watched",
        )
    known = {r.version for r in project.registry.versions() if r.name == name}
    if previous not in known:
        raise VersionNotFoundError(name, previous, tuple(sorted(known)))
    return version, previous


def _check_interval(interval: object) -> None:
    if isinstance(interval, bool) or not isinstance(interval, int | float):
        raise TypeError(f"interval must be seconds, not {interval!r}.")
    if not 0 < interval < math.inf or interval > threading.TIMEOUT_MAX:
        raise ValueError(f"interval must be seconds, more than 0, not {interval!r}.")
