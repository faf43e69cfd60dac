"""Real services behind the router: the same as calling main directly."""

import asyncio
import random
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from daeploy_lib.domain.route import Route
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.testing import ScriptedUpstream, Wire, answer
from router_fronts import Echo, RawClient, connected, get, uvicorn_httptools


def service() -> FastAPI:
    """Return a service that shows most kinds of answers."""
    app = FastAPI()

    @app.get("/json")
    async def in_json() -> JSONResponse:
        answer = JSONResponse({"x": [1, 2]}, status_code=201)
        answer.set_cookie("a", "1")
        answer.set_cookie("b", "2")
        return answer

    @app.get("/stream")
    async def in_parts() -> StreamingResponse:
        async def parts() -> Any:
            for number in range(5):
                yield f"{number}\n"

        return StreamingResponse(parts(), media_type="text/event-stream")

    @app.post("/echo")
    async def echo(request: Request) -> Response:
        return Response(await request.body(), media_type="application/octet-stream")

    @app.delete("/gone", status_code=204)
    async def gone() -> None:
        return None

    return app


async def raw(client: RawClient, request: bytes) -> tuple[bytes, bytes]:
    """Return the bytes of the head of an answer, and its body."""
    await client.send(request)
    head = await client.reader.readuntil(b"\r\n\r\n")
    fields = head.split(b"\r\n", 1)[1].lower()
    if b"transfer-encoding: chunked" in fields:
        parts = []
        while part := await client.chunk():
            parts.append(part)
        return head, b"".join(parts)
    _, _, length = fields.partition(b"content-length: ")
    is_head = request.startswith(b"HEAD")
    count = 0 if is_head or not length else int(length.split(b"\r\n")[0])
    return head, await client.reader.readexactly(count)


@pytest.mark.parametrize(
    "request_bytes",
    [
        get(b"%s/json"),
        get(b"%s/json", method=b"HEAD"),
        get(b"%s/json", method=b"DELETE"),
        get(b"%s/stream"),
        get(b"%s/echo", method=b"POST", body=b"\x00\xff" * 100_000),
        get(b"%s/gone", method=b"DELETE"),
        get(b"%s/missing"),
        get(b"%s/openapi.json"),
    ],
    ids=["json", "head", "405", "stream", "echo", "204", "404", "openapi"],
)
async def test_the_bytes_are_those_of_main(request_bytes: bytes) -> None:
    """Status line, every header line and the body equal those of a direct call."""
    quiet: dict[str, Any] = {"date_header": False, "server_header": False}
    async with (
        uvicorn_httptools(service(), **quiet) as main,
        uvicorn_httptools(service(), **quiet) as shadow,
    ):
        addresses = {"1": f"http://127.0.0.1:{main}", "2": f"http://127.0.0.1:{shadow}"}
        router = ShadowRouter({"hello": Route(addresses, main="1")})
        async with (
            uvicorn_httptools(router, **quiet) as port,
            connected(main) as direct,
            connected(port) as client,
        ):
            for _ in range(3):
                expected = await raw(direct, request_bytes.replace(b"%s", b"", 1))
                got = await raw(client, request_bytes.replace(b"%s", b"/hello", 1))
                assert got == expected
            await router.aclose()


async def test_nobody_gets_a_strangers_answer() -> None:
    """Many clients, changing mains, failing shadows: each gets its own answer."""
    dice = random.Random(11)  # noqa: S311 - no secret
    errors: list[object] = []

    async def version(wire: Wire) -> None:
        while True:
            request = await wire.request()
            await asyncio.sleep(dice.random() * 0.002)
            if request.header(b"x-daeploy-role") and dice.random() < 0.3:
                wire.reset()
            await wire.send(answer(request.line + b"|" + request.body))

    async with (
        ScriptedUpstream(version) as one,
        ScriptedUpstream(version) as two,
        ScriptedUpstream(Echo()) as three,
    ):
        addresses = {"1": one.address, "2": two.address, "3": three.address}
        routes = {"hello": Route(addresses, main="1")}
        router = ShadowRouter(routes)

        async def client(port: int, number: int) -> None:
            async with connected(port) as client:
                for turn in range(40):
                    target = b"/%d/%d" % (number, turn)
                    body = b"<%d %d>" % (number, turn) * dice.randrange(1, 500)
                    request = get(b"/hello" + target, method=b"PUT", body=body)
                    await client.send(request)
                    got = await client.answer()
                    expected = b"PUT " + target + b" HTTP/1.1|" + body
                    if (got.status, got.body) != (200, expected):
                        errors.append((got.status, got.body[:100], expected[:100]))

        async def flip() -> None:
            while True:
                await asyncio.sleep(0.01)
                routes["hello"] = Route(addresses, main=dice.choice("12"))

        async with uvicorn_httptools(router) as port:
            flipping = asyncio.ensure_future(flip())
            await asyncio.gather(*(client(port, number) for number in range(24)))
            flipping.cancel()
            await router.aclose(drain=1.0)
        assert errors == []
        stats: Any = router.stats()
        assert stats["relayed"] == 24 * 40
        for tally in stats["shadows"]["hello"].values():
            assert sum(tally["outcomes"].values()) == tally["requests"]
