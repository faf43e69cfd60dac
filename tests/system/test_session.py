"""The main job on a real engine: deploy, mirror, assign, list, kill, adopt."""

import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from container_engine.client import built_images
from daeploy_lib import (
    ComparisonRules,
    Deployer,
    Gate,
    GateNotPassedError,
    MainProtectedError,
    ServiceNotFoundError,
    ShadowRouter,
    Status,
    VersionExistsError,
    VersionNotFoundError,
)

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("base_image")]

Serving = Callable[[Any], AbstractContextManager[str]]


@pytest.fixture
def deployer(engine: Any, project: str, state: Path) -> Iterator[Deployer]:
    """A Deployer on the real engine, with a project of its own."""
    del engine
    with Deployer(project=project, state=state) as deployer:
        yield deployer


@pytest.fixture
def pair(deployer: Deployer, echo: Path) -> Deployer:
    """Version 1.0.0 as main and 2.0.0 as its shadow."""
    deployer.deploy("hello", "1.0.0", echo, environment={"GREETING": "one"})
    deployer.deploy("hello", "2.0.0", echo, environment={"GREETING": "two"})
    return deployer


def eventually(condition: Callable[[], object], patience: float = 20.0) -> None:
    """Ask again until a condition holds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.05)


def requests_seen(deployer: Deployer, version: str, path: str) -> int:
    """Count how often a version logged a path."""
    lines = deployer.logs("hello", version, tail=None)
    return sum(line.text.endswith(f" {path}") for line in lines)


def test_first_version_is_main_and_the_table_is_exact(
    deployer: Deployer, echo: Path
) -> None:
    """The first version becomes main, the second a shadow, and ls() says so."""
    first = deployer.deploy("hello", "1.0.0", echo)
    second = deployer.deploy("hello", "2.0.0", echo)
    assert (first.is_main, second.is_main) == (True, False)
    assert first.status is Status.running
    assert first.image != second.image
    assert first.source_digest == second.source_digest
    table = str(deployer.ls())
    assert re.sub(r"[-\d]{10} [:\d]{8}", "2026-11-22 11:30:00", table) == (
        "MAIN    NAME    VERSION    STATUS    RUNNING\n"
        "------  ------  ---------  --------  -----------------------------------\n"
        "*       hello   1.0.0      running   Running (since 2026-11-22 11:30:00)\n"
        "        hello   2.0.0      running   Running (since 2026-11-22 11:30:00)"
    )


def test_progress_is_shown_while_it_happens(
    deployer: Deployer, echo: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without on_event the steps of the build go to standard error."""
    deployer.deploy("hello", "1.0.0", echo)
    out, err = capfd.readouterr()
    assert out == ""
    assert "Step 1/" in err
    assert err.splitlines()[-1].endswith("Service deployed successfully")


@pytest.mark.parametrize("application", [FastAPI, Starlette])
def test_mirrored_requests(
    pair: Deployer, serving: Serving, application: Callable[[], Any]
) -> None:
    """A request to the name reaches both versions; only main's answer returns."""
    app = application()
    app.mount("/services", ShadowRouter(pair))
    with serving(app) as address:
        answer = httpx.post(f"{address}/services/hello/some/path?q=1", content=b"body")
        alone = httpx.get(f"{address}/services/hello_2.0.0/only")
        unknown = httpx.get(f"{address}/services/nobody/")
    assert answer.json()["greeting"] == "one"
    assert answer.json()["path"] == "/some/path?q=1"
    assert answer.json()["body"] == "body"
    assert alone.json()["greeting"] == "two"
    assert unknown.status_code == 404
    eventually(lambda: requests_seen(pair, "2.0.0", "/some/path?q=1") == 1)
    assert requests_seen(pair, "1.0.0", "/only") == 0


def test_main_answers_as_if_it_were_called_directly(
    pair: Deployer, serving: Serving
) -> None:
    """Status, headers and body are main's own."""
    direct = httpx.get(pair.get("hello").endpoints[0] + "/x?y=%zz")
    with serving(ShadowRouter(pair)) as address:
        routed = httpx.get(f"{address}/hello/x?y=%zz")
    assert routed.status_code == direct.status_code
    assert routed.json()["path"] == direct.json()["path"]
    assert routed.headers["content-type"] == direct.headers["content-type"]


@pytest.mark.parametrize("fault", ["kill", "pause", "status"])
def test_a_broken_shadow_changes_nothing(
    deployer: Deployer, echo: Path, serving: Serving, engine: Any, fault: str
) -> None:
    """Main answers while its shadow is dead, hangs, or says 500."""
    deployer.deploy("hello", "1.0.0", echo, environment={"GREETING": "one"})
    environment = {"STATUS": "500" if fault == "status" else "200"}
    deployer.deploy("hello", "2.0.0", echo, environment=environment)
    shadow = container(engine, deployer, "2.0.0")
    if fault == "kill":
        engine.client.stop(shadow, timeout=0)
    elif fault == "pause":
        engine.client.pause(shadow)
    with serving(ShadowRouter(deployer)) as address, httpx.Client() as client:
        for number in range(20):
            answer = client.post(f"{address}/hello/{number}", content=b"x" * 10_000)
            assert answer.status_code == 200
            assert answer.json()["greeting"] == "one"
    if fault == "pause":
        engine.client.unpause(shadow)


def container(engine: Any, deployer: Deployer, version: str) -> str:
    """Return the id of a version's container, from its labels."""
    labels = [f"daeploy.project={deployer.project}", f"daeploy.version={version}"]
    [found] = engine.client.containers(all=True, filters={"label": labels})
    return str(found["Id"])


def test_assign_rollback_and_history(pair: Deployer, serving: Serving) -> None:
    """Main changes for the next request, returns, and the history says so."""
    with serving(ShadowRouter(pair)) as address, httpx.Client() as client:

        def greeting() -> str:
            return str(client.get(f"{address}/hello/").json()["greeting"])

        assert greeting() == "one"
        assert pair.assign("hello", "2.0.0", expected="1.0.0").is_main
        assert greeting() == "two"
        assert pair.rollback("hello").version == "1.0.0"
        assert greeting() == "one"
    changes = [(c.version, c.previous) for c in pair.history("hello")]
    assert changes == [("1.0.0", None), ("2.0.0", "1.0.0"), ("1.0.0", "2.0.0")]


def test_processor_shares_follow_the_role(pair: Deployer, engine: Any) -> None:
    """Main has more shares than its shadow, and assign swaps them live."""

    def shares(version: str) -> int:
        found = engine.client.inspect_container(container(engine, pair, version))
        return int(found["HostConfig"]["CpuShares"])

    before = shares("1.0.0"), shares("2.0.0")
    assert before[0] > before[1]
    pair.assign("hello", "2.0.0")
    assert (shares("2.0.0"), shares("1.0.0")) == before


def test_main_with_shadows_is_protected(pair: Deployer, engine: Any) -> None:
    """Main cannot be killed before its shadows; alone it may go."""
    with pytest.raises(MainProtectedError):
        pair.kill("hello", "1.0.0")
    assert len(pair.ls()) == 2
    assert [s.version for s in pair.kill("hello", "2.0.0")] == ["2.0.0"]
    assert [s.version for s in pair.kill("hello", "1.0.0")] == ["1.0.0"]
    assert not pair.ls()
    assert_nothing_left(engine, pair)


def assert_nothing_left(engine: Any, deployer: Deployer) -> None:
    """Check that no container and no image of the project is on the engine."""
    own = {"label": f"daeploy.project={deployer.project}"}
    assert engine.client.containers(all=True, filters=own) == []
    assert built_images(engine.client, deployer.project) == []


def test_killing_a_name_and_everything(pair: Deployer, echo: Path, engine: Any) -> None:
    """A whole name goes shadows first, and kill_all leaves nothing."""
    pair.deploy("other", "1", echo)
    assert [s.version for s in pair.kill("hello")] == ["2.0.0", "1.0.0"]
    assert [s.name for s in pair.ls()] == ["other"]
    assert [s.name for s in pair.kill_all()] == ["other"]
    assert_nothing_left(engine, pair)
    with pytest.raises(ServiceNotFoundError):
        pair.kill("hello")
    assert pair.cleanup() == []


def test_requests_in_flight_end_before_a_kill(pair: Deployer, serving: Serving) -> None:
    """A slow request to a version that is killed still gets its whole answer."""
    with (
        serving(ShadowRouter(pair)) as address,
        ThreadPoolExecutor() as pool,
        httpx.Client() as client,
    ):
        url = f"{address}/hello_2.0.0/slow=2"
        answer = pool.submit(client.get, url, timeout=20.0)
        in_flight = pair.state / "in-flight"
        eventually(lambda: any(in_flight.glob("*.counts")))
        pair.kill("hello", "2.0.0")
        assert answer.result().json()["greeting"] == "two"
        assert httpx.get(url).status_code == 404


def test_logs(pair: Deployer) -> None:
    """Logs have a tail, a beginning in time, and follow until the version ends."""
    endpoint = pair.get("hello").endpoints[0]
    for number in range(5):
        httpx.get(f"{endpoint}/line/{number}")
    eventually(lambda: requests_seen(pair, "1.0.0", "/line/4"))
    assert [line.text for line in pair.logs("hello", tail=2)] == [
        "GET /line/3",
        "GET /line/4",
    ]
    assert list(pair.logs("hello", tail=0)) == []
    lines = list(pair.logs("hello", tail=None))
    third = next(line for line in lines if line.text == "GET /line/3")
    since = list(pair.logs("hello", tail=None, since=third.at))
    assert [line.text for line in since] == ["GET /line/3", "GET /line/4"]
    with ThreadPoolExecutor() as pool:
        followed = pool.submit(list, pair.logs("hello", tail=0, follow=True))
        eventually(followed.running)
        httpx.get(f"{endpoint}/followed")
        eventually(lambda: requests_seen(pair, "1.0.0", "/followed"))
        pair.kill("hello")
        assert "GET /followed" in [line.text for line in followed.result(30)]


def test_inspect_shows_no_environment_values(deployer: Deployer, echo: Path) -> None:
    """Inspect tells the effective limits, and never an environment value."""
    secret = "hunter2-secret"
    deployer.deploy("hello", "1.0.0", echo, environment={"PASSWORD": secret})
    found = deployer.inspect("hello")
    assert "PASSWORD" in repr(found)
    assert secret not in repr(found)
    assert secret not in (deployer.state / "registry.sqlite").read_bytes().decode(
        errors="replace"
    )


def run_python(code: str, *arguments: object) -> str:
    """Run code in a process of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.stdout


def test_another_process_sees_everything(pair: Deployer, serving: Serving) -> None:
    """A router here follows, on its next request, an assign made elsewhere."""
    with serving(ShadowRouter(pair)) as address, httpx.Client() as client:
        assert client.get(f"{address}/hello/").json()["greeting"] == "one"
        listed = run_python(
            """
            import sys
            from daeploy_lib import Deployer
            deployer = Deployer(project=sys.argv[1], state=sys.argv[2])
            print(deployer.ls())
            deployer.assign("hello", "2.0.0")
            """,
            pair.project,
            pair.state,
        )
        assert client.get(f"{address}/hello/").json()["greeting"] == "two"
    assert listed.count("running") == 2


@pytest.mark.parametrize("what", ["file", "directory"])
def test_a_lost_registry_is_adopted_from_labels(
    pair: Deployer, serving: Serving, what: str
) -> None:
    """Everything that runs is found again, main included, and still served."""
    pair.assign("hello", "2.0.0")
    before = pair.ls()
    with serving(ShadowRouter(pair)) as address, httpx.Client() as client:
        assert client.get(f"{address}/hello/").json()["greeting"] == "two"
        for file in [f for f in pair.state.rglob("*") if f.is_file()]:
            if what == "directory" or file.name == "registry.sqlite":
                file.unlink()
        assert client.get(f"{address}/hello/").json()["greeting"] == "two"
        with Deployer(project=pair.project, state=pair.state) as again:
            after = again.ls()
            assert client.get(f"{address}/hello/").json()["greeting"] == "two"
            again.assign("hello", "1.0.0")
        assert client.get(f"{address}/hello/").json()["greeting"] == "one"
    assert [(s.version, s.is_main, s.status, s.endpoints) for s in after] == [
        (s.version, s.is_main, s.status, s.endpoints) for s in before
    ]
    assert pair.kill("hello")


def test_a_taken_version_is_refused_before_any_build(
    pair: Deployer, echo: Path
) -> None:
    """Deploying a version twice raises without an event of a build."""
    events: list[object] = []
    with pytest.raises(VersionExistsError):
        pair.deploy("hello", "1.0.0", echo, on_event=events.append)
    assert events == []
    with pytest.raises(VersionNotFoundError):
        pair.assign("hello", "3.0.0")


def test_a_vanished_container_is_listed_as_missing(pair: Deployer, engine: Any) -> None:
    """A container removed behind our back does not break the listing or a kill."""
    engine.client.remove_container(container(engine, pair, "2.0.0"), force=True)
    assert [s.status for s in pair.ls()] == [Status.running, Status.missing]
    assert pair.kill("hello", "2.0.0")
    assert len(pair.ls()) == 1


def test_ephemeral_services_end_with_their_deployer(
    engine: Any, project: str, state: Path, echo: Path
) -> None:
    """An ephemeral Deployer kills what it deployed, also on an error."""

    def fail() -> None:
        with Deployer(project=project, state=state, ephemeral=True) as deployer:
            deployer.deploy("hello", "1.0.0", echo)
            deployer.deploy("hello", "2.0.0", echo)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert_nothing_left(engine, Deployer(project=project, state=state))


def test_a_promotion_rests_on_what_the_router_saw(
    deployer: Deployer, echo: Path, serving: Serving, tmp_path: Path
) -> None:
    """A gate refuses the version that answers otherwise and passes the other one."""
    other = shutil.copytree(echo, tmp_path / "other")  # else it would be a control
    (other / "NOTES").write_text("Not main's content.")
    for version, greeting in (("1.0.0", "one"), ("2.0.0", "two"), ("3.0.0", "one")):
        source = echo if version == "1.0.0" else other
        deployer.deploy("hello", version, source, environment={"GREETING": greeting})
    gate = Gate(min_exchanges=50, agreement=0.9, error_rate=0.1, latency_ratio=50)
    assert asked(deployer, "3.0.0", gate) == "inconclusive"  # nothing was seen yet
    # They tell what headers they got, and shadows get more.
    router = ShadowRouter(deployer, compare=ComparisonRules(ignored=["$.headers"]))
    with serving(router) as address, httpx.Client() as client:
        for number in range(150):
            client.get(f"{address}/hello/{number}").raise_for_status()
        eventually(lambda: asked(deployer, "2.0.0", gate) == "fail")
        assert deployer.get("hello").version == "1.0.0"
        eventually(lambda: asked(deployer, "3.0.0", gate) == "pass")
    assert deployer.get("hello").version == "3.0.0"
    assert '"pass"' in str(deployer.history("hello")[-1].verdict)


def asked(deployer: Deployer, version: str, gate: Gate) -> str:
    """Return what a gate says to making a version main."""
    try:
        deployer.assign("hello", version, gate=gate)
    except GateNotPassedError as error:
        result: Any = error.verdict
        return str(result.result)
    return "pass"
