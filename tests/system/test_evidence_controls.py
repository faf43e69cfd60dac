"""Answers that are never the same twice: noise is excused, an error in it is found."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import attrs
import httpx
import pytest

from daeploy_lib import (
    Deployer,
    Gate,
    GateNotPassedError,
    MirrorPolicy,
    Report,
    Route,
    ShadowRouter,
)
from daeploy_lib.evidence.verdict import Result
from daeploy_lib.testing import ScriptedUpstream
from noisy_services import CHANGES, ServedRuntime, deploy, serving
from router_fronts import uvicorn_httptools

GATE = Gate(agreement=0.95, error_rate=0.05, latency_ratio=None)
NOISY = {"$.at", "$.request_id", "$.score", "$.tags[*]"}


@attrs.frozen
class Running:
    """A Deployer, a router over it behind a server, and a client."""

    deployer: Deployer
    router: ShadowRouter
    client: httpx.AsyncClient

    async def ask(self, count: int) -> Report:
        """Make requests and return what is then reported."""
        for _ in range(count):
            answer = await self.client.get("/hello/predict?n=1")
            assert answer.status_code == 200
        await self.router.aclose()
        return await asyncio.to_thread(self.deployer.report, "hello")


@contextlib.asynccontextmanager
async def running(
    folder: Path, sources: Mapping[str, str], noise_rate: float = 0.0
) -> AsyncIterator[Running]:
    """
    Deploy versions, and route to them.

    Args:
        folder: For sources and state.
        sources: By version, what it does to its answers; one that does the same as
            main has the same content.
        noise_rate: In which share main is asked twice.
    """
    async with contextlib.AsyncExitStack() as stack:
        addresses = {}
        for seed, (version, what) in enumerate(sources.items()):
            script = serving(seed, **CHANGES[what])
            upstream = await stack.enter_async_context(ScriptedUpstream(script))
            addresses[version] = upstream.address
        runtime = ServedRuntime(addresses)
        deployer = Deployer(runtime, state=folder / "state")
        stack.callback(runtime.end)
        await asyncio.to_thread(deploy, deployer, folder, sources)
        router = ShadowRouter(deployer, mirror=MirrorPolicy(noise_rate=noise_rate))
        port = await stack.enter_async_context(uvicorn_httptools(router))
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}")
        yield Running(deployer, router, await stack.enter_async_context(client))


# The honest one is built from other source text than main, and does the same.
SHADOWS = {"honest": "fine", "score": "score", "at": "at", "tags": "tags", "id": "id"}
WRONG = {"score": "$.score", "at": "$.at", "tags": "$.tags[*]", "id": "$.request_id"}


def check(report: Report) -> None:
    """Check that the honest shadow passes, and each error is found where it is."""
    verdict = report.judge(GATE, "honest")
    assert verdict.result is Result.passed, str(verdict)
    assert set(verdict.excused) == {f"value {path}" for path in NOISY}
    assert report["honest"].agreement.value == 1.0
    for version, path in WRONG.items():
        verdict = report.judge(GATE, version)
        assert verdict.result is Result.failed, f"{version}: {verdict}"
        assert set(verdict.excused) == {f"value {p}" for p in NOISY - {path}}


async def test_a_control_shadow_tells_noise_from_errors(tmp_path: Path) -> None:
    """It was deployed from main's content, and excuses the others, not itself."""
    sources = {"main": "main", "control": "main", **SHADOWS}
    async with running(tmp_path, sources) as it:
        report = await it.ask(600)
        assert report["control"].is_control
        assert not report["honest"].is_control
        check(report)
        assert report.judge(GATE, "control").result is Result.failed


async def test_main_asked_twice_tells_noise_from_errors(tmp_path: Path) -> None:
    """As well as a control does."""
    async with running(tmp_path, {"main": "main", **SHADOWS}, noise_rate=0.9) as it:
        report = await it.ask(600)
        assert set(it.router.stats()["noise"]["hello"]) == {"main"}  # type: ignore[index]
        check(report)


async def test_without_either_noise_is_a_difference(tmp_path: Path) -> None:
    """Nobody knows then what main does to itself."""
    async with running(tmp_path, {"main": "main", "honest": "fine"}) as it:
        report = await it.ask(200)
        verdict = report.judge(GATE, "honest")
        assert verdict.result is Result.failed
        assert not verdict.excused


@pytest.mark.parametrize("rate", [0.0, 0.2])
async def test_a_gate_lets_assign_what_only_noise_speaks_against(
    tmp_path: Path, rate: float
) -> None:
    """A fifth of the requests is enough to know main's own noise; none is not."""
    sources = {"main": "main", "honest": "fine"}
    async with running(tmp_path, sources, noise_rate=rate) as it:
        await it.ask(600)
        if not rate:
            with pytest.raises(GateNotPassedError, match="agreement"):
                await asyncio.to_thread(
                    it.deployer.assign, "hello", "honest", gate=GATE
                )
            return
        await asyncio.to_thread(it.deployer.assign, "hello", "honest", gate=GATE)
        assert it.deployer.get("hello").version == "honest"
        # What main did to itself says nothing about the new one.
        await it.ask(150)
        report = await asyncio.to_thread(it.deployer.report, "hello")
        assert report["main"].agreement.value == 0.0


async def test_main_asked_twice_counts_for_static_routes_too() -> None:
    """A router without a Deployer reports by what it has seen itself."""
    async with (
        ScriptedUpstream(serving(1)) as main,
        ScriptedUpstream(serving(2)) as honest,
        ScriptedUpstream(serving(3, **CHANGES["score"])) as worse,
    ):
        addresses = {"1": main.address, "2": honest.address, "3": worse.address}
        router = ShadowRouter(
            {"hello": Route(addresses, main="1")}, mirror=MirrorPolicy(noise_rate=1.0)
        )
        async with (
            uvicorn_httptools(router) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
        ):
            for _ in range(400):
                await client.get("/hello/")
            await router.aclose()
        report = router.report("hello")
        assert report["2"].agreement.value == 1.0
        assert report["3"].agreement.value == 0.0
