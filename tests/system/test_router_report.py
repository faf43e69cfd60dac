"""Reports: what one router has seen, and what all of them have."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daeploy_lib import (
    Deployer,
    Gate,
    GateNotPassedError,
    MirrorPolicy,
    Route,
    ShadowRouter,
)
from daeploy_lib.errors import ServiceNotFoundError, VersionNotFoundError
from daeploy_lib.testing import (
    AsgiDriver,
    MemoryRuntime,
    Script,
    ScriptedUpstream,
    Wire,
    answer,
)
from router_fronts import until

HOST = (b"host", b"h")


def scores(step: float) -> Script:
    """Return a version whose scores are a constant step above the first one's."""

    async def script(wire: Wire) -> None:
        n = 0
        while True:
            await wire.request()
            n += 1
            body = json.dumps({"score": n + step, "label": "cat"}).encode()
            headers = [(b"content-type", b"application/json")]
            await wire.send(answer(body, headers=headers))

    return script


async def ask(router: ShadowRouter, count: int, path: bytes = b"/hello/") -> None:
    """Make requests one after another, and read their answers."""
    driver = AsgiDriver(router)
    for _ in range(count):
        call = driver.request("GET", path, headers=[HOST])
        await call.start()
        await call.body()


async def test_a_static_route_is_reported_by_its_router() -> None:
    """From memory: how often, and how much, each shadow differs."""
    async with (
        ScriptedUpstream(scores(0)) as main,
        ScriptedUpstream(scores(0)) as same,
        ScriptedUpstream(scores(2)) as worse,
    ):
        versions = {"1": main.address, "2": same.address, "3": worse.address}
        router = ShadowRouter({"hello": Route(versions, main="1")})
        await ask(router, 20)
        await until(lambda: router.report("hello")["3"].exchanges == 20)
        await until(lambda: router.report("hello")["2"].exchanges == 20)
        report = router.report("hello")
        await router.aclose()
    assert report.since is not None
    assert [shadow.version for shadow in report] == ["2", "3"]
    assert report["2"].agreement.value == 1
    assert report["3"].agreement.value == 0
    assert report["3"].numbers["$.score"].mean_difference == pytest.approx(2)
    assert report["3"].labels["$.label"].agreement == 1
    assert report["3"].p50_ratio.value is not None
    example = report["3"].examples[0]
    assert (example.main_body.text, example.shadow_body.text) != (None, None)
    assert "$.score 100.0 %" in str(report)


async def test_another_main_begins_anew() -> None:
    """Also when it is main again later."""
    async with ScriptedUpstream(scores(0)) as one, ScriptedUpstream(scores(1)) as two:
        versions = {"1": one.address, "2": two.address}
        routes = {"hello": Route(versions, main="1")}
        router = ShadowRouter(routes)
        await ask(router, 5)
        await until(lambda: router.report("hello")["2"].exchanges == 5)
        routes["hello"] = Route(versions, main="2")
        assert router.report("hello")["1"].exchanges == 0
        await ask(router, 3)
        await until(lambda: router.report("hello")["1"].exchanges == 3)
        routes["hello"] = Route(versions, main="1")
        await ask(router, 1)
        await until(lambda: router.report("hello")["2"].exchanges == 1)
        await router.aclose()


def test_what_is_not_routed_is_not_reported() -> None:
    """Neither an unknown name nor one without a main."""
    address = "http://127.0.0.1:9"
    router = ShadowRouter({"hello": Route({"1": address})})
    with pytest.raises(ServiceNotFoundError, match="'other'"):
        router.report("other")
    with pytest.raises(VersionNotFoundError, match="not named by its route"):
        router.report("hello")


@pytest.fixture
def deployer(tmp_path: Path) -> Iterator[Deployer]:
    """A Deployer with two versions of one content."""
    deployer = Deployer(MemoryRuntime(), state=tmp_path / "state")
    hello = deployer.init("hello", tmp_path)
    for version in ("1.0.0", "2.0.0"):
        deployer.deploy("hello", version, hello, on_event=lambda _: None)
    yield deployer
    deployer.kill_all()


async def test_all_routers_are_in_the_reports_of_a_deployer(
    deployer: Deployer,
) -> None:
    """It and each router tell the same, and a gate refuses by it."""
    routers = [ShadowRouter(deployer) for _ in range(2)]
    for router in routers:
        await ask(router, 10)
        await router.aclose()
    report = deployer.report("hello")
    assert report["2.0.0"].exchanges == 20
    assert report["2.0.0"].is_control
    assert str(routers[0].report("hello")) == str(report)
    with pytest.raises(GateNotPassedError) as refused:
        deployer.assign("hello", "2.0.0", gate=Gate())
    assert refused.value.verdict == report.judge(Gate(), "2.0.0")


async def test_a_promotion_begins_anew(deployer: Deployer) -> None:
    """The old main is now the shadow, about which nothing is known yet."""
    router = ShadowRouter(deployer)
    await ask(router, 5)
    deployer.assign("hello", "2.0.0")
    report = router.report("hello")
    assert (report.main, report["1.0.0"].exchanges) == ("2.0.0", 0)
    await ask(router, 2)
    await until(lambda: router.report("hello")["1.0.0"].exchanges == 2)
    await router.aclose()
    assert deployer.report("hello")["1.0.0"].exchanges == 2


async def test_a_change_without_a_request_begins_anew_too(
    deployer: Deployer, tmp_path: Path
) -> None:
    """Main was another one for a moment; then the shadow was deployed again."""
    router = ShadowRouter(deployer, mirror=MirrorPolicy(noise_rate=1.0))
    await ask(router, 5)
    deployer.assign("hello", "2.0.0")
    deployer.assign("hello", "1.0.0")
    assert router.report("hello")["2.0.0"].exchanges == 0
    await ask(router, 3)
    await until(lambda: router.report("hello")["2.0.0"].exchanges == 3)
    deployer.kill("hello", "2.0.0")
    deployer.deploy("hello", "2.0.0", tmp_path / "hello", on_event=lambda _: None)
    await ask(router, 2)
    await until(lambda: router.report("hello")["2.0.0"].exchanges == 2)
    await router.aclose()


async def test_an_example_is_asked_again(deployer: Deployer) -> None:
    """Of any version, by its own address."""
    router = ShadowRouter(deployer)
    await ask(router, 1, b"/hello/predict?n=1")
    await router.aclose()
    [example] = deployer.report("hello")["2.0.0"].examples
    for version in ("1.0.0", "2.0.0"):
        again = deployer.replay("hello", version, example)
        answered = json.loads(again.body)
        assert (again.status, answered["version"]) == (200, version)
        assert answered["path"] == "/predict?n=1"
    with pytest.raises(VersionNotFoundError):
        deployer.replay("hello", "9.0.0", example)


async def test_a_router_that_closes_counts_a_pair_once() -> None:
    """What is still being compared then ends alike in counts and evidence."""
    rows = [{"id": n, "name": f"row {n}"} for n in range(20_000)]
    bodies = [json.dumps(rows).encode(), json.dumps([*rows[:-1], 1]).encode()]

    def says(body: bytes) -> Script:
        async def script(wire: Wire) -> None:
            await wire.request()
            headers = [(b"content-type", b"application/json")]
            await wire.send(answer(body, headers=headers))

        return script

    async with (
        ScriptedUpstream(says(bodies[0])) as main,
        ScriptedUpstream(says(bodies[1])) as shadow,
    ):
        route = Route({"m": main.address, "s": shadow.address}, main="m")
        router = ShadowRouter({"hello": route})
        await asyncio.gather(*(ask(router, 1) for _ in range(6)))
        await router.aclose(drain=0.0)
        shadows: Any = router.stats()["shadows"]
        counted = shadows["hello"]["s"]["outcomes"]
        assert sum(counted.values()) == 6
        await asyncio.sleep(0.5)  # for what comes too late
        outcomes = router.report("hello")["s"].outcomes
        assert {name: n for name, n in outcomes.items() if n} == counted
        assert router.stats()["held_bytes"] == 0


async def test_a_service_that_was_killed_is_not_reported(deployer: Deployer) -> None:
    """What was seen of it speaks for no other."""
    router = ShadowRouter(deployer)
    await ask(router, 1)
    await router.aclose()
    deployer.kill("hello")
    with pytest.raises(ServiceNotFoundError):
        deployer.report("hello")
    with pytest.raises(ServiceNotFoundError):
        router.report("hello")
