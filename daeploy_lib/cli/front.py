"""The application that ``daeploy serve`` runs: a router, and what is beside it."""

import importlib
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from daeploy_lib.registry.reader import RegistryReader
from daeploy_lib.router.policy import MirrorPolicy
from daeploy_lib.shadow_router import ShadowRouter

PREFIX = "/services"
_METRICS = "/metrics"

_Scope = Mapping[str, Any]
_Receive = Callable[[], Awaitable[dict[str, Any]]]
_Send = Callable[[Any], Awaitable[None]]


@attrs.frozen
class _Place:
    """Where the registry is: all that a router needs of a Deployer."""

    state: Path
    project: str


class Front:
    """
    An ASGI application: the router at ``/services``, an index at ``/``.

    Args:
        state: The state directory.
        project: The project.
        mirror: Which requests are copied.
    """

    def __init__(self, state: Path, project: str, mirror: MirrorPolicy) -> None:
        self._router = ShadowRouter(_Place(state, project), mirror=mirror)
        self._reader = RegistryReader(state, project)
        self._metrics = _metrics(self._router)

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Serve one ASGI connection."""
        path = scope.get("path", "")
        if scope["type"] == "lifespan":
            await self._router(scope, receive, send)
        elif path.startswith(f"{PREFIX}/") and path != f"{PREFIX}/":
            root = scope.get("root_path", "") + PREFIX
            await self._router({**scope, "root_path": root}, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        elif path in {_METRICS, f"{_METRICS}/"} and self._metrics is not None:
            await self._metrics(scope, receive, send)
        elif path in {"/", PREFIX, f"{PREFIX}/"}:
            await _answer(send, 200, self._index())
        else:
            known = f"{PREFIX}/NAME/ reaches a service, / lists them."
            await _answer(send, 404, {"detail": f"Nothing is at this path: {known}"})

    def _index(self) -> dict[str, object]:
        routes = self._reader.poll() or self._reader.last
        return {
            "services": {
                name: {
                    "path": f"{PREFIX}/{name}/",
                    "main": route.main,
                    "shadows": list(route.shadows),
                    "versions": {
                        version: f"{PREFIX}/{name}_{version}/"
                        for version in route.addresses
                    },
                }
                for name, route in routes.items()
            }
        }


def _metrics(router: ShadowRouter) -> Any:
    """Return what answers with counts; None without the extra."""
    try:
        return importlib.import_module("daeploy_lib.metrics").metrics_app(router)
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        return None


async def _answer(send: _Send, status: int, value: object) -> None:
    body = json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
