"""What the servers serve: our router, and the one of ten lines with httpx."""

import asyncio
import json
import os
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from daeploy_lib import ComparisonRules, Route, ShadowRouter, Timeouts

# Service -> addresses, main's first.
SERVICES: dict[str, list[str]] = json.loads(os.environ["BENCH_SERVICES"])


def bare() -> ShadowRouter:
    """Return the router as it is."""
    routes = {}
    for name, addresses in SERVICES.items():
        versions = {f"{i}": f"http://{at}" for i, at in enumerate(addresses, 1)}
        routes[name] = Route(versions, main="1")
    deadline = float(os.environ.get("BENCH_SHADOW_DEADLINE", "30"))
    compare = ComparisonRules() if os.environ.get("BENCH_COMPARES") else None
    return ShadowRouter(routes, timeouts=Timeouts(shadow=deadline), compare=compare)


def mounted() -> Starlette:
    """Return an application that the router is a part of."""
    return Starlette(routes=[Mount("/", bare())])


def plain() -> Any:
    """Return what one would write with httpx in ten lines."""
    client = httpx.AsyncClient(trust_env=False)
    under_way = set[asyncio.Task[httpx.Response]]()

    async def router(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event["body"], event["more_body"]

        def ask(address: str) -> "asyncio.Task[httpx.Response]":
            url = f"http://{address}{scope['path']}"
            kwargs = {"headers": scope["headers"], "content": body}
            task = asyncio.create_task(client.request(scope["method"], url, **kwargs))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            return task

        main, *_ = [ask(at) for at in SERVICES[scope["path"].split("/")[1]]]
        answer = await main
        start = {"status": answer.status_code, "headers": answer.headers.raw}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": answer.content})

    return router


if os.environ.get("BENCH_SERVED"):
    # granian wants an application, not what makes one.
    app = {"bare": bare, "mounted": mounted, "plain": plain}[
        os.environ["BENCH_SERVED"]
    ]()
