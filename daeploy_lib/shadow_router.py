"""The router: an ASGI application in front of every version of every service."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import attrs
import httpx

from daeploy_lib.compare.rules import ComparisonRules
from daeploy_lib.domain.route import Route
from daeploy_lib.errors import ServiceNotFoundError
from daeploy_lib.evidence.recorder import Recorder
from daeploy_lib.lifecycle.evidence import (
    Evidence,
    Place,
    evidence_of,
    evidence_of_route,
)
from daeploy_lib.lifecycle.reporting import report_of
from daeploy_lib.registry.reader import RegistryReader
from daeploy_lib.registry.registry import Registry
from daeploy_lib.router.entrance import Entered, Entrance
from daeploy_lib.router.exchange import Exchange, Send
from daeploy_lib.router.failure import (
    AnswerBrokenError,
    ClientGoneError,
    says_client_gone,
)
from daeploy_lib.router.inbound import Event, Receive
from daeploy_lib.router.judging import Comparing
from daeploy_lib.router.loops import LoopState
from daeploy_lib.router.marks import Marks
from daeploy_lib.router.outcome import Pairing, Tally
from daeploy_lib.router.plan import Settings
from daeploy_lib.router.policy import Limits, MirrorPolicy, Timeouts
from daeploy_lib.router.refusal import Refusal, refusal_events
from daeploy_lib.router.routing import RouteSource, StaticSource
from daeploy_lib.router.trust import TrustedPeers
from daeploy_lib.router.websocket.serving import WebSockets
from daeploy_lib.show.report import Report

Scope = Mapping[str, Any]

_log = logging.getLogger(__name__)


class DeployerLike(Protocol):
    """What the router needs of a ``Deployer``: where its registry is."""

    @property
    def state(self) -> Path:
        """The state directory."""
        ...

    @property
    def project(self) -> str:
        """The project in it."""
        ...


class ShadowRouter:
    """
    Send each request to every version of a service, and answer with main's.

    An ASGI application, to be mounted anywhere: ``/name/rest`` reaches every
    running version of a service, ``/name_version/rest`` that version alone.
    The client gets main's answer as if it had called main directly: status,
    headers in their order, body bytes as they come. Shadows get the same
    request at the same time, with ``x-daeploy-role: shadow``,
    ``x-daeploy-version`` and ``x-daeploy-exchange`` added. What a shadow does
    (refuse, hang, break off, never end) changes nothing for the client.

    Method, path and query go on byte for byte. Fields that concern one
    connection only are removed both ways; ``Host`` goes on as it came, beside
    ``x-forwarded-*`` fields that are made anew unless the peer is trusted, and
    ``x-forwarded-prefix`` names the part of the path that was stripped.

    Not guaranteed: fields that the server in front adds to every answer, such
    as a second ``date`` (uvicorn: ``--no-date-header --no-server-header``).
    A WebSocket's messages pass both ways, with subprotocols and close codes;
    the client's are copied to the shadows. Fragments are joined, and extensions
    such as compression are not passed on.

    Args:
        source: A ``Deployer``, whose registry is followed from request to
            request, or a mapping from service name to ``Route``.
        mirror: Which requests are copied; one policy, or one by service name.
        limits: Bounds on what copies may hold.
        timeouts: Deadlines, in seconds.
        trusted_proxies: Networks, such as ``"10.0.0.0/8"``, of peers whose
            forwarding fields are believed. None by default.
        compare: How a shadow's answers are compared with main's; one set of rules,
            or one by service name. None compares nothing.
        transport: Carries the requests instead of the router's own connections:
            any ``httpx.AsyncBaseTransport``, for TLS, proxies or tests. The same
            rules hold, less what httpx cannot express; it costs more, and is
            not closed here. WebSockets do not go through it.

    Raises:
        ValueError: If a route, or a network, is invalid.
        TypeError: If an argument has the wrong type.

    Example:
        >>> route = Route({"1.0.0": "http://127.0.0.1:9001"}, main="1.0.0")
        >>> router = ShadowRouter({"hello": route})
        >>> router.stats()["in_flight"]
        0
    """

    def __init__(
        self,
        source: DeployerLike | Mapping[str, Route],
        *,
        mirror: MirrorPolicy | Mapping[str, MirrorPolicy] = MirrorPolicy(),  # noqa: B008 - frozen
        limits: Limits = Limits(),  # noqa: B008 - frozen
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        trusted_proxies: Iterable[str] = (),
        compare: ComparisonRules
        | Mapping[str, ComparisonRules]
        | None = ComparisonRules(),  # noqa: B008 - frozen
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        may_be_tls = transport is not None
        self._source = _source_of(source, may_be_tls=may_be_tls)
        self._transport = transport
        policy, policies = _policies(mirror)
        for value, kind in ((limits, Limits), (timeouts, Timeouts)):
            if not isinstance(value, kind):
                raise TypeError(f"Expected {kind.__name__}(...), not {value!r}.")
        if transport is not None and not hasattr(transport, "handle_async_request"):
            raise TypeError(f"transport is an httpx.AsyncBaseTransport: {transport!r}.")
        self._tally = Tally()
        self._recorder = _recorder_of(self._source)
        self._judge = Comparing(_rules_of(compare))
        self._settings = Settings(
            policies=policies,
            policy=policy,
            limits=limits,
            timeouts=timeouts,
            trusted=TrustedPeers(trusted_proxies),
            marks=Marks(getattr(self._source, "key", None)),
            judge=self._judge,
            tally=self._tally,
            compares=self._judge.compares,
            pairing_of=self._pairing_of,
        )
        self._entrance = Entrance(self._settings, self._source, may_be_tls=may_be_tls)
        self._sockets = WebSockets(self._settings, self._source, self._entrance)
        self._states: dict[asyncio.AbstractEventLoop, LoopState] = {}
        self._state: LoopState | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._serve_other(scope, receive, send)
            return
        tally = self._tally
        tally.in_flight += 1
        try:
            entered, first = None, None
            if scope["http_version"].startswith("1"):
                entered = self._entrance.enter_at_once(scope, is_empty=False)
            if entered is None:
                entered, first = await self._enter(scope, receive)
            plan, main_slot, slots = entered
            try:
                await Exchange(
                    plan,
                    self._loop_state(),
                    self._settings,
                    source=self._source,
                    slots=slots,
                    receive=receive,
                    send=send,
                    first=first,
                ).run()
            finally:
                self._source.leave(main_slot)
            tally.relayed += 1
        except Refusal as refusal:
            tally.refuse(refusal.status)
            await _send_refusal(scope, send, refusal)
        except (ClientGoneError, asyncio.CancelledError) as error:
            tally.client_gone += 1
            if isinstance(error, asyncio.CancelledError):
                raise
        except AnswerBrokenError as error:
            tally.broken += 1
            _log.warning("An answer broke off: %s", error)
            raise
        finally:
            tally.in_flight -= 1

    @contextlib.asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """
        Drain when the application shuts down: ``FastAPI(lifespan=router.lifespan)``.

        Optional: without it, connections end with the event loop.
        """
        del app
        try:
            yield
        finally:
            await self.aclose()

    async def aclose(self, *, drain: float = 10.0) -> None:
        """
        Wait for what is under way on this event loop, then free everything.

        The router may be used again afterwards.

        Args:
            drain: Seconds to wait at most; the rest is ended.
        """
        state = self._states.pop(asyncio.get_running_loop(), None)
        if state is not None:
            self._state = None
            self._sockets.close_soon(state)
            await state.drain(drain)
            self._judge.close()
            # It writes a file: in a thread, for other exchanges may go on.
            await asyncio.to_thread(self._recorder.flush)

    def stats(self) -> Mapping[str, object]:
        """
        Return what is under way, and the outcomes so far, in this process.

        Keys: ``in_flight``, ``held_bytes``, ``connections``, ``relayed``,
        ``broken``, ``client_gone``, ``refused`` (by status), and ``shadows``:
        by name and version, ``requests``, ``in_flight``, ``messages`` and
        ``outcomes``. ``noise`` has the same of what a main was asked twice
        (``MirrorPolicy.noise_rate``), and counts in no shadow.
        """
        connections = sum(state.connections for state in self._states.values())
        return {"connections": connections, **self._tally.as_mapping()}

    def report(self, name: str) -> Report:
        """
        Return how the answers of each shadow compare with main's; prints as a table.

        Of a ``Deployer``'s services it is the same as ``Deployer.report``: what every
        router on this machine has seen. Of static routes it is what this router has
        seen. It reads files, which takes milliseconds: on an event loop, call it in
        a thread.

        Args:
            name: The service.

        Raises:
            ServiceNotFoundError: If no version of the name is known.
            VersionNotFoundError: If it has no main.
            StateError: If the state directory cannot be used.

        Example:
            >>> route = Route(
            ...     {"1.0.0": "http://127.0.0.1:9001", "2.0.0": "http://127.0.0.1:9002"},
            ...     main="1.0.0",
            ... )
            >>> router = ShadowRouter({"hello": route})
            >>> print(router.report("hello").shadows[0].version)
            2.0.0
        """
        return report_of(self._evidence(name))

    def _evidence(self, name: str) -> Evidence:
        recorder, source = self._recorder, self._source
        if isinstance(source, RegistryReader):
            recorder.flush()
            registry = Registry(source.state, source.project)
            place = Place(source.project, source.state, registry)
            found = evidence_of(place, name)
        else:
            routes = source.poll() or source.last
            if name not in routes:
                raise ServiceNotFoundError(name, tuple(routes))
            found = evidence_of_route(name, routes[name], recorder.snapshot(name))
        return attrs.evolve(found, problem=recorder.problem)

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._sockets.serve(scope, receive, send, self._loop_state())
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            raise ValueError(f"Unknown ASGI scope type {scope['type']!r}.")

    def _pairing_of(self, name: str, main: str, shadow: str) -> Pairing | None:
        rules = self._judge.rules_of(name)
        if rules is None:
            return None
        return self._recorder.pairing(name, main, shadow, redacted=rules.hidden)

    async def _enter(
        self, scope: Scope, receive: Receive
    ) -> tuple[Entered, Event | None]:
        """Decide as soon as that can be done; return what was received for it."""
        if scope["http_version"].startswith("1"):
            return await self._entrance.enter(scope, is_empty=False), None
        # Nothing in an HTTP/2 request says whether a body follows.
        first = await receive()
        if first["type"] != "http.request":
            raise ClientGoneError
        is_empty = not (first.get("body") or first["more_body"])
        return await self._entrance.enter(scope, is_empty=is_empty), first

    def _loop_state(self) -> LoopState:
        loop = asyncio.get_running_loop()
        state = self._state
        if state is not None and state.loop is loop:
            return state
        state = self._states.get(loop)
        if state is None:
            # What a loop that has been closed left behind cannot be used.
            for known in [known for known in self._states if known.is_closed()]:
                self._states.pop(known).abandon()
            limits, timeouts = self._settings.limits, self._settings.timeouts
            state = LoopState(loop, limits, timeouts, self._transport)
            state.guard()
            self._states[loop] = state
        self._state = state
        return state

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif event["type"] == "lifespan.shutdown":
                await self.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _send_refusal(scope: Scope, send: Send, refusal: Refusal) -> None:
    try:
        for event in refusal_events(
            refusal,
            has_body=scope["method"] != "HEAD",
            can_close=scope["http_version"].startswith("1"),
        ):
            await send(dict(event))
    except (OSError, RuntimeError) as error:
        if not says_client_gone(error):
            raise


def _source_of(
    source: DeployerLike | Mapping[str, Route], *, may_be_tls: bool
) -> RouteSource:
    if isinstance(source, Mapping):
        return StaticSource(source, may_be_tls=may_be_tls)
    if hasattr(source, "poll") and hasattr(source, "enter"):
        return cast("RouteSource", source)
    state, project = getattr(source, "state", None), getattr(source, "project", None)
    if state is None or project is None:
        raise TypeError(
            f"source must be a Deployer or a mapping from name to Route, "
            f"not {type(source).__name__}."
        )
    return RegistryReader(Path(state), project)


def _recorder_of(source: RouteSource) -> Recorder:
    """Return what keeps the evidence: beside the registry, if there is one."""
    if isinstance(source, RegistryReader):
        return Recorder(source.state, source.project)
    return Recorder(None, "")


def _policies(
    mirror: MirrorPolicy | Mapping[str, MirrorPolicy],
) -> tuple[MirrorPolicy, Mapping[str, MirrorPolicy]]:
    if isinstance(mirror, MirrorPolicy):
        return mirror, {}
    policies = dict(mirror)
    for name, policy in policies.items():
        if not isinstance(policy, MirrorPolicy):
            raise TypeError(f"The policy of {name!r} is no MirrorPolicy: {policy!r}.")
    return MirrorPolicy(), policies


def _rules_of(
    compare: ComparisonRules | Mapping[str, ComparisonRules] | None,
) -> Callable[[str], ComparisonRules | None]:
    if compare is None or isinstance(compare, ComparisonRules):
        return lambda _: compare
    rules, others = dict(compare), ComparisonRules()
    for name, value in rules.items():
        if not isinstance(value, ComparisonRules):
            raise TypeError(f"The rules of {name!r} are no ComparisonRules: {value!r}.")
    return lambda name: rules.get(name, others)
