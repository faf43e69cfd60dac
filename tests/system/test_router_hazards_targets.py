"""Where a request may point, and what of its target versions see, on every server."""

import asyncio
import contextlib
from typing import Any

import pytest

from daeploy_lib.testing import ScriptedUpstream
from router_fronts import FRONTS, Echo, connected, fetch, get, until
from router_served import ByPath, served


@pytest.fixture(params=sorted(FRONTS))
def front(request: pytest.FixtureRequest) -> Any:
    """Every server that is installed, one after another."""
    return FRONTS[request.param]


TARGETS = [
    b"/",
    b"/a%2Fb%2fc",
    b"/%2e",
    b"/a%zzb",
    b"/%",
    b"//double//slash/",
    b"/;a=b;c",
    b"/~!$&'()*+,=:@",
    b"/%0d%0aX-Injected:%201",
    b"/%00",
    b"/%ff%fe",
    b"/a?b=1&b=2&;c;&%zz=+%20&=&&",
    b"/a?",
    b"/a?/../..//?",
    b"/a?x=%0d%0aHost:%20evil",
    b"/a?" + b"&".join([b"k=v"] * 10_000),
]


async def test_targets_arrive_byte_for_byte(front: Any) -> None:
    """Path and query are those of the client, at main and at the shadow."""
    main, shadow = ByPath({}), ByPath({})
    wanted = []
    async with served(front, main, shadow) as it, connected(it.port) as client:
        for target in TARGETS:
            await client.send(get(b"/hello" + target))
            got = await asyncio.wait_for(client.answer(), 5)
            if target == b"/%2e":  # a dot segment, and refused as such
                assert got.status == 400
                continue
            assert got.status == 200, target[:60]
            wanted.append(b"GET %b HTTP/1.1" % target)
        await until(lambda: len(shadow.requests) == len(wanted))
        await it.settled()
    # A question mark without a query is all that a scope cannot say.
    wanted = [line.replace(b"/a? ", b"/a ") for line in wanted]
    assert [request.line for request in main.requests] == wanted
    assert sorted(request.line for request in shadow.requests) == sorted(wanted)
    for request in main.requests + shadow.requests:
        assert request.header(b"host") == [b"client.example"]
        assert request.header(b"x-injected") == []


async def test_nothing_in_a_request_chooses_the_address(front: Any) -> None:
    """Targets and headers that name another host lead to main, or nowhere."""
    main = ByPath({})
    reached = Echo(b"elsewhere")
    async with (
        ScriptedUpstream(reached) as elsewhere,
        served(front, main, main) as it,
    ):
        there = elsewhere.address.encode()
        host = there.removeprefix(b"http://")
        requests = [
            b"GET %b/hello/ HTTP/1.1\r\nHost: h\r\n\r\n" % there,
            b"GET //%b/hello/ HTTP/1.1\r\nHost: h\r\n\r\n" % host,
            b"GET /hello/@%b/ HTTP/1.1\r\nHost: h\r\n\r\n" % host,
            b"GET /hello/%b HTTP/1.1\r\nHost: h\r\n\r\n" % there,
            b"GET /hello/ HTTP/1.1\r\nHost: %b\r\n\r\n" % host,
            get(
                b"/hello/",
                [(b"X-Forwarded-Host", host), (b"Forwarded", b"host=" + host)],
            ),
            get(b"/hello/", [(b"X-Original-URL", there), (b"X-Rewrite-URL", there)]),
            get(b"/hello/", [(b"Destination", there), (b"Location", there)]),
            b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (host, host),
            b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET * HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET hello/ HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /hello/a#b HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /hello/a b HTTP/1.1\r\nHost: h\r\n\r\n",
        ]
        for request in requests:
            async with connected(it.port) as client:
                with contextlib.suppress(ConnectionError):
                    await client.send(request)
                got = await asyncio.wait_for(client.answer(), 5)
                assert got.status in (0, 200, 400, 404, 405), request
        await it.settled()
        assert elsewhere.wires == []
    for arrived in main.requests:
        target = arrived.line.split(b" ")[1]
        assert target.startswith(b"/")
        assert b"#" not in target
        # Absolute-form may arrive as the path that it has, and as no more.
        assert len(arrived.line.split(b" ")) == 3


async def test_methods_arrive_as_they_are(front: Any) -> None:
    """Bytes and case of a method are kept, unless the server knows it not."""
    main, shadow = ByPath({}), ByPath({})
    sent = [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PURGE"]
    odd = [b"PROPFIND", b"M-SEARCH", b"get", b"FooBar"]
    async with served(front, main, shadow) as it:
        arrived = []
        for method in sent + odd:
            got = await fetch(it.port, get(b"/hello/", method=method))
            assert got.status == 200 or (method in odd and got.status in (0, 400, 405))
            if got.status == 200:
                is_upper = front is FRONTS.get("hypercorn")  # it writes them so
                arrived.append(method.upper() if is_upper else method)
        await until(lambda: len(shadow.requests) == len(arrived))
    assert [request.line.split()[0] for request in main.requests] == arrived


async def test_a_body_is_announced_only_if_there_is_one(front: Any) -> None:
    """GET has no length, an empty POST keeps its 0, a GET with a body keeps it."""
    main, shadow = ByPath({}), ByPath({})
    async with served(front, main, shadow) as it:
        await fetch(it.port, get(b"/hello/none"))
        await fetch(
            it.port, get(b"/hello/zero", [(b"Content-Length", b"0")], method=b"POST")
        )
        await fetch(it.port, get(b"/hello/body", body=b"abc"))
        await until(lambda: len(shadow.requests) == 3)
    for version in (main, shadow):
        found = {request.line.split()[1]: request for request in version.requests}
        assert found[b"/none"].header(b"content-length") == []
        assert found[b"/zero"].header(b"content-length") == [b"0"]
        assert found[b"/body"].body == b"abc"
        assert found[b"/body"].header(b"content-length") == [b"3"]
        for request in found.values():
            assert request.header(b"transfer-encoding") == []
