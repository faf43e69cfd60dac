"""A router behind a real server, with scripted versions on the other side."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import attrs

from daeploy_lib.domain.route import Route
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.testing import (
    ReceivedRequest,
    Script,
    ScriptedUpstream,
    Wire,
    answer,
)
from router_fronts import Echo, until


@attrs.define
class Served:
    """A router behind a server, with the versions that it routes to."""

    port: int
    router: ShadowRouter
    main: ScriptedUpstream
    shadow: ScriptedUpstream

    def version(self, version: str = "2") -> Mapping[str, Any]:
        """Return what is known of the shadow."""
        shadows: Any = self.router.stats()["shadows"]
        found: Mapping[str, Any] = shadows["hello"][version]
        return found

    def outcomes(self, version: str = "2") -> Mapping[str, int]:
        """Return the outcomes of the shadow so far."""
        found: Mapping[str, int] = self.version(version)["outcomes"]
        return found

    async def settled(self, version: str = "2", seconds: float = 5.0) -> None:
        """Wait until every pair has its outcome; no more, no fewer."""
        await until(
            lambda: (
                not self.router.stats()["in_flight"]
                and sum(self.outcomes(version).values())
                == self.version(version)["requests"]
            ),
            "every pair settled",
            seconds,
        )


@contextlib.asynccontextmanager
async def served(
    front: Any, main: Script, shadow: Script | None = None, **options: Any
) -> AsyncIterator[Served]:
    """Serve /hello with a main and a shadow."""
    async with (
        ScriptedUpstream(main) as first,
        ScriptedUpstream(shadow or Echo(b"shadow"), backlog=2048) as second,
    ):
        route = Route({"1": first.address, "2": second.address}, main="1")
        router = ShadowRouter({"hello": route}, **{"compare": None, **options})
        async with front(router) as port:
            yield Served(port, router, first, second)
            await router.aclose(drain=0.0)


def saying(*parts: bytes, then: str = "close") -> Script:
    """Return a script that reads a request, says the parts, and ends."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await say(wire, *parts, then=then)

    return script


async def say(wire: Wire, *parts: bytes, then: str = "close") -> None:
    """Say the parts, then ``close``, ``reset``, ``stay`` or ``serve`` on."""
    await wire.send(*parts)
    if then == "close":
        wire.close()
    elif then == "reset":
        wire.reset()
    elif then == "stay":
        await wire.until_closed()


Reply = Callable[[Wire, ReceivedRequest], Awaitable[None]]


class ByPath:
    """
    A version whose behaviour depends on the path, to have many on one server.

    Its script serves one request after another on a connection; a path that it
    does not know is answered with ``ok``.

    Args:
        replies: By path.
    """

    def __init__(self, replies: Mapping[bytes, Reply]) -> None:
        self._replies = replies
        self.requests: list[ReceivedRequest] = []

    async def __call__(self, wire: Wire) -> None:
        """Serve until one of the sides ends the connection."""
        while True:
            request = await wire.request()
            self.requests.append(request)
            path = request.line.split(b" ")[1]
            reply = self._replies.get(path)
            if reply is not None:
                await reply(wire, request)
            else:
                body = b"" if request.line.startswith(b"HEAD") else b"ok"
                await wire.send(answer(body))


def replying(*parts: bytes, then: str = "close") -> Reply:
    """Return a reply that says the parts and ends; see ``say``."""

    async def reply(wire: Wire, request: ReceivedRequest) -> None:
        del request
        await say(wire, *parts, then=then)

    return reply
