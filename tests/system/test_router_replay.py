"""What a router has kept of a request is sent again as the versions got it."""

import asyncio
import json

import pytest

from daeploy_lib import Route, ShadowRouter
from daeploy_lib.router.replay import replay
from daeploy_lib.testing import AsgiDriver, ScriptedUpstream, Wire, answer
from daeploy_lib.testing import ReceivedRequest as Received
from router_carriers import carry
from router_fronts import until


@pytest.fixture(params=["own", "httpx"], autouse=True)
def carrier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test over our own connections, and over a transport of httpx."""
    carry(request, monkeypatch)


class Adding:
    """A version that adds something to the number it is asked about."""

    def __init__(self, more: int) -> None:
        self.more = more
        self.requests: list[Received] = []

    async def __call__(self, wire: Wire) -> None:
        """Serve until the client ends the connection."""
        while True:
            request = await wire.request()
            self.requests.append(request)
            found = json.loads(request.body)["n"] + self.more
            headers = [(b"content-type", b"application/json")]
            await wire.send(
                answer(json.dumps({"sum": found}).encode(), headers=headers)
            )


HEADERS = [
    (b"host", b"h"),
    (b"content-type", b"application/json"),
    (b"content-length", b"8"),
    (b"authorization", b"Bearer abcdefgh12345678"),
    (b"x-tenant", b"acme"),
]


async def test_both_versions_answer_as_they_did() -> None:
    """The request is the copy that the shadow got, less its connection and secrets."""
    one, two = Adding(1), Adding(2)
    async with ScriptedUpstream(one) as main, ScriptedUpstream(two) as shadow:
        addresses = {"1": main.address, "2": shadow.address}
        router = ShadowRouter({"hello": Route(addresses, main="1")})
        target = b"/hello/add%2F/;v=1?unit=%25&x=a+b"
        call = AsgiDriver(router).request(
            "POST", target, headers=HEADERS, body=b'{"n": 1}'
        )
        await call.start()
        assert await call.body() == b'{"sum": 2}'
        await until(lambda: router.report("hello")["2"].examples)
        [example] = router.report("hello")["2"].examples
        for version, kept in (("1", example.main_body), ("2", example.shadow_body)):
            again = await asyncio.to_thread(replay, example, addresses[version])
            assert again.body.decode() == kept.text
        await router.aclose()
    copy, repeated = two.requests
    assert repeated.line == copy.line == b"POST /add%2F/;v=1?unit=%25&x=a+b HTTP/1.1"
    assert repeated.body == copy.body
    never = {b"via", b"authorization", b"x-daeploy-version", b"x-daeploy-exchange"}
    expected = [h for h in copy.headers if h[0] not in {*never, b"host"}]
    assert sorted(h for h in repeated.headers if h[0] != b"host") == sorted(expected)
