"""
One request's life, from the scope to main's last byte.

Three things go on at once: the client's body flows in by callbacks, copies go
their own ways in callbacks, and this coroutine relays main's answer. It ends
with that answer; copies may go on without it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

from daeploy_lib.router.answer import MainCall
from daeploy_lib.router.at_hand import event_at_hand
from daeploy_lib.router.failure import (
    AnswerBrokenError,
    ClientGoneError,
    refusal_for,
    says_client_gone,
)
from daeploy_lib.router.headers import for_client
from daeploy_lib.router.inbound import Event, Inbound, Receive
from daeploy_lib.router.loops import LoopState
from daeploy_lib.router.mirroring import spare_copies, start_copies
from daeploy_lib.router.outcome import Outcome
from daeploy_lib.router.plan import Plan, Settings
from daeploy_lib.router.refusal import Refusal
from daeploy_lib.router.routing import RouteSource
from daeploy_lib.router.tee import NO_BODY, BodyMismatchError, Tee

if TYPE_CHECKING:
    from daeploy_lib.router.capture import Capture, Captures
    from daeploy_lib.router.shadows import Copy

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = logging.getLogger(__name__)

# Turns of the loop in which a body that is there already arrives from the server:
# one to ask for it, one to be told.
_TURNS_TO_BODY = 3

# A turn or two of the loop, in which it reads what main has sent meanwhile.
_LOOK_AGAIN_SECONDS = 0.001


class Exchange:
    """
    One request, its answer and its copies.

    Args:
        plan: What was decided.
        state: What belongs to the loop.
        settings: Of the router.
        source: Told when the requests to shadows end.
        slots: Of the shadows in the source, in their order.
        receive: The server's.
        send: The server's.
        first: An event that has been received already.
    """

    __slots__ = (
        "_captures",
        "_content",
        "_copies",
        "_ended",
        "_first",
        "_has_copied",
        "_has_seen_last",
        "_has_started",
        "_inbound",
        "_main",
        "_plan",
        "_receive",
        "_request",
        "_send",
        "_settings",
        "_slots",
        "_source",
        "_state",
        "_tee",
        "_waiter",
    )

    def __init__(
        self,
        plan: Plan,
        state: LoopState,
        settings: Settings,
        *,
        source: RouteSource,
        slots: list[object],
        receive: Receive,
        send: Send,
        first: Event | None = None,
    ) -> None:
        self._plan = plan
        self._state = state
        self._settings = settings
        self._source = source
        self._slots = slots
        self._send = send
        self._receive = receive
        self._first = first
        self._inbound: Inbound | None = None
        framing = plan.framing
        self._content = b""
        self._tee = (
            Tee(framing.length, is_chunked=framing.is_chunked)
            if framing.has_body
            else NO_BODY
        )
        self._copies: list[Copy] = []
        self._has_copied = False
        self._waiter: asyncio.Future[None] | None = None
        self._ended: Exception | None = None
        self._has_started = False
        self._has_seen_last = False
        self._request: Capture | None = None
        self._captures: Captures | None = None
        if plan.shadows:
            self._captures = settings.captures_for(plan.destination.name)
            if self._captures is not None and framing.has_body:
                self._request = self._captures.begin()
        self._main = MainCall(
            state,
            plan.main,
            plan.method,
            plan.main_head(),
            has_body=framing.has_body,
            listener=self,
            captures=self._captures,
        )

    async def run(self) -> None:
        """
        Relay main's answer.

        Raises:
            Refusal: If the client shall get an answer of the router's own.
            AnswerBrokenError: If main's answer broke off after it had begun.
            ClientGoneError: If the client has left.
        """
        self._state.began(self)
        outcome = Outcome.main_failed
        try:
            if not self._tee.is_complete:
                self._content = self._content_at_hand()
            self._main.begin(self._content, is_complete=self._tee.is_complete)
            if self._tee.is_complete:
                self._state.watch.start(self, self._pull)
            await self._relay()
        except (ClientGoneError, asyncio.CancelledError):
            outcome = Outcome.client_gone
            raise
        finally:
            self._close(outcome)

    def give_up(self) -> None:
        """End at once, because the router is closing."""
        self._end(Refusal(503, "The router is closing."))

    # The answer

    async def _relay(self) -> None:
        main = self._main
        while not main.status:
            self._raise_if_ended()
            if main.failure is not None:
                target = self._plan.main
                raise refusal_for(main.failure, target.name, target.version)
            await self._change()
        self._has_started = True
        headers = for_client(main.headers, status=main.status)
        start = {
            "type": "http.response.start",
            "status": main.status,
            "headers": headers,
        }
        try:
            await self._send(start)
            if main.is_complete:
                body = main.take()
                await self._send({"type": "http.response.body", "body": body})
            else:
                await self._relay_body()
        except AnswerBrokenError:
            raise
        except (OSError, RuntimeError) as error:
            if not says_client_gone(error):
                raise
            raise ClientGoneError from error

    async def _relay_body(self) -> None:
        main = self._main
        while True:
            is_last = main.is_complete
            if not is_last:
                self._raise_if_ended()
            body = main.take()
            if body or is_last:
                await self._send(
                    {
                        "type": "http.response.body",
                        "body": body,
                        "more_body": not is_last,
                    }
                )
                if is_last:
                    return
                for copy in self._copies:
                    copy.main_went_on(main.body_bytes)
            elif main.failure is not None:
                target = self._plan.main
                raise AnswerBrokenError(
                    f"version {target.version!r} of {target.name!r}: {main.failure}"
                )
            else:
                await self._change()

    def _change(self) -> "asyncio.Future[None]":
        """Return what is done as soon as there is something new to look at."""
        self._waiter = self._state.loop.create_future()
        return self._waiter

    def main_changed(self) -> None:
        """Look at main's answer, which has begun, gone on, ended or failed."""
        if self._main.wants_no_more and not self._tee.is_complete:
            self._stop_body()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _end(self, reason: Exception) -> None:
        if self._ended is None:
            self._ended = reason
        self._wake()

    def _raise_if_ended(self) -> None:
        if self._ended is None:
            return
        if self._has_started and isinstance(self._ended, Refusal):
            raise AnswerBrokenError(self._ended.detail)
        raise self._ended

    # The request

    def main_opened(self) -> None:
        """Send the copies, now that main is reached, then read the body."""
        if self._plan.shadows and not self._has_copied:
            self._has_copied = True
            try:
                self._start_copies()
            except Exception:  # noqa: BLE001 - a copy cannot hurt main (rule 19)
                _log.exception("starting the copies failed")
        if not self._tee.is_complete:
            self._release_heads(after=_TURNS_TO_BODY)
            self.main_has_room()

    def _release_heads(self, *, after: int = 0) -> None:
        """Send the heads alone if the body is not there at once."""
        if after and self._main.holds_head:
            again = partial(self._release_heads, after=after - 1)
            self._state.loop.call_soon(again)
            return
        self._main.release_head()
        for copy in self._copies:
            copy.release_head()

    def _start_copies(self) -> None:
        slots, self._slots = self._slots, []
        self._copies = start_copies(
            self._plan,
            self._state,
            self._settings,
            self._source,
            slots,
            content=self._content,
            is_complete=self._tee.is_complete,
            captures=self._captures,
        )

    def main_has_room(self) -> None:
        """Ask the client for more of the body as soon as main takes more."""
        main = self._main
        if self._tee.is_complete or main.wants_no_more or main.connection is None:
            return
        if main.takes_more:
            self._state.idle.start(self, self._client_is_idle)
            self._pull()
        elif not main.connection.is_paused:
            self._state.loop.call_later(_LOOK_AGAIN_SECONDS, self.main_has_room)

    def _content_at_hand(self) -> bytes:
        """Return the whole body, framed, if the server has it already."""
        if self._first is None and not self._plan.framing.wants_continue:
            self._first = event_at_hand(self._receive)
        first = self._first
        if first is None or first["type"] != "http.request" or first.get("more_body"):
            return b""
        body = first.get("body", b"")
        content = self._tee.whole(body)
        if content:
            self._first = None
            self._has_seen_last = True
            if self._request is not None:
                self._request.take(body)
        return content

    def _pull(self) -> None:
        """Ask the server for the next event; most requests are over before."""
        if self._inbound is None:
            self._inbound = Inbound(self._receive, self._on_event, self._first)
        self._inbound.pull()

    def _stop_body(self) -> None:
        self._state.idle.stop(self)
        if self._inbound is not None:
            self._inbound.stop()

    def _on_event(self, event: Event) -> None:
        if event["type"] != "http.request":
            self._end(ClientGoneError())
            return
        is_last = not event.get("more_body", False)
        if not (self._tee.is_complete or self._main.wants_no_more):
            self._take(event.get("body", b""), is_last=is_last)
        elif not self._has_seen_last:
            # Nothing more is wanted, but the disconnect comes after the body.
            self._pull()
        self._has_seen_last = is_last

    def _take(self, body: bytes, *, is_last: bool) -> None:
        self._state.idle.stop(self)
        self._main.holds_head = False
        if self._request is not None:
            self._request.take(body)
        try:
            self._tee.feed(body, is_last=is_last, main=self._main, copies=self._copies)
        except BodyMismatchError:
            self._end(Refusal(400, "The body does not have its length.", is_final=True))
            self._main.abort()
            return
        if self._tee.is_complete:
            self._state.watch.start(self, self._pull)
        else:
            self.main_has_room()

    def _client_is_idle(self) -> None:
        if not self._has_started:  # else it may well be waiting for main
            late = Refusal(408, "The body did not come in time.", is_final=True)
            self._end(late)

    # The end

    def _close(self, outcome: Outcome) -> None:
        """Leave nothing behind but copies that finish on their own."""
        main = self._main
        if not self._copies:
            pass
        elif main.is_complete and outcome is not Outcome.client_gone:
            observation = main.observation()
            request = self._request
            body, length = (request.body, request.length) if request else (b"", 0)
            asked = self._plan.asked(body, length)
            for copy in self._copies:
                copy.main_ended(asked, observation)
        else:
            for copy in self._copies:
                copy.main_failed(outcome)
        if self._request is not None:
            self._request.release()
        if self._slots:
            spare_copies(self._plan, self._source, self._slots, outcome)
        main.release()
        if self._inbound is not None:
            self._inbound.close()
            self._state.idle.stop(self)
        self._state.watch.stop(self)
        self._state.ended(self)
