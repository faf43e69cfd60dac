"""
One WebSocket's life: main's handshake, messages both ways, the end both ways.

Neither side is read from while the other takes no more.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from daeploy_lib.router.failure import (
    AnswerBrokenError,
    ClientGoneError,
    Failure,
    refusal_for,
)
from daeploy_lib.router.inbound import Receive
from daeploy_lib.router.outcome import Outcome
from daeploy_lib.router.plan import Plan, Settings
from daeploy_lib.router.refusal import Refusal
from daeploy_lib.router.routing import RouteSource
from daeploy_lib.router.websocket.answer import Denied
from daeploy_lib.router.websocket.backlog import Backlog
from daeploy_lib.router.websocket.channel import LINGER_SECONDS, Channel, direct_pool
from daeploy_lib.router.websocket.client import Client, Send
from daeploy_lib.router.websocket.codec import (
    ABNORMAL,
    GONE,
    SERVICE_RESTART,
    TOO_BIG,
    Close,
    message_size,
)
from daeploy_lib.router.websocket.copying import SocketCopies
from daeploy_lib.router.websocket.handshake import Accepted, upgrading
from daeploy_lib.router.websocket.pulse import Pulse

if TYPE_CHECKING:
    from daeploy_lib.router.loops import LoopState


class Session:
    """
    One WebSocket, from client to main, and copied.

    Args:
        plan: What was decided of its handshake.
        scope: The server's.
        state: What belongs to the loop.
        settings: Of the router.
        source: Told when the WebSockets to shadows end.
        slots: Of the shadows in the source, in their order.
        receive: The server's; the connect event has been taken.
        send: The server's.
    """

    def __init__(
        self,
        plan: Plan,
        scope: Mapping[str, Any],
        state: "LoopState",
        settings: Settings,
        *,
        source: RouteSource,
        slots: list[object],
        receive: Receive,
        send: Send,
    ) -> None:
        self._plan = plan
        self._state = state
        self._settings = settings
        self._copies = SocketCopies(plan, state, settings, source, slots)
        self._client = Client(
            scope, receive, send, heard=self._client_sent, left=self._client_left
        )
        self._answer: asyncio.Future[Accepted | Denied] = self.loop.create_future()
        self._is_accepted = False
        self._from_main: Close | None = None
        self._from_client: Close | None = None
        self._from_us: Close | None = None
        self._is_over = False
        self._waiter: asyncio.Future[None] | None = None
        self._main = Channel(
            direct_pool(state, plan.main),
            upgrading(plan.main_head(), self._client.offered),
            self,
            settings.limits,
            keeps=True,
        )
        self._backlog = Backlog(self._main)
        self._pulse = Pulse(self._main, state.idle, self._main_is_late)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """That it runs on."""
        return self._state.loop

    async def run(self) -> None:
        """
        Relay until one side has ended.

        Raises:
            Refusal: If main cannot be reached; the client has not been answered.
            AnswerBrokenError: If main went away; the client has been told.
            ClientGoneError: If the client went away; main has been told.
        """
        self._state.began(self)
        outcome = Outcome.main_failed
        try:
            answer = await self._handshake()
            if isinstance(answer, Denied):
                await self._client.deny(answer)
                return
            await self._accept(answer)
            await self._relay()
            outcome = await self._end()
        except ClientGoneError:
            outcome = Outcome.client_gone
            if self._is_accepted and self._from_main is None:
                self._say_goodbye(self._from_client or GONE)
                await self._wait_for_main()
            raise
        except asyncio.CancelledError:
            outcome = Outcome.client_gone
            raise
        finally:
            self._close(outcome)

    def close_soon(self) -> None:
        """Say goodbye to both sides, because the router is closing."""
        self._from_us = self._from_us or Close(SERVICE_RESTART, "restart")
        self._stop_waiting(Refusal(503, "The router is closing."))
        self._wake()

    def give_up(self) -> None:
        """End at once, because the router is closing."""
        self.close_soon()
        if self._from_main is None:
            self._main_is_late()

    # The handshake

    async def _handshake(self) -> Accepted | Denied:
        """Return main's answer, unless something else ends the waiting first."""
        self._state.first_byte.start(self, self._late)
        self._main.start()
        # Nothing but the client's leaving can come of it: RFC 6455, section 4.1.
        self._client.pull()
        try:
            answer = await self._answer
        finally:
            self._state.first_byte.stop(self)
        if self._from_client is not None:
            raise ClientGoneError
        return answer

    def _stop_waiting(self, why: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(why)

    async def _accept(self, answer: Accepted) -> None:
        self._copies.begin(self._client.offered)
        self._is_accepted = True
        await self._client.accept(answer)
        if self._from_main is None:
            self._pulse.start()
        self.channel_has_room()

    def _late(self) -> None:
        self._main.abort()
        self.channel_failed(Failure.first_byte_timeout)

    # Main to client

    async def _relay(self) -> None:
        """Send main's messages until any side ends."""
        while self._from_client is None:
            message = self._backlog.take()
            if message is not None:
                await self._client.send(message)
            elif self._from_main is not None or self._from_us is not None:
                return
            else:
                await self._change()

    async def _end(self) -> Outcome:
        """Pass the end on to the other side; return what became of the copies."""
        client, main, ours = self._from_client, self._from_main, self._from_us
        if main is None:
            self._say_goodbye(client or ours or GONE)
            if client is None:
                await self._client.close(ours or GONE)
            await self._wait_for_main()
        elif client is None:
            await self._client.close(ours or main)
            if not main.is_clean and ours is None:
                target = self._plan.main
                raise AnswerBrokenError(
                    f"version {target.version!r} of {target.name!r}: WebSocket ended "
                    f"with {main.code} {main.reason}"
                )
        if client is not None and client.code == ABNORMAL:
            raise ClientGoneError
        self._copies.finish(client or main or ours or GONE)
        return Outcome.incomparable

    def _say_goodbye(self, close: Close) -> None:
        self._is_over = True
        self._pulse.stop()
        self._main.resume_reading()
        self._main.close(close.code, close.reason)

    async def _wait_for_main(self) -> None:
        """Wait a while for main's close frame."""
        late = self.loop.call_later(LINGER_SECONDS, self._main_is_late)
        try:
            while self._from_main is None:
                await self._change()
        finally:
            late.cancel()

    def _main_is_late(self) -> None:
        self._main.abort()
        self.channel_closed(GONE)

    # Client to main

    def _client_left(self, close: Close) -> None:
        if self._is_over or self._from_main is not None:
            return
        self._from_client = close
        self._stop_waiting(ClientGoneError())
        self._wake()

    def _client_sent(self, message: str | bytes) -> None:
        if self._is_over or self._from_main is not None:
            return
        if not self._is_accepted:
            self._stop_waiting(Refusal(400, "A message came before the answer."))
            return
        if message_size(message) > self._settings.limits.max_message_bytes:
            self._from_us = Close(TOO_BIG, "message too big")
            self._wake()
            return
        self._main.send(message)
        self._copies.send(message)
        if self._main.is_paused:
            self._pulse.start()  # it has a whole period for taking some of it
        else:
            self._client.pull()

    # Main's side

    def channel_answered(self, answer: Accepted | Denied) -> None:
        """Note what main says of the handshake."""
        if not self._answer.done():
            self._answer.set_result(answer)

    def channel_failed(self, failure: Failure) -> None:
        """Note that main says nothing."""
        target = self._plan.main
        self._stop_waiting(refusal_for(failure, target.name, target.version))

    def channel_received(self, message: str | bytes) -> None:
        """Keep a message until the client takes it."""
        if not (self._is_over or self._from_us):
            self._backlog.put(message)
            self._wake()

    def channel_closed(self, close: Close) -> None:
        """Note that main has ended."""
        self._from_main = close
        self._pulse.stop()
        self._wake()

    def channel_has_room(self) -> None:
        """Ask the client for the next message."""
        if self._is_accepted and not (self._main.is_paused or self._is_over):
            self._client.pull()

    # The end

    def _close(self, outcome: Outcome) -> None:
        """Leave nothing behind but copies that finish on their own."""
        self._copies.drop(outcome)
        self._is_over = True
        if self._from_main is None:
            self._main.abort()
        self._client.forget()
        self._pulse.stop()
        self._state.ended(self)

    async def _change(self) -> None:
        self._waiter = self.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
