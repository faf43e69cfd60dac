"""The way of a websocket scope through the router."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from daeploy_lib.router.entrance import Entrance
from daeploy_lib.router.failure import AnswerBrokenError, ClientGoneError
from daeploy_lib.router.inbound import Receive
from daeploy_lib.router.mirroring import spare_copies
from daeploy_lib.router.outcome import Outcome
from daeploy_lib.router.plan import Plan, Settings
from daeploy_lib.router.refusal import Refusal
from daeploy_lib.router.routing import RouteSource
from daeploy_lib.router.websocket.denial import deny, refused
from daeploy_lib.router.websocket.handshake import as_request
from daeploy_lib.router.websocket.session import Session

if TYPE_CHECKING:
    from daeploy_lib.router.loops import LoopState

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = logging.getLogger(__name__)


class WebSockets:
    """
    The open WebSockets of one router.

    Args:
        settings: Of the router.
        source: Told when WebSockets to versions end.
        entrance: Decides about a request and notes it as in flight.
    """

    def __init__(
        self, settings: Settings, source: RouteSource, entrance: Entrance
    ) -> None:
        self._settings = settings
        self._source = source
        self._entrance = entrance
        self._open: set[Session] = set()

    async def serve(
        self,
        scope: Mapping[str, Any],
        receive: Receive,
        send: Send,
        state: "LoopState",
    ) -> None:
        """Serve one websocket scope; every end of it is counted."""
        tally = self._settings.tally
        tally.in_flight += 1
        try:
            await self._serve(scope, receive, send, state)
            tally.relayed += 1
        except Refusal as refusal:
            tally.refuse(refusal.status)
            with contextlib.suppress(ClientGoneError):
                await deny(scope, send, refused(refusal))
        except ClientGoneError:
            tally.client_gone += 1
        except asyncio.CancelledError:
            # The server gives up on the client, at its own end for one.
            tally.client_gone += 1
            raise
        except AnswerBrokenError as error:
            # Unlike an answer's, this end has reached the client in a frame.
            tally.broken += 1
            _log.warning("A WebSocket broke off: %s", error)
        finally:
            tally.in_flight -= 1

    def close_soon(self, state: "LoopState") -> None:
        """Say goodbye on every WebSocket of this loop (RFC 6455, 7.4.1: 1012)."""
        for session in tuple(self._open):
            if session.loop is state.loop:
                session.close_soon()

    async def _serve(
        self,
        scope: Mapping[str, Any],
        receive: Receive,
        send: Send,
        state: "LoopState",
    ) -> None:
        if (await receive())["type"] != "websocket.connect":
            raise ClientGoneError
        plan, main_slot, slots = await self._entrance.enter(as_request(scope))
        try:
            session = self._session(
                plan, scope, state, slots=slots, receive=receive, send=send
            )
            self._open.add(session)
            try:
                await session.run()
            finally:
                self._open.discard(session)
        finally:
            self._source.leave(main_slot)

    def _session(
        self,
        plan: Plan,
        scope: Mapping[str, Any],
        state: "LoopState",
        *,
        slots: list[object],
        receive: Receive,
        send: Send,
    ) -> Session:
        try:
            _check_bodyless(plan)
            return Session(
                plan,
                scope,
                state,
                self._settings,
                source=self._source,
                slots=slots,
                receive=receive,
                send=send,
            )
        except Refusal:
            outcome = Outcome.main_failed
            spare_copies(plan, self._source, slots, outcome)
            raise


def _check_bodyless(plan: Plan) -> None:
    if plan.framing.has_body:
        raise Refusal(400, "A WebSocket handshake has no body.")
