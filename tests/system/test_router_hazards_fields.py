"""Header fields, both ways and on every server."""

import asyncio
import contextlib
import functools
from typing import Any

import pytest

from daeploy_lib.domain.route import Route
from daeploy_lib.router.marks import Marks
from daeploy_lib.router.policy import MirrorPolicy
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.testing import (
    AsgiDriver,
    ReceivedRequest,
    ScriptedUpstream,
    answer,
)
from router_fronts import FRONTS, connected, fetch, get, until
from router_served import ByPath, replying, served


@pytest.fixture(params=sorted(FRONTS))
def front(request: pytest.FixtureRequest) -> Any:
    """Every server that is installed, one after another."""
    return FRONTS[request.param]


HOP_BY_HOP = [
    (b"Connection", b""),
    (b"Connection", b"keep-alive, X-Hop"),
    (b"Connection", b"X-Forwarded-For, Host, Content-Length, Authorization, X-Other"),
    (b"Connection", b"X-Daeploy-Role, Via, Cookie"),
    (b"X-Hop", b"1"),
    (b"X-Other", b"1"),
    (b"Keep-Alive", b"timeout=5"),
    (b"Proxy-Connection", b"keep-alive"),
    (b"Proxy-Authorization", b"Basic eDp5"),
    (b"TE", b"trailers, deflate"),
    (b"Trailer", b"X-T"),
]
END_TO_END = [
    (b"Authorization", b"Bearer x"),
    (b"Cookie", b"a=b"),
    (b"Traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    (b"Tracestate", b"congo=t61rcWkgMzE"),
    (b"Accept-Encoding", b"gzip"),
    (b"X-Two", b"1"),
    (b"X-Between", b""),
    (b"X-Two", b"2"),
    (b"X-Latin", b"\xe4\xff"),
]


def plain(request: ReceivedRequest, names: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the headers with these names, in their order."""
    return [header for header in request.headers if header[0] in names]


async def test_what_concerns_one_connection_ends_there(front: Any) -> None:
    """Every field that Connection names goes, but none that is not its own."""
    main, shadow = ByPath({}), ByPath({})
    request = get(b"/hello/", HOP_BY_HOP + END_TO_END, method=b"POST", body=b"abc")
    async with served(front, main, shadow) as it:
        assert (await fetch(it.port, request)).status == 200
        await until(lambda: shadow.requests)
    kept = [(name.lower(), value) for name, value in END_TO_END]
    for got in main.requests + shadow.requests:
        names = [name for name, _ in got.headers]
        for gone in (b"connection", b"x-hop", b"x-other", b"keep-alive", b"trailer"):
            assert gone not in names
        for gone in (b"proxy-connection", b"proxy-authorization"):
            assert gone not in names
        assert got.header(b"te") in ([b"trailers"], [])
        found = plain(got, [name for name, _ in kept])
        # granian groups fields of one name; of each name the order is kept.
        assert found == kept or (
            front is FRONTS.get("granian") and set(found) == set(kept)
        )
        assert got.header(b"x-two") == [b"1", b"2"]
        assert got.header(b"content-length") == [b"3"]
        assert got.header(b"host") == [b"client.example"]
        assert got.header(b"x-forwarded-for") == [b"127.0.0.1"]
        assert len(got.header(b"via")) == 1
    assert shadow.requests[0].header(b"x-daeploy-role") == [b"shadow"]


@pytest.mark.parametrize("is_trusted", [False, True])
async def test_forwarding_fields_are_made_anew(front: Any, is_trusted: bool) -> None:
    """What an untrusted peer says about the client goes; a trusted one's stays."""
    claimed = [
        (b"X-Forwarded-For", b"9.9.9.9"),
        (b"X-Forwarded-Host", b"evil"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Prefix", b"/outer"),
        (b"X-Forwarded-Port", b"1"),
        (b"X-Real-IP", b"9.9.9.9"),
        (b"Forwarded", b"for=9.9.9.9"),
    ]
    twins = [
        (name.replace(b"-", b"_"), value) for name, value in claimed if b"-" in name
    ]
    main = ByPath({})
    trusted = ["127.0.0.0/8"] if is_trusted else []
    if "uvicorn" in front.__name__:
        # It believes a peer on this machine by itself, before the router sees it.
        front = functools.partial(front, proxy_headers=False)
    async with served(front, main, trusted_proxies=trusted) as it:
        await fetch(it.port, get(b"/hello/", claimed + twins))
    got = main.requests[0]
    assert [name for name, _ in got.headers if b"_" in name] == []
    if is_trusted:
        assert got.header(b"x-forwarded-for") == [b"9.9.9.9, 127.0.0.1"]
        assert got.header(b"x-forwarded-host") == [b"evil"]
        assert got.header(b"x-forwarded-prefix") == [b"/outer/hello"]
    else:
        assert got.header(b"x-forwarded-for") == [b"127.0.0.1"]
        assert got.header(b"x-forwarded-host") == [b"client.example"]
        assert got.header(b"x-forwarded-proto") == [b"http"]
        assert got.header(b"x-forwarded-prefix") == [b"/hello"]
        assert got.header(b"x-real-ip") == [b"127.0.0.1"]
        assert got.header(b"forwarded") == []
        assert not any(b"9.9.9.9" in value for _, value in got.headers)


async def test_our_own_fields_are_nobody_elses(front: Any) -> None:
    """A client's x-daeploy fields go, also with underscores; a forged mark is none."""
    forged = [
        (b"X-Daeploy-Role", b"main"),
        (b"X-Daeploy-Version", b"9"),
        (b"X-Daeploy-Exchange", Marks(b"another key").new()),
        (b"X-Daeploy-Anything", b"1"),
        (b"x_daeploy_role", b"main"),
    ]
    main, shadow = ByPath({}), ByPath({})
    async with served(front, main, shadow) as it:
        await fetch(it.port, get(b"/hello/", forged))
        await until(lambda: shadow.requests)
    names = [name for name, _ in main.requests[0].headers]
    assert not [name for name in names if b"daeploy" in name and name != b"via"]
    ours = [header for header in shadow.requests[0].headers if b"daeploy" in header[0]]
    assert ours[:2] == [(b"x-daeploy-role", b"shadow"), (b"x-daeploy-version", b"2")]
    assert [name for name, _ in ours[2:]] == [b"x-daeploy-exchange"]
    assert ours[2][1] != forged[2][1]


async def test_headers_can_be_withheld_from_shadows(front: Any) -> None:
    """Main gets them all; the shadow gets none of those."""
    main, shadow = ByPath({}), ByPath({})
    secrets = [(b"Authorization", b"Bearer x"), (b"Cookie", b"a"), (b"X-Key", b"k")]
    policy = MirrorPolicy(withhold=["authorization", "Cookie", "x-key"])
    async with served(front, main, shadow, mirror=policy) as it:
        await fetch(it.port, get(b"/hello/", secrets))
        await until(lambda: shadow.requests)
    for name, value in secrets:
        assert main.requests[0].header(name.lower()) == [value]
        assert shadow.requests[0].header(name.lower()) == []


async def test_nothing_is_upgraded(front: Any) -> None:
    """Upgrade and HTTP2-Settings do not reach a version; no tunnel is opened."""
    main, shadow = ByPath({}), ByPath({})
    upgrades = [
        get(b"/hello/", [(b"Connection", b"Upgrade"), (b"Upgrade", b"foo/2")]),
        get(
            b"/hello/",
            [
                (b"Connection", b"Upgrade, HTTP2-Settings"),
                (b"Upgrade", b"h2c"),
                (b"HTTP2-Settings", b"AAMAAABkAAQCAAAAAAIAAAAA"),
            ],
        ),
    ]
    if front is FRONTS.get("hypercorn"):
        # It answers h2c by itself, and would serve HTTP/2 from there.
        del upgrades[1]
    async with served(front, main, shadow) as it:
        for request in upgrades:
            async with connected(it.port) as client:
                await client.send(request)
                status, _ = await asyncio.wait_for(client.head(), 5)
                assert status == 200
        await until(lambda: len(shadow.requests) == len(upgrades))
    for got in main.requests + shadow.requests:
        for gone in (b"upgrade", b"http2-settings", b"connection"):
            assert got.header(gone) == []


async def test_max_forwards_ends_options_here(front: Any) -> None:
    """0 is answered by the router, more is counted down, others keep theirs."""
    main, shadow = ByPath({}), ByPath({})
    async with served(front, main, shadow) as it:
        for method, count in ((b"OPTIONS", b"0"), (b"OPTIONS", b"3"), (b"GET", b"0")):
            request = get(b"/hello/", [(b"Max-Forwards", count)], method=method)
            got = await fetch(it.port, request)
            assert got.status == 200
            is_ours = (method, count) == (b"OPTIONS", b"0")
            assert bool(got.header(b"allow")) == is_ours
        await until(lambda: len(shadow.requests) == 2)
    found = [
        (request.line.split()[0], request.header(b"max-forwards"))
        for request in main.requests
    ]
    assert found == [(b"OPTIONS", [b"2"]), (b"GET", [b"0"])]


async def test_trace_and_loops_end_here(front: Any) -> None:
    """TRACE would echo credentials; what has passed this router is a loop."""
    main = ByPath({})
    async with served(front, main) as it:
        with contextlib.suppress(ConnectionError):
            got = await fetch(it.port, get(b"/hello/", method=b"TRACE"))
            assert got.status in (0, 400, 405)
        assert main.requests == []
        await fetch(it.port, get(b"/hello/"))
        via = main.requests[0].header(b"via")[0]
        got = await fetch(it.port, get(b"/hello/", [(b"Via", b"1.1 other, " + via)]))
        assert got.status == 508
        assert len(main.requests) == 1


ANSWER_FIELDS = (
    b"HTTP/1.1 200 Fine\r\nSet-Cookie: a=1; Path=/\r\nX-B: 2\r\nSet-Cookie: c=3\r\n"
    b"Connection: X-Hop\r\nConnection: keep-alive, Set-Cookie\r\nX-Hop: 1\r\n"
    b"Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nTrailer: X-T\r\n"
    b'Upgrade: h2c\r\nAlt-Svc: h3=":443"\r\nX-Empty:\r\nX-Latin: \xe4\r\n'
    b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8bzz"
)


async def test_answers_lose_what_is_not_for_clients(front: Any) -> None:
    """Cookies stay apart, order stays, bodies stay compressed; hops go."""
    main = ByPath({b"/": replying(ANSWER_FIELDS, then="stay")})
    async with served(front, main) as it:
        got = await fetch(it.port, get(b"/hello/", [(b"Accept-Encoding", b"br")]))
    assert (got.status, got.body) == (200, b"\x1f\x8bzz")
    assert got.header(b"set-cookie") == [b"a=1; Path=/", b"c=3"]
    assert got.header(b"content-encoding") == [b"gzip"]
    assert got.header(b"x-latin") == [b"\xe4"]
    assert got.header(b"x-empty") == [b""]
    for gone in (b"x-hop", b"proxy-authenticate", b"trailer", b"upgrade", b"alt-svc"):
        assert got.header(gone) == []


async def test_nothing_is_followed_stored_or_taken_from_the_environment(
    front: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redirects, cookies and proxy variables are the client's own affair."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    away = answer(
        headers=[(b"Location", b"/hello/b"), (b"Set-Cookie", b"s=1")],
        status=b"302 Found",
    )
    main = ByPath({b"/": replying(away, then="serve")})
    shadow = ByPath({b"/": replying(away, then="serve")})
    async with served(front, main, shadow) as it, connected(it.port) as client:
        await client.send(get(b"/hello/"))
        got = await asyncio.wait_for(client.answer(), 5)
        assert (got.status, got.header(b"location")) == (302, [b"/hello/b"])
        await it.settled()
        await client.send(get(b"/hello/next"))
        assert (await asyncio.wait_for(client.answer(), 5)).header(b"set-cookie") == []
        await until(lambda: len(shadow.requests) == 2)
    for version in (main, shadow):
        assert [r.line.split()[1] for r in version.requests] == [b"/", b"/next"]
        assert all(request.header(b"cookie") == [] for request in version.requests)


@pytest.mark.parametrize("value", [b"a\r\nx-role: admin", b"a\nb: c", b"a\rb", b"a\0b"])
async def test_a_line_break_that_a_server_lets_through_is_refused(value: bytes) -> None:
    """No server here does; if one did, no version would see two fields."""
    main = ByPath({})
    async with ScriptedUpstream(main) as upstream:
        router = ShadowRouter({"hello": Route({"1": upstream.address}, main="1")})
        fields = [(b"host", b"h"), (b"accept", value)]
        call = AsgiDriver(router).request("GET", b"/hello/", headers=fields)
        assert (await call.start())[0] == 400
        await call.body()
        assert upstream.wires == []
        await router.aclose()
