"""Copies: what they get, what they may cost, and how each of them ends."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

import attrs
import psutil
import pytest

from daeploy_lib.domain.route import Route
from daeploy_lib.router import outcome
from daeploy_lib.router.marks import Marks
from daeploy_lib.router.outcome import Observation, Outcome, Pair, Settle
from daeploy_lib.router.policy import Limits, MirrorPolicy, Timeouts
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.testing import AsgiDriver, Script, ScriptedUpstream, Wire, answer
from router_carriers import carry
from router_fronts import Echo, connected, unaccepting, until, uvicorn_httptools

MIB = 1024 * 1024
HOST = (b"host", b"h")
CHUNKED = (b"transfer-encoding", b"chunked")


@pytest.fixture(params=["own", "httpx"], autouse=True)
def carrier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test over our own connections, and over a transport of httpx."""
    carry(request, monkeypatch)


@attrs.define
class Mirrored:
    """A router with a main and shadows, driven without a server."""

    driver: AsgiDriver
    router: ShadowRouter
    main: ScriptedUpstream
    shadows: list[ScriptedUpstream]

    def version(self, number: int = 0) -> Mapping[str, Any]:
        """Return what is known of one shadow."""
        shadows: Any = self.router.stats()["shadows"]
        found: Mapping[str, Any] = shadows["hello"][f"s{number}"]
        return found

    def outcomes(self, number: int = 0) -> Mapping[str, int]:
        """Return the outcomes of one shadow."""
        found: Mapping[str, int] = self.version(number)["outcomes"]
        return found

    async def ask(self, method: str = "GET", *headers: tuple[bytes, bytes]) -> bytes:
        """Make one request and return its body."""
        call = self.driver.request(method, b"/hello/", headers=[HOST, *headers])
        status, _ = await call.start()
        assert status == 200
        return await call.body()


@contextlib.asynccontextmanager
async def mirrored(
    main: Script, *shadows: Script, **options: Any
) -> AsyncIterator[Mirrored]:
    """Route /hello to a main and shadows s0, s1, …."""
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(ScriptedUpstream(main))
        others = [
            await stack.enter_async_context(ScriptedUpstream(shadow, backlog=2048))
            for shadow in shadows
        ]
        addresses = {"main": first.address}
        addresses |= {f"s{number}": it.address for number, it in enumerate(others)}
        router = ShadowRouter(
            {"hello": Route(addresses, main="main")}, **{"compare": None, **options}
        )
        yield Mirrored(AsgiDriver(router), router, first, others)
        await router.aclose(drain=0.0)


async def stay(wire: Wire) -> None:
    """Read everything and never answer."""
    await wire.until_closed()


async def counting(wire: Wire, into: list[int]) -> None:
    """Take an upload as fast as it comes."""
    await wire.head()
    async for chunk in wire.chunks():
        into.append(len(chunk))  # noqa: PERF401 - looked at meanwhile
    await wire.send(answer(b"ok"))
    await wire.until_closed()


async def test_every_shadow_gets_its_own_name_and_one_exchange() -> None:
    """All copies of a request share one id and name the version that gets it."""
    one, two, main = Echo(), Echo(), Echo()
    async with mirrored(main, one, two) as it:
        await it.ask()
        await until(lambda: one.requests and two.requests)
        first, second = one.requests[0], two.requests[0]
        assert first.header(b"x-daeploy-role") == [b"shadow"]
        assert first.header(b"x-daeploy-version") == [b"s0"]
        assert second.header(b"x-daeploy-version") == [b"s1"]
        ids = first.header(b"x-daeploy-exchange")
        assert ids == second.header(b"x-daeploy-exchange")
        assert len(ids) == 1
        assert not [h for h in main.requests[0].headers if b"daeploy-" in h[0]]


async def test_a_version_of_its_own_is_never_mirrored() -> None:
    """/name_version reaches that version alone."""
    one, main = Echo(b"one"), Echo()
    async with mirrored(main, one) as it:
        call = it.driver.request("GET", b"/hello_s0/x")
        await call.start()
        assert await call.body() == b"one"
        call = it.driver.request("GET", b"/hello_main/x")
        await call.start()
        assert await call.body() == b"main"
        assert len(one.requests) == len(main.requests) == 1
        assert one.requests[0].header(b"x-daeploy-role") == []
        assert one.requests[0].header(b"x-forwarded-prefix") == [b"/hello_s0"]


async def test_a_hung_shadow_costs_no_task_and_ends() -> None:
    """Copies to a shadow that never answers end in drops and timeouts."""
    limits, timeouts = Limits(max_in_flight=20), Timeouts(shadow=0.5)
    async with mirrored(Echo(), stay, limits=limits, timeouts=timeouts) as it:
        most = 0
        for _ in range(200):
            assert await it.ask() == b"main"
            most = max(most, it.version()["in_flight"])
        # One task serves each connection of the two upstreams; one is ours.
        wires = len(it.main.wires) + len(it.shadows[0].wires)
        assert len(asyncio.all_tasks()) <= wires + 1
        assert most == 20
        await until(lambda: it.version()["in_flight"] == 0)
        assert set(it.outcomes()) == {"dropped_in_flight", "timeout"}
        assert sum(it.outcomes().values()) == it.version()["requests"] == 200
        await until(lambda: all(wire.has_ended for wire in it.shadows[0].wires))
        assert it.router.stats()["held_bytes"] == 0
        assert it.router.stats()["connections"] == 1


async def test_a_slow_shadow_loses_its_copy_of_a_large_upload() -> None:
    """Main gets 200 MiB at its own pace; the slow copy is aborted, not cut short."""
    size, chunk = 200 * MIB, b"x" * 65536
    got: list[int] = []
    copied: list[int] = []
    slow_wires: list[Wire] = []

    async def slow(wire: Wire) -> None:
        slow_wires.append(wire)
        await wire.head()
        with contextlib.suppress(EOFError):
            while True:
                await wire.read(1024)
                await asyncio.sleep(0.01)

    async def main(wire: Wire) -> None:
        await counting(wire, got)

    async def fast(wire: Wire) -> None:
        await counting(wire, copied)

    process = psutil.Process()
    async with mirrored(main, slow, fast) as it, uvicorn_httptools(it.router) as port:
        before = process.memory_info().rss
        peak = held = 0
        async with connected(port) as client:
            await client.send(
                b"POST /hello/ HTTP/1.1\r\nHost: h\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
            )
            for number in range(size // len(chunk)):
                await client.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                if number % 64 == 0:
                    peak = max(peak, process.memory_info().rss)
                    held = max(held, int(str(it.router.stats()["held_bytes"])))
            await client.send(b"0\r\n\r\n")
            got_answer = await client.answer()
        assert got_answer.body == b"ok"
        assert sum(got) == size
        await until(lambda: it.outcomes(0) == {"dropped_bytes": 1})
        await until(lambda: it.version(1)["in_flight"] == 0)
        if it.outcomes(1) == {"incomparable": 1}:
            assert sum(copied) == size
        else:  # a busy machine; the copy is lost as a whole
            assert it.outcomes(1) == {"dropped_bytes": 1}
        assert b"0\r\n\r\n" not in slow_wires[0].received[-16:]
        assert held <= 64 * MIB
        assert peak - before < 64 * MIB
        assert it.router.stats()["held_bytes"] == 0


async def test_all_copies_together_hold_no_more_than_the_limit() -> None:
    """When the router's own bound is reached, the copy that grows is dropped."""
    done: list[int] = []

    async def main(wire: Wire) -> None:
        await counting(wire, done)

    async def deaf(wire: Wire) -> None:
        await wire.head()
        await asyncio.sleep(60)

    limits = Limits(max_bytes=2 * MIB, max_lag_bytes=64 * MIB)
    async with mirrored(main, deaf, deaf, deaf, limits=limits) as it:
        call = it.driver.request("POST", b"/hello/", headers=[HOST, CHUNKED], body=None)
        for _ in range(1024):
            call.send(b"x" * 65536, more=True)
        call.send(b"")
        assert (await call.start())[0] == 200
        await call.body()
        assert sum(done) == 64 * MIB
        for number in range(3):
            assert it.outcomes(number) == {"dropped_bytes": 1}
        assert it.router.stats()["held_bytes"] == 0


async def test_a_shadow_that_connects_late_gets_the_whole_body() -> None:
    """What main took meanwhile waits for the shadow's connection."""
    got: list[int] = []
    one = Echo()

    async def main(wire: Wire) -> None:
        await counting(wire, got)

    async with mirrored(main, one) as it:
        call = it.driver.request("POST", b"/hello/", headers=[HOST, CHUNKED], body=None)
        for _ in range(20):
            call.send(b"x" * 10_000, more=True)
        call.send(b"")
        await call.start()
        await call.body()
        await until(lambda: one.requests)
        assert one.requests[0].body == b"x" * 200_000


async def test_no_copy_goes_out_if_main_cannot_be_reached() -> None:
    """A main that refuses leaves the shadows alone, and accounts for them."""
    async with ScriptedUpstream(Echo()) as gone:
        address = gone.address
    one = Echo()
    async with ScriptedUpstream(one) as shadow:
        route = Route({"1": address, "2": shadow.address}, main="1")
        router = ShadowRouter({"hello": route})
        call = AsgiDriver(router).request("GET", b"/hello/")
        assert (await call.start())[0] == 502
        await call.body()
        stats: Any = router.stats()
        assert stats["shadows"]["hello"]["2"]["outcomes"] == {"main_failed": 1}
        assert shadow.wires == []
        await router.aclose()


async def test_a_client_that_leaves_takes_its_copies_along() -> None:
    """After the upload too: main is aborted, and so is the copy."""
    async with mirrored(stay, stay) as it:
        call = it.driver.request("GET", b"/hello/")
        await until(lambda: it.shadows[0].wires and it.shadows[0].wires[0].received)
        call.disconnect()
        await call.done()
        assert it.outcomes() == {"client_gone": 1}
        await until(lambda: it.shadows[0].wires[0].has_ended)


async def test_a_shadow_may_finish_after_main() -> None:
    """The client has main's answer while the shadow is still at work."""
    go = asyncio.Event()

    async def slow(wire: Wire) -> None:
        await wire.request()
        await go.wait()
        await wire.send(answer(b"late"))
        await wire.until_closed()

    async with mirrored(Echo(), slow) as it:
        assert await it.ask() == b"main"
        assert it.version()["in_flight"] == 1
        go.set()
        await until(lambda: it.outcomes() == {"incomparable": 1})
        # The answer was read to its end, so the connection is used again.
        await it.ask()
        await until(lambda: it.version()["requests"] == 2)
        assert len(it.shadows[0].wires) == 1


async def test_a_shadow_that_is_early_waits_for_main() -> None:
    """Only when main has ended is it known how the pair ended."""
    go = asyncio.Event()

    async def slow(wire: Wire) -> None:
        await wire.request()
        await go.wait()
        await wire.send(answer(b"late"))
        await wire.until_closed()

    async with mirrored(slow, Echo()) as it:
        asking = asyncio.ensure_future(it.ask())
        await until(lambda: it.shadows[0].wires and it.version()["in_flight"] == 0)
        assert it.outcomes() == {}
        go.set()
        await asking
        assert it.outcomes() == {"incomparable": 1}


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_much_longer_answer_is_not_read_to_its_end(is_late: bool) -> None:
    """A shadow is read no further beyond main's answer than the bound."""
    go = asyncio.Event()
    sent = 0

    async def main(wire: Wire) -> None:
        await wire.request()
        if is_late:
            await go.wait()
        await wire.send(answer(b"short"))
        await wire.until_closed()

    async def endless(wire: Wire) -> None:
        nonlocal sent
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await wire.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            sent += 65536

    async with mirrored(main, endless) as it:
        asking = asyncio.ensure_future(it.ask())
        last = -1
        while is_late and (last != sent or not sent):
            last = sent
            await asyncio.sleep(0.1)
        go.set()
        assert await asking == b"short"
        await until(lambda: it.outcomes() == {"incomparable": 1})
        assert it.version()["in_flight"] == 0
        assert sent < 24 * MIB


async def test_a_shadow_that_fails_and_fails_is_asked_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each failure costs a connection; when it is well again it is asked again."""
    now = [100.0]
    monkeypatch.setattr(outcome, "monotonic", lambda: now[0])
    monkeypatch.setattr(outcome, "_MAX_COSTLY_FAILURES", 20)
    is_well = False

    async def main(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(answer(b"m"))

    async def shadow(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(answer(b"s") if is_well else b"\0garbage\r\n\r\n")

    async with mirrored(main, shadow) as it:
        asked = 0

        async def ask(count: int) -> Mapping[str, int]:
            nonlocal asked
            for _ in range(count):
                assert await it.ask() == b"m"
                asked += 1
                await until(lambda: sum(it.outcomes().values()) == asked)  # noqa: B023
            return it.outcomes()

        assert await ask(30) == {"shadow_error": 20, "not_ready": 10}
        now[0] += 0.125
        assert await ask(10) == {"shadow_error": 26, "not_ready": 14}
        now[0] += 60
        is_well = True
        assert (await ask(40))["incomparable"] == 40


async def test_copies_under_way_to_a_failing_shadow_count_as_failures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes long to fail, so that many would fail before the first is known."""
    monkeypatch.setattr(outcome, "monotonic", lambda: 100.0)
    monkeypatch.setattr(outcome, "_MAX_COSTLY_FAILURES", 20)
    fail, answers = asyncio.Event(), [b"\0garbage\r\n\r\n"]

    async def main(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(answer(b"m"))

    async def shadow(wire: Wire) -> None:
        while True:
            await wire.request()
            await fail.wait()
            await wire.send(answers[-1])

    async with mirrored(main, shadow) as it:

        async def ask(count: int) -> int:
            for _ in range(count):
                assert await it.ask() == b"m"
            return int(it.version()["in_flight"])

        fail.set()
        await ask(1)
        await until(lambda: it.outcomes() == {"shadow_error": 1})
        fail.clear()
        assert await ask(40) == 19
        assert it.outcomes() == {"shadow_error": 1, "not_ready": 21}
        answers.append(answer(b"s"))
        fail.set()
        await until(lambda: it.version()["in_flight"] == 0)
        fail.clear()
        assert await ask(40) == 40  # it answers: all are copied
        fail.set()
        await until(lambda: it.version()["in_flight"] == 0)


async def test_a_marked_request_is_not_mirrored_again() -> None:
    """A copy's own calls go to main alone, still marked; a forged mark does not."""
    one, main = Echo(), Echo()
    async with mirrored(main, one) as it:
        await it.ask()
        await until(lambda: one.requests)
        mark = one.requests[0].header(b"x-daeploy-exchange")[0]
        role = (b"x-daeploy-role", b"shadow")
        await it.ask("GET", (b"x-daeploy-exchange", mark), role)
        assert it.outcomes().get("excluded") == 1
        assert main.requests[1].header(b"x-daeploy-exchange") == [mark]
        assert main.requests[1].header(b"x-daeploy-role") == [b"shadow"]
        forged = Marks(b"another key").new()
        await it.ask("GET", (b"x-daeploy-exchange", forged), role)
        await until(lambda: len(one.requests) == 2)
        assert main.requests[2].header(b"x-daeploy-exchange") == []
        assert main.requests[2].header(b"x-daeploy-role") == []
        assert one.requests[1].header(b"x-daeploy-exchange") != [forged]


async def test_the_policy_decides_what_is_copied() -> None:
    """Methods, sample and withheld headers are those of the policy."""
    one = Echo()
    policy = MirrorPolicy(sample_rate=0.25, methods="safe", withhold=["Authorization"])
    secret = (b"authorization", b"Bearer x")
    main = Echo()
    async with mirrored(main, one, mirror={"hello": policy}) as it:
        for _ in range(40):
            await it.ask("GET", secret)
        await it.ask("POST", secret)
        await until(lambda: it.outcomes().get("incomparable") == 10)
        assert it.outcomes() == {"not_sampled": 30, "excluded": 1, "incomparable": 10}
        assert len(one.requests) == 10
        assert all(request.header(b"authorization") == [] for request in one.requests)
        assert all(request.header(secret[0]) for request in main.requests)


async def test_a_loop_is_508() -> None:
    """A route that leads back to the router ends at the second pass."""
    routes: dict[str, Route] = {}
    router = ShadowRouter(routes)
    async with uvicorn_httptools(router) as port:
        address = f"http://127.0.0.1:{port}/hello"
        routes["hello"] = Route({"1": address}, main="1")
        call = AsgiDriver(router).request("GET", b"/hello/")
        assert (await call.start())[0] == 508
        await call.body()
        await router.aclose()


def rolling(dice: random.Random) -> Script:
    """Return a script that answers, breaks off, ends, resets or hangs."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            match dice.randrange(6):
                case 0:
                    wire.reset()
                case 1:
                    wire.close()
                case 2:
                    await wire.until_closed()
                case 3:
                    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
                    wire.reset()
                case _:
                    await wire.send(answer(b"ok"))

    return script


async def test_the_sums_equal_the_requests_under_any_fault() -> None:
    """Whatever main, shadows and client do, each pair ends in one outcome."""
    dice = random.Random(7)  # noqa: S311 - no secret
    fickle = rolling(dice)

    async def client(it: Mirrored) -> None:
        method = dice.choice(["GET", "POST"])
        body = b"x" * dice.choice([0, 10, 100_000])
        headers = [HOST, (b"content-length", b"%d" % len(body))]
        call = it.driver.request(method, b"/hello/", headers=headers, body=body)
        try:
            async with asyncio.timeout(0.3):
                await call.start()
                await call.body()
        except (TimeoutError, ConnectionError):
            call.disconnect()
            with contextlib.suppress(ConnectionError):
                await call.done()

    limits = Limits(max_in_flight=5)
    timeouts = Timeouts(shadow=0.2, first_byte=0.5, idle=0.5)
    async with mirrored(
        fickle, fickle, fickle, fickle, limits=limits, timeouts=timeouts
    ) as it:
        for _ in range(20):
            await asyncio.gather(*(client(it) for _ in range(10)))
        await until(lambda: not any(it.version(n)["in_flight"] for n in range(3)))
        stats: Any = it.router.stats()
        for number in range(3):
            assert it.version(number)["requests"] == 200
            assert sum(it.outcomes(number).values()) == 200
        assert (stats["in_flight"], stats["held_bytes"]) == (0, 0)
        answered = stats["relayed"] + stats["broken"] + stats["client_gone"]
        assert answered + sum(stats["refused"].values()) == 200


async def test_a_judge_that_fails_hurts_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Comparing is outside of the exchange: its fault is logged and counted."""

    def judge(pair: Pair, settle: Settle) -> None:  # noqa: ARG001
        raise RuntimeError(f"cannot compare {pair.main.status} of {pair.asked.name}")

    async with mirrored(Echo(), Echo()) as it:
        it.router._settings = attrs.evolve(it.router._settings, judge=judge)
        assert await it.ask() == b"main"
        await until(lambda: it.outcomes() == {"incomparable": 1})
        assert "cannot compare 200 of hello" in caplog.text


async def test_the_judge_sees_both_answers() -> None:
    """Status, length and time of each, whichever came first."""
    seen: list[tuple[Observation, Observation]] = []

    def judge(pair: Pair, settle: Settle) -> None:
        seen.append((pair.main, pair.shadow))
        same = pair.main.status == pair.shadow.status
        settle(Outcome.match if same else Outcome.differ)

    async def failing(wire: Wire) -> None:
        await wire.request()
        await wire.send(answer(b"x" * 1000, status=b"500 Oops"))

    async with mirrored(Echo(), Echo(b"longer"), failing) as it:
        it.router._settings = attrs.evolve(it.router._settings, judge=judge)
        await it.ask()
        await until(lambda: it.outcomes(0) == {"match": 1})
        await until(lambda: it.outcomes(1) == {"differ": 1})
    for main, shadow in seen:
        assert (main.version, main.status, main.body_bytes) == ("main", 200, 4)
        assert shadow.body_bytes == {"s0": 6, "s1": 1000}[shadow.version]
        assert main.is_whole
        assert shadow.is_whole
        assert shadow.elapsed_s > 0


async def test_draining_ends_what_takes_too_long() -> None:
    """A request that outlasts the drain gets 503, and its copy ends."""
    async with mirrored(stay, stay) as it:
        call = it.driver.request("GET", b"/hello/")
        await until(lambda: it.shadows[0].wires and it.shadows[0].wires[0].received)
        closing = asyncio.ensure_future(it.router.aclose(drain=0.05))
        assert (await call.start())[0] == 503
        assert b"closing" in await call.body()
        await closing
        assert sum(it.outcomes().values()) == 1
        assert it.router.stats()["connections"] == 0


async def test_a_shadow_that_does_not_accept_times_out() -> None:
    """Connecting has its own deadline, and costs no task."""
    with unaccepting() as address:
        async with ScriptedUpstream(Echo()) as main:
            route = Route({"1": main.address, "2": address}, main="1")
            timeouts = Timeouts(connect=0.2)
            router = ShadowRouter({"hello": route}, timeouts=timeouts)
            call = AsgiDriver(router).request("GET", b"/hello/")
            assert (await call.start())[0] == 200
            await call.body()
            assert len(asyncio.all_tasks()) <= 2  # this one, and main's server
            stats: Any = router.stats()
            assert stats["shadows"]["hello"]["2"]["in_flight"] == 1
            await router.aclose(drain=1.0)
            stats = router.stats()
            assert stats["shadows"]["hello"]["2"]["outcomes"] == {"timeout": 1}


async def test_draining_waits_for_copies_and_then_ends_them() -> None:
    """aclose() gives copies their time, then leaves nothing."""
    go = asyncio.Event()

    async def slow(wire: Wire) -> None:
        await wire.request()
        await go.wait()
        await wire.send(answer(b"late"))
        await wire.until_closed()

    async with mirrored(Echo(), slow, stay) as it:
        await it.ask()
        asyncio.get_running_loop().call_later(0.1, go.set)
        await it.router.aclose(drain=0.3)
        assert it.outcomes(0) == {"incomparable": 1}
        assert it.outcomes(1) == {"timeout": 1}
        assert it.router.stats()["connections"] == 0
        # The router may be used again.
        assert await it.ask() == b"main"
