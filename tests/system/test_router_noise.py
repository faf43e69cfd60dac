"""Main is asked twice, to see how it differs from itself."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

import attrs
import pytest

from daeploy_lib import Limits, MirrorPolicy, Route
from daeploy_lib.metrics import metrics_app
from daeploy_lib.router.policy import Timeouts
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.testing import (
    AsgiDriver,
    ReceivedRequest,
    Script,
    ScriptedUpstream,
    Wire,
    answer,
)
from router_carriers import carry
from router_fronts import Echo, until

HOST = (b"host", b"h")
JSON = (b"content-type", b"application/json")


@pytest.fixture(params=["own", "httpx"], autouse=True)
def carrier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test over our own connections, and over a transport of httpx."""
    carry(request, monkeypatch)


def is_copy(request: ReceivedRequest) -> bool:
    """Return whether a request says that it is a copy."""
    return bool(request.header(b"x-daeploy-role"))


@attrs.define
class Asked:
    """A router whose main 1 is asked twice, with a shadow 2."""

    router: ShadowRouter
    routes: dict[str, Route]

    async def ask(
        self, method: str = "GET", count: int = 1, body: bytes = b""
    ) -> list[bytes]:
        """Make requests one after another and return their bodies."""
        driver, bodies = AsgiDriver(self.router), []
        headers = [HOST, (b"content-length", b"%d" % len(body))] if body else [HOST]
        for _ in range(count):
            call = driver.request(method, b"/hello/", headers=headers, body=body)
            assert (await call.start())[0] == 200
            bodies.append(await call.body())
        return bodies

    def noise(self) -> Mapping[str, Any]:
        """Return what is known of main's second answers."""
        stats: Any = self.router.stats()["noise"]
        found: Mapping[str, Any] = stats["hello"]["1"]
        return found

    def has_settled(self) -> bool:
        """Return whether each request has its outcome."""
        noise = self.noise()
        return bool(
            sum(noise["outcomes"].values()) == noise["requests"]
            and not noise["in_flight"]
        )


@contextlib.asynccontextmanager
async def asked_twice(
    main: Script, shadow: Script | None = None, rate: float = 1.0, **options: Any
) -> AsyncIterator[Asked]:
    """Route /hello to both."""
    async with (
        ScriptedUpstream(main) as first,
        ScriptedUpstream(shadow or Echo(b"main")) as second,
    ):
        routes = {"hello": Route({"1": first.address, "2": second.address}, main="1")}
        policy = MirrorPolicy(noise_rate=rate)
        router = ShadowRouter(routes, mirror=policy, **options)
        yield Asked(router, routes)
        await router.aclose(drain=0.0)


async def test_a_counted_share_is_asked_twice() -> None:
    """The client gets the first answer; the copy is marked, and so are the counts."""
    main = Echo()
    async with asked_twice(main, rate=0.25) as it:
        assert set(await it.ask(count=20)) == {b"main"}
        await it.ask("POST", count=7)
        await until(it.has_settled)
        assert it.noise()["requests"] == 5
        assert it.noise()["outcomes"] == {"match": 5}
        copies = [request for request in main.requests if is_copy(request)]
        assert len(copies) == 5
        assert len(main.requests) == 32
        assert {request.line for request in copies} == {b"GET / HTTP/1.1"}
        assert copies[0].header(b"x-daeploy-version") == [b"1"]
        stats: Any = it.router.stats()["shadows"]
        assert set(stats["hello"]) == {"2"}
        assert stats["hello"]["2"]["requests"] == 27


async def test_the_copy_has_the_body_of_the_request() -> None:
    """A GET may have one; both get all of it."""
    main = Echo()
    async with asked_twice(main) as it:
        await it.ask(body=b"0123456789")
        await until(it.has_settled)
        assert [request.body for request in main.requests] == [b"0123456789"] * 2


async def test_what_main_answers_the_second_time_is_compared() -> None:
    """It counts for main and itself, not for the shadow."""
    count = 0

    async def counting(wire: Wire) -> None:
        nonlocal count
        while True:
            await wire.request()
            count += 1
            await wire.send(answer(b'{"n": %d, "a": 1}' % count, headers=[JSON]))

    async with asked_twice(counting, counting) as it:
        await it.ask(count=10)
        await until(it.has_settled)
        assert it.noise()["outcomes"] == {"differ": 10}
        await until(lambda: it.router.report("hello")["2"].exchanges == 10)
        report = it.router.report("hello")
        assert [shadow.version for shadow in report] == ["2"]


def misbehaving(how: str) -> Script:
    """Return a main that answers the first request, and does this to a copy."""

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            if not is_copy(request):
                await wire.send(answer(b"main"))
            elif how == "hang":
                await wire.until_closed()
            elif how == "reset":
                wire.reset()
            elif how == "garbage":
                await wire.send(b"\x00\xff" * 100)
            elif how == "short":
                await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
                wire.close()
            elif how == "long":
                await wire.send(answer(b"x" * 4_000_000))
            else:
                await wire.send(answer(b"", status=b"500 Oh"))

    return script


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        ("hang", "timeout"),
        ("reset", "shadow_error"),
        ("garbage", "shadow_error"),
        ("short", "shadow_error"),
        ("long", "differ"),
        ("fail", "differ"),
    ],
)
async def test_a_second_answer_cannot_hurt_the_first(how: str, outcome: str) -> None:
    """Whatever becomes of it, the client has its answer, and it is one outcome."""
    timeouts = Timeouts(shadow=0.3)
    async with asked_twice(misbehaving(how), timeouts=timeouts) as it:
        assert await it.ask(count=8) == [b"main"] * 8
        await until(it.has_settled)
        outcomes = dict(it.noise()["outcomes"])
        # What is longer by far is not read to its end, and then not compared.
        assert sum(outcomes.values()) == 8
        assert set(outcomes) <= {outcome, "incomparable"}
        stats: Any = it.router.stats()
        await until(lambda: it.router.stats()["held_bytes"] == 0)
        assert sum(stats["shadows"]["hello"]["2"]["outcomes"].values()) == 8


async def test_too_many_second_requests_are_dropped() -> None:
    """They have a bound of their own, and take none of the shadow's places."""
    limits = Limits(max_in_flight=2)
    async with asked_twice(misbehaving("hang"), limits=limits) as it:
        await it.ask(count=5)
        await until(lambda: it.noise()["outcomes"].get("dropped_in_flight") == 3)
        assert it.noise()["in_flight"] == 2
        stats: Any = it.router.stats()["shadows"]
        assert set(stats["hello"]["2"]["outcomes"]) == {"match"}
        await it.router.aclose(drain=0.0)
        assert it.noise()["outcomes"] == {"dropped_in_flight": 3, "timeout": 2}


async def test_the_counts_are_there_for_prometheus() -> None:
    """Under names of their own, so that sums over shadows stay right."""
    async with asked_twice(Echo()) as it:
        await it.ask(count=3)
        await until(it.has_settled)
        call = AsgiDriver(metrics_app(it.router)).request("GET", b"/", headers=[HOST])
        await call.start()
        lines = (await call.body()).decode().splitlines()
    which = 'service="hello",version="1"'
    assert f"daeploy_noise_requests_total{{{which}}} 3.0" in lines
    outcome = 'outcome="match",service="hello",version="1"'
    assert f"daeploy_noise_outcomes_total{{{outcome}}} 3.0" in lines
    assert not [line for line in lines if line.startswith(f"daeploy_shadow_re{which}")]


async def test_under_any_fault_every_slot_is_left_and_every_request_counted() -> None:
    """Faults of main and client, and routes that change meanwhile."""
    dice = random.Random(5)  # noqa: S311 - no secret
    hows = ["hang", "reset", "garbage", "short", "fail", "fine", "fine", "fine"]

    async def fickle(wire: Wire) -> None:
        while True:
            await wire.request()
            how = dice.choice(hows)
            if how == "hang":
                await wire.until_closed()
            elif how == "reset":
                wire.reset()
            elif how == "garbage":
                await wire.send(b"\x00\xff" * 100)
            elif how == "short":
                await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
                wire.close()
            else:
                await wire.send(answer(b"%d" % dice.randrange(3)))

    async with asked_twice(fickle, fickle, timeouts=Timeouts(shadow=0.3)) as it:
        source: Any = Counting(it.routes)
        it.router = ShadowRouter(
            source,
            mirror=MirrorPolicy(noise_rate=0.5),
            timeouts=Timeouts(first_byte=0.3, shadow=0.3),
        )

        async def client() -> None:
            call = AsgiDriver(it.router).request("GET", b"/hello/", headers=[HOST])
            with contextlib.suppress(Exception):
                if dice.random() < 0.2:
                    await asyncio.sleep(0)
                    call.disconnect()
                await call.start()
                await call.body()

        for _ in range(20):
            await asyncio.gather(*(client() for _ in range(10)))
        await until(lambda: not it.router.stats()["in_flight"])
        await until(it.has_settled)
        await until(lambda: not source.under_way)
        assert it.noise()["requests"] == 100
        stats: Any = it.router.stats()["shadows"]
        assert sum(stats["hello"]["2"]["outcomes"].values()) == 200
        await it.router.aclose(drain=0.0)


class Counting:
    """Routes of a test, with a count of the requests that are in flight."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        self.last = routes
        self.under_way: dict[int, str] = {}
        self._next = 0

    def poll(self) -> Mapping[str, Route]:
        """Return the routes."""
        return self.last

    def enter(self, name: str, version: str) -> int:
        """Note a request; return its slot."""
        self._next += 1
        self.under_way[self._next] = f"{name} {version}"
        return self._next

    def leave(self, slot: int) -> None:
        """Note its end; a slot is left once."""
        del self.under_way[slot]
