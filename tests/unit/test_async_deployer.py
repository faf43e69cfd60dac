"""The asynchronous face: the same verbs, off the loop, and ended by a cancellation."""

import asyncio
import inspect
import re
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest

from daeploy_lib import (
    AsyncDeployer,
    AsyncWatch,
    Deployer,
    Event,
    Gate,
    GateNotPassedError,
    LogLine,
    Readiness,
    Runtime,
    ShadowRouter,
    VersionExistsError,
    VersionNotFoundError,
    Watch,
)
from daeploy_lib.lifecycle.awaiting import carried_out, iterated, looked_up
from daeploy_lib.sources import write_project
from daeploy_lib.testing import Behaviour, MemoryRuntime


def verbs(face: type) -> dict[str, inspect.Signature]:
    """Return what a class offers, by name."""
    names = [name for name in vars(face) if not name.startswith("_")]
    members = {name: inspect.getattr_static(face, name) for name in names}
    members["__init__"] = inspect.getattr_static(face, "__init__")
    return {
        name: inspect.signature(getattr(member, "fget", member))
        for name, member in members.items()
    }


@pytest.mark.parametrize(
    ("plain", "awaited", "others"),
    [(Deployer, AsyncDeployer, set()), (Watch, AsyncWatch, {"__init__", "start"})],
)
def test_both_faces_have_the_same_signatures(
    plain: type, awaited: type, others: set[str]
) -> None:
    """Names, kinds, defaults and types, in both directions."""
    ours, theirs = verbs(plain), verbs(awaited)
    assert ours.keys() - others == theirs.keys() - others
    for name in ours.keys() - others:
        assert ours[name].parameters == theirs[name].parameters, name


def test_results_are_the_same() -> None:
    """But for what is followed; and every verb but logs is awaited."""
    ours, theirs = verbs(Deployer), verbs(AsyncDeployer)
    awaited = {Iterator[LogLine]: AsyncGenerator[LogLine, None], Watch: AsyncWatch}
    for name, signature in ours.items():
        wanted = signature.return_annotation
        assert theirs[name].return_annotation == awaited.get(wanted, wanted), name
        is_plain = name in ("__init__", "logs")
        member = getattr(AsyncDeployer, name)
        assert inspect.iscoroutinefunction(member) is not is_plain, name


@pytest.fixture
def runtime() -> MemoryRuntime:
    """What keeps the versions of these tests."""
    return MemoryRuntime()


@pytest.fixture
async def deployer(
    runtime: MemoryRuntime, tmp_path: Path
) -> AsyncIterator[AsyncDeployer]:
    """A deployer, with the source ``hello`` in the folder."""
    async with AsyncDeployer(runtime, state=tmp_path / "state") as deployer:
        await deployer.init("hello", tmp_path)
        yield deployer
        await deployer.kill_all(grace=0.0)


async def test_a_session(deployer: AsyncDeployer, tmp_path: Path) -> None:
    """Every verb does what it does without await."""
    hello, events = tmp_path / "hello", list[Event]()
    for version in ("1.0.0", "2.0.0"):
        await deployer.deploy("hello", version, hello, on_event=events.append)
    assert [event.stage for event in events].count("done") == 2
    assert "hello   2.0.0" in str(await deployer.ls())
    assert (await deployer.get("hello")).version == "1.0.0"
    assert (await deployer.inspect("hello"))["source_origin"] == str(hello)
    assert [line.text async for line in deployer.logs("hello")][:1] == ["up"]
    assert (await deployer.report("hello"))["2.0.0"].exchanges == 0
    with pytest.raises(GateNotPassedError):
        await deployer.assign("hello", "2.0.0", gate=Gate(agreement=0.9))
    assert (await deployer.assign("hello", "2.0.0")).version == "2.0.0"
    async with await deployer.watch("hello", gate=Gate(agreement=0.9)) as watch:
        async for verdict in watch:
            assert not verdict.exchanges
            break
        assert not await watch.wait(0.0)
        assert (watch.version, watch.previous) == ("2.0.0", "1.0.0")
        assert "watching" in repr(watch)
        assert not watch.rolled_back
    assert watch.is_over
    assert watch.reason == "It was stopped."
    assert (await deployer.rollback("hello")).version == "1.0.0"
    assert len(await deployer.history("hello")) == 3
    assert not await deployer.cleanup()
    assert "AsyncDeployer project='default'" in repr(deployer)
    assert len(await deployer.kill("hello")) == 2


async def test_errors_are_those_of_the_plain_verbs(
    deployer: AsyncDeployer, tmp_path: Path
) -> None:
    """Wrong arguments too; of logs with the first line."""
    hello = tmp_path / "hello"
    await deployer.deploy("hello", "1.0.0", hello, on_event=str)
    with pytest.raises(VersionExistsError, match="the same content"):
        await deployer.deploy("hello", "1.0.0", hello, on_event=str)
    with pytest.raises(VersionNotFoundError):
        await deployer.get("hello", "3.0.0")
    with pytest.raises(TypeError, match="on_event must be callable"):
        await deployer.deploy("hello", "2.0.0", hello, on_event=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tail must be 0 or more"):
        await anext(aiter(deployer.logs("hello", tail=-1)))


class Threads(MemoryRuntime):
    """Remembers which threads it is called in."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def __getattribute__(self, name: str) -> Any:
        """Note who uses it."""
        if not name.startswith("_") and name not in ("threads", "description"):
            self.threads.add(threading.get_ident())
        return super().__getattribute__(name)


async def test_nothing_blocks_the_loop(tmp_path: Path) -> None:
    """No file, database, socket, program or runtime is touched in its thread."""
    runtime = Threads()
    deployer = AsyncDeployer(runtime, state=tmp_path / "state")
    loop_thread, is_watched, blocking = threading.get_ident(), True, set[str]()

    def hook(event: str, _: tuple[object, ...]) -> None:
        kinds = ("open", "sqlite3.", "subprocess.", "socket.connect", "shutil.")
        is_ours = is_watched and threading.get_ident() == loop_thread
        if is_ours and event.startswith(kinds):
            blocking.add(event)

    sys.addaudithook(hook)  # it stays, and does nothing later
    runtime.threads.clear()
    try:
        hello = await deployer.init("hello", tmp_path)
        for version in ("1.0.0", "2.0.0"):
            await deployer.deploy("hello", version, hello, on_event=str)
        await deployer.assign("hello", "2.0.0")
        assert [line.text async for line in deployer.logs("hello")][:1] == ["up"]
        for verb in (deployer.ls, deployer.cleanup, deployer.kill_all, deployer.close):
            await verb()
    finally:
        is_watched = False
    assert not blocking
    assert runtime.threads
    assert loop_thread not in runtime.threads


async def test_events_come_on_the_loop(deployer: AsyncDeployer, tmp_path: Path) -> None:
    """In their order, the last before deploy returns; a failing hook fails nothing."""
    seen: list[tuple[str, int]] = []

    def on_event(event: Event) -> None:
        asyncio.get_running_loop()
        seen.append((event.stage, threading.get_ident()))
        raise ValueError("the hook's own")

    await deployer.deploy("hello", "1.0.0", tmp_path / "hello", on_event=on_event)
    assert [stage for stage, _ in seen] == ["build", "build", "start", "ready", "done"]
    assert {thread for _, thread in seen} == {threading.get_ident()}


@pytest.mark.parametrize("stage", ["build", "start", "ready", "done"])
async def test_a_cancelled_deployment_leaves_nothing(
    deployer: AsyncDeployer, runtime: MemoryRuntime, tmp_path: Path, stage: str
) -> None:
    """At every stage; also when it had just been published."""
    tasks: list[asyncio.Task[Any]] = []

    def on_event(event: Event) -> None:
        if event.stage == stage:
            tasks[0].cancel()

    hello = tmp_path / "hello"
    if stage != "done":
        runtime.behave("hello", Behaviour(is_silent=True))
    deploying = deployer.deploy("hello", "1.0.0", hello, on_event=on_event)
    tasks.append(asyncio.create_task(deploying))
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert not await deployer.ls()
    assert not runtime.list("default")
    assert not await deployer.cleanup(dry_run=True)
    runtime.behave("hello", Behaviour())
    assert (await deployer.deploy("hello", "1.0.0", hello, on_event=str)).is_main


async def test_a_timeout_ends_a_deployment(
    deployer: AsyncDeployer, runtime: MemoryRuntime, tmp_path: Path
) -> None:
    """That never gets ready; its own 60 seconds do not matter."""
    runtime.behave("hello", Behaviour(is_silent=True))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await deployer.deploy("hello", "1.0.0", tmp_path / "hello", on_event=str)
    assert not await deployer.ls()
    assert not runtime.list("default")


async def test_many_cancellations_are_one(
    deployer: AsyncDeployer, runtime: MemoryRuntime, tmp_path: Path
) -> None:
    """The undoing is not cut short by the next."""
    runtime.behave("hello", Behaviour(is_silent=True))
    is_ready = asyncio.Event()
    deploying = asyncio.create_task(
        deployer.deploy(
            "hello",
            "1.0.0",
            tmp_path / "hello",
            on_event=lambda event: is_ready.set() if event.stage == "ready" else None,
        )
    )
    await is_ready.wait()
    while not deploying.done():
        deploying.cancel()
        await asyncio.sleep(0)
    assert deploying.cancelled()
    assert not runtime.list("default")


async def test_one_of_several_is_cancelled_alone(
    deployer: AsyncDeployer, runtime: MemoryRuntime, tmp_path: Path
) -> None:
    """The others go on."""
    hello = tmp_path / "hello"
    runtime.behave("silent", Behaviour(is_silent=True))
    names = ["one", "two", "silent", "three"]
    deploying = {
        name: asyncio.create_task(
            deployer.deploy(
                name,
                "1.0.0",
                hello,
                on_event=str,
                readiness=Readiness(timeout=60),
            )
        )
        for name in names
    }
    await asyncio.gather(*(deploying[name] for name in names if name != "silent"))
    deploying["silent"].cancel()
    await asyncio.wait(deploying.values())
    assert [service.name for service in await deployer.ls()] == ["one", "three", "two"]


async def test_logs_are_followed_until_they_are_left(
    deployer: AsyncDeployer, tmp_path: Path
) -> None:
    """By leaving the loop, by a cancellation, and by the end of the version."""
    await deployer.deploy("hello", "1.0.0", tmp_path / "hello", on_event=str)
    async with aclosing(deployer.logs("hello", follow=True)) as lines:
        async for line in lines:
            assert line.text == "up"
            break
    for thread in threading.enumerate():
        if thread.name == "daeploy-awaited":
            thread.join()

    async def follow() -> list[str]:
        return [line.text async for line in deployer.logs("hello", follow=True)]

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(follow(), 0.2)
    async with aclosing(deployer.logs("hello", follow=True)) as lines:
        assert (await anext(lines)).text == "up"
        await deployer.kill("hello", grace=0.0)
        assert [line.text async for line in lines]


async def test_a_reader_that_is_slow_is_waited_for() -> None:
    """Of what never ends, only so much is read ahead."""
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            yield taken
            taken += 1

    async with aclosing(iterated(endless)) as numbers:
        async for number in numbers:
            await asyncio.sleep(0)
            assert taken - number < 1000
            if number == 3000:
                break


async def test_a_look_is_not_waited_for() -> None:
    """An engine that hangs does not hold up who has lost patience."""
    may_end = threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await looked_up(may_end.wait)
    may_end.set()


async def test_what_ended_too_late_is_undone() -> None:
    """Nobody will know of it; what fails meanwhile is no second error."""
    has_begun, may_end, undone = threading.Event(), threading.Event(), list[int]()

    def work(outcome: Callable[[], int]) -> Callable[[], int]:
        def working() -> int:
            has_begun.set()
            may_end.wait()
            return outcome()

        return working

    def fails() -> int:
        raise ValueError("too late")

    for outcome in (lambda: 7, fails):
        has_begun.clear()
        may_end.clear()
        doing = asyncio.create_task(carried_out(work(outcome), undone.append))
        assert await asyncio.to_thread(has_begun.wait, 20)
        doing.cancel()
        await asyncio.sleep(0)
        assert not doing.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await doing
    assert undone == [7]


async def test_an_ephemeral_one_kills_what_it_deployed(tmp_path: Path) -> None:
    """Also when its block is left by a cancellation."""
    runtime = MemoryRuntime()

    async def session() -> None:
        async with AsyncDeployer(runtime, state=tmp_path, ephemeral=True) as deployer:
            hello = await deployer.init("hello", tmp_path)
            await deployer.deploy("hello", "1.0.0", hello, on_event=str)
            is_deployed.set()
            await asyncio.sleep(60)

    is_deployed = asyncio.Event()
    task = asyncio.create_task(session())
    await is_deployed.wait()
    assert len(runtime.list("default")) == 1
    task.cancel()
    await asyncio.wait([task])
    assert not runtime.list("default")


async def test_a_router_follows_it(deployer: AsyncDeployer, tmp_path: Path) -> None:
    """As it does a plain one."""
    await deployer.deploy("hello", "1.0.0", tmp_path / "hello", on_event=str)
    router = ShadowRouter(deployer)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(router), base_url="http://here"
    ) as client:
        assert (await client.get("/hello/")).status_code == 200
    await router.aclose()


async def test_the_plain_one_works_inside_a_running_loop(
    runtime: Runtime, tmp_path: Path
) -> None:
    """As in a notebook's cell, or at the start of an application."""
    with Deployer(runtime, state=tmp_path / "state") as deployer:
        hello = deployer.init("hello", tmp_path)
        for version in ("1.0.0", "2.0.0"):
            deployer.deploy("hello", version, hello, on_event=str)
        deployer.assign("hello", "2.0.0")
        assert [line.text for line in deployer.logs("hello")][:1] == ["up"]
        deployer.kill_all(grace=0.0)


@pytest.fixture
def document() -> list[str]:
    """The code of the document."""
    text = (Path(__file__).parents[2] / "docs" / "async.md").read_text("utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


async def test_the_documents_application(
    document: list[str],
    runtime: MemoryRuntime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It deploys at its start, once, answers, and promotes."""
    monkeypatch.chdir(tmp_path)
    write_project("hello", tmp_path)
    code = document[0].replace("AsyncDeployer()", "AsyncDeployer(runtime, state='.')")
    names: dict[str, Any] = {}
    for _ in range(2):
        names = {"runtime": runtime}
        exec(code, names)  # noqa: S102 - the document's words
        async with (
            names["lifespan"](names["app"]),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(names["app"]), base_url="http://here"
            ) as client,
        ):
            assert (await client.get("/services/hello/")).status_code == 200
            told = await client.post("/main/1.0.0")
            assert told.json() == "main is 1.0.0"
    await names["deployer"].kill_all(grace=0.0)


async def test_the_documents_other_code(
    document: list[str],
    runtime: MemoryRuntime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A deployment within some seconds, and what is followed."""
    monkeypatch.chdir(tmp_path)
    hello = write_project("hello", tmp_path)
    runtime.behave("hello", Behaviour(lines=("ready",)))
    plain = AsyncDeployer(runtime, state=tmp_path)
    await plain.deploy("hello", "1.0.0", hello, on_event=str)
    names: dict[str, Any] = {}
    for code in document[1:]:
        exec(code, names)  # noqa: S102 - the document's words
    names["AsyncDeployer"] = lambda: plain
    await names["deploy_within"](60)
    await plain.assign("hello", "2.0.0")
    judged = asyncio.Event()
    names["print"] = lambda *_: judged.set()
    following = asyncio.create_task(names["follow"](plain))
    await judged.wait()
    await plain.rollback("hello")
    await following
    await plain.kill_all(grace=0.0)
