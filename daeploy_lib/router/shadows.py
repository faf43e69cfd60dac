"""
Copies: one request to one shadow, in callbacks alone.

A copy never waits and nobody waits for it. It holds what its shadow has not
taken yet, up to a bound; then it is aborted on the wire, never completed short.
Its answer is read, as much as is compared is kept, and the connection is used again.
"""

import logging
from collections import deque
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from daeploy_lib.router.capture import Capture, Captures
from daeploy_lib.router.failure import Failure
from daeploy_lib.router.framing import Header
from daeploy_lib.router.outcome import Asked, Observation, Outcome, Pair
from daeploy_lib.router.plan import Settings
from daeploy_lib.router.routing import RouteSource, Target
from daeploy_lib.router.upstream import Call

if TYPE_CHECKING:
    from daeploy_lib.compare.answer import Answer
    from daeploy_lib.router.loops import LoopState

_log = logging.getLogger(__name__)

# Of an answer to compare with a short one of main's: about one read.
_SPARE_BYTES = 64 * 1024

_OUTCOMES = {
    Failure.refused: Outcome.refused,
    Failure.connect_timeout: Outcome.timeout,
    Failure.closed: Outcome.shadow_error,
    Failure.garbage: Outcome.shadow_error,
    Failure.truncated: Outcome.shadow_error,
}
# Bytes of an answer were read and parsed, perhaps very many.
_COSTLY = frozenset({Failure.garbage, Failure.truncated})


class Copy(Call):
    """
    A request on its way to one shadow.

    It settles once, with one outcome. If the shadow answers before main has
    ended, it waits for main: only then is the outcome known.

    Args:
        state: What belongs to the loop.
        target: The shadow.
        method: Of the request.
        head: Request line and headers, marked.
        settings: Of the router.
        source: Told when this request to the version ends.
        slot: Of that request in the source.
        captures: Keep the answer, to compare it; None if nothing does.
    """

    __slots__ = (
        "_answer",
        "_asked",
        "_began_at",
        "_body_bytes",
        "_capture",
        "_captures",
        "_counts",
        "_first_byte_at",
        "_has_finished",
        "_headers",
        "_held_of_main",
        "_is_judged",
        "_is_settled",
        "_judge",
        "_limits",
        "_main",
        "_main_bytes",
        "_queue",
        "_queued",
        "_slot",
        "_source",
        "_state",
        "_status",
        "_tally",
        "_target",
        "_whole",
    )

    def __init__(
        self,
        state: "LoopState",
        target: Target,
        method: bytes,
        head: bytes,
        settings: Settings,
        *,
        source: RouteSource,
        slot: object,
        captures: Captures | None = None,
    ) -> None:
        super().__init__(state.pool(target), method, head)
        self._state = state
        self._target = target
        self._source = source
        self._slot = slot
        self._tally = settings.tally
        self._counts = target.counts
        self._limits = settings.limits
        self._judge = settings.judge
        self._captures = captures
        self._capture: Capture | None = None
        self._whole: Answer | None = None
        self._asked: Asked | None = None
        # Made when something has to wait: few copies are ever behind.
        self._queue: deque[bytes] | None = None
        self._queued = 0
        self._has_finished = False
        self._is_settled = False
        self._is_judged = False
        self._status = 0
        self._headers: Sequence[Header] = ()
        self._body_bytes = 0
        self._began_at = self._first_byte_at = 0.0
        self._answer: Observation | None = None
        self._main: Observation | None = None
        self._main_bytes = 0
        self._held_of_main = 0

    def begin(self, content: bytes, *, is_complete: bool) -> None:
        """
        Take a place among the copies under way and send the head.

        Args:
            content: The framed body, if it is there already.
            is_complete: Whether nothing follows.
        """
        self._has_finished = self.is_sent = is_complete and not content
        self.holds_head = not self.is_sent
        self._counts.in_flight += 1
        self._state.began(self)
        self._state.shadow.start(self, self._late)
        self._began_at = perf_counter()
        self.start()
        if content:
            self.send(content)
            self.finish()

    # The exchange's side

    def send(self, content: bytes) -> None:
        """Take framed bytes of the body, or give up if too many wait already."""
        if self._is_settled or self._answer is not None:
            return
        connection = self.connection
        if connection is None or connection.is_paused or self._queue:
            if self._queue is None:
                self._queue = deque()
            self._queue.append(content)
            self._hold(len(content))
        else:
            connection.write(content)
        lag = self._queued + (connection.unsent if connection is not None else 0)
        is_too_much = self._queued and self._tally.held > self._limits.max_bytes
        if lag > self._limits.max_lag_bytes or is_too_much:
            self._settle(Outcome.dropped_bytes)
        else:
            # The lag is the bound of an upload, which may take its time.
            self._state.shadow.start(self, self._late)

    def finish(self) -> None:
        """Note that the request is complete; its deadline starts anew."""
        self._has_finished = True
        if not self._is_settled and self._answer is None:
            self._state.shadow.start(self, self._late)
            self.is_sent = not self._queue and self.connection is not None
            if not self._queue:  # else it goes together with that
                self.release_head()

    def main_went_on(self, body_bytes: int) -> None:
        """Note how much main has answered so far; who waits for it may go on."""
        was_far_ahead = self._is_far_ahead()
        self._main_bytes = body_bytes
        if was_far_ahead and not self._is_settled and self._answer is None:
            self._state.shadow.start(self, self._late)
            if self.connection is not None and not self._is_far_ahead():
                self.connection.resume_reading()

    def main_ended(self, asked: Asked, main: Observation) -> None:
        """Take main's whole answer to compare with, and what both were asked."""
        self._asked = asked
        self._main = main
        self._main_bytes = main.body_bytes
        if self._is_settled:
            return
        if self._answer is not None:
            self._compare()
        elif not self._has_finished:
            # Main answered without the rest of the request, which nobody reads.
            self._settle(Outcome.main_failed)
        elif self._is_far_ahead():
            self._cut()
        else:
            self._hold_main()
            if self.connection is not None:
                self.connection.resume_reading()

    def main_failed(self, outcome: Outcome) -> None:
        """Give up, because there is nothing to compare with."""
        self._settle(outcome)

    def give_up(self) -> None:
        """End at once, because the router is closing."""
        is_answered = self._answer is not None
        self._is_judged = False  # whatever is found later comes too late
        self._settle(Outcome.incomparable if is_answered else Outcome.timeout)

    # The connection's side

    def opened(self) -> None:
        """Send what has come meanwhile."""
        self.has_room()

    def has_room(self) -> None:
        """Send what waits, as long as the shadow takes it."""
        connection, queue = self.connection, self._queue
        while queue and connection is not None and not connection.is_paused:
            content = queue.popleft()
            self._hold(-len(content))
            connection.write(content)
        self.is_sent = self._has_finished and not queue

    def answer_began(self, status: int, headers: Sequence[Header]) -> None:
        """Note the head."""
        self._first_byte_at = perf_counter()
        self._status = status
        self._headers = headers
        if self._captures is not None:
            self._capture = self._captures.begin()

    def answer_went_on(self, body: bytes) -> None:
        """Keep what is compared of the body, and do not read far beyond main's."""
        self._body_bytes += len(body)
        if self._capture is not None:
            self._capture.take(body)
        if self._is_far_ahead():
            if self._main is not None:
                self._cut()
            elif self.connection is not None:
                self.connection.pause_reading()
        elif self._main is None and self._has_finished:
            # It keeps up with a long answer. Once main has ended, nothing that
            # the shadow does gives it more time.
            self._state.shadow.start(self, self._late)

    def answered(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """Note all of it, then settle or wait for main."""
        self.connection = None
        self._first_byte_at = perf_counter()
        self._status = status
        self._headers = headers
        self._body_bytes = len(body)
        captures = self._captures
        if captures is not None:
            self._whole = captures.whole(status, headers, body)
            if self._whole is None:
                self._capture = captures.begin()
                self._capture.take(body)
        self._answered(is_whole=True)

    def answer_ended(self) -> None:
        """Settle, or wait for main."""
        super().answer_ended()
        self._answered(is_whole=True)

    def failed(self, failure: Failure) -> None:
        """Settle."""
        super().failed(failure)
        self._counts.fail(is_costly=failure in _COSTLY)
        self._settle(_OUTCOMES[failure])

    # Ends

    def _is_far_ahead(self) -> bool:
        # What is twice as long, and more, differs: reading on would only cost.
        spare = min(self._limits.max_capture_bytes, self._main_bytes + _SPARE_BYTES)
        return self._body_bytes > self._main_bytes + spare

    def _waits_for_client(self) -> bool:
        """Whether the shadow has taken all that the client has sent so far."""
        connection = self.connection
        return (
            not self._has_finished
            and not self._queue
            and connection is not None
            and not connection.unsent
        )

    def _cut(self) -> None:
        """Leave the rest of an answer unread that is longer than main's."""
        self._counts.fail(is_costly=True)
        self.abort()
        self._answered(is_whole=False)

    def _answered(self, *, is_whole: bool) -> None:
        if is_whole:
            self._counts.is_failing = False
        answer = self._whole
        if self._capture is not None:
            headers = self._headers
            answer = self._capture.answer(self._status, headers, is_whole=is_whole)
        self._answer = Observation(
            self._target.version,
            self._status,
            self._body_bytes,
            perf_counter() - self._began_at,
            is_whole,
            self._first_byte_at - self._began_at,
            answer,
        )
        self._free()
        if self._main is not None:
            self._compare()

    def _compare(self) -> None:
        asked, main, shadow = self._asked, self._main, self._answer
        assert asked is not None  # noqa: S101 - main has ended
        assert main is not None  # noqa: S101
        assert shadow is not None  # noqa: S101
        try:
            pair = Pair(asked, main, shadow, self._target.pairing)
            self._is_judged = True
            self._judge(pair, self._settle)
        except Exception:  # noqa: BLE001 - nobody else's fault (rule 19)
            _log.exception("judging an answer of %r failed", self._target.name)
            self._is_judged = False
            self._settle(Outcome.incomparable)
        if not self._is_settled:  # it is compared beside the loop
            self._hold_main()
            self._state.began(self)

    def _late(self) -> None:
        if self._is_far_ahead():
            self._cut()  # it was early, and had to wait for main
        elif self._waits_for_client():
            self._state.shadow.start(self, self._late)
        else:
            self._settle(Outcome.timeout)

    def _settle(self, outcome: Outcome) -> bool:
        """End with this outcome; return whether there was none before."""
        if self._is_settled:
            return False
        self._is_settled = True
        if self._is_judged:
            self._counts.count(outcome)
        else:
            self._target.count(outcome, self._main)
        if self._captures is not None:
            self._let_go(self._captures)
        if self._answer is None:
            self._free()
            self.abort()
        else:
            self._state.ended(self)
        return True

    def _free(self) -> None:
        """Give back everything that the copy holds."""
        if self._queue:
            self._hold(-self._queued)
            self._queue.clear()
        self._state.shadow.stop(self)
        self._state.ended(self)
        self._counts.in_flight -= 1
        self._source.leave(self._slot)

    def _hold_main(self) -> None:
        """Count main's answer as held, as long as it is to be compared."""
        main = self._main
        if main is not None and main.answer is not None and not self._held_of_main:
            self._held_of_main = len(main.answer.body)
            self._tally.held += self._held_of_main

    def _let_go(self, captures: Captures) -> None:
        """Count what was to be compared as held no more."""
        if self._capture is not None:
            self._capture.release()
        elif self._whole is not None:
            captures.release(self._whole)
        self._tally.held -= self._held_of_main

    def _hold(self, count: int) -> None:
        self._queued += count
        self._tally.held += count
