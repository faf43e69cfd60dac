"""Real processes at once on a real engine, and processes that are killed."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import attrs
import httpx
import pytest

import deploying_process
from container_engine import Engine
from container_engine.client import built_images
from daeploy_lib import Deployer, DockerRuntime, VersionExistsError
from deployer_program import DeployerProcess, deployers, together

pytestmark = [
    pytest.mark.docker,
    pytest.mark.usefixtures("base_image"),
    pytest.mark.timeout(240),
]

SAME, FIRST = 8, 6
CLIENTS, REQUESTS = 8, 500


@pytest.fixture
def deployer(engine: Engine, project: str, state: Path) -> Iterator[Deployer]:
    """A Deployer on the real engine, with a project of its own."""
    with Deployer(DockerRuntime(engine.url), project=project, state=state) as deployer:
        yield deployer


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Where processes wait to be let go at one moment."""
    return tmp_path / "gate"


@attrs.frozen
class OnEngine:
    """What the engine has of a project, by kind."""

    containers: frozenset[str]
    images: frozenset[str]
    networks: frozenset[str]


def on_engine(engine: Engine, project: str) -> OnEngine:
    """Look at the engine from the side."""
    own = {"label": [f"daeploy.project={project}"]}
    client = engine.client
    return OnEngine(
        frozenset(c["Id"] for c in client.containers(all=True, filters=own)),
        frozenset(i["Id"] for i in built_images(client, project)),
        frozenset(n["Id"] for n in client.networks(filters=own)),
    )


def test_of_equal_deploys_at_once_one_succeeds(
    deployer: Deployer, engine: Engine, echo: Path, gate: Path
) -> None:
    """The others are refused before anything is built, and one container runs."""
    with deployers(deployer.project, deployer.state, SAME) as processes:
        commands = [("deploy", "hello", "1.0.0", str(echo), "one")] * SAME
        answers = together(gate, processes, *commands)
    winners = [stages for outcome, stages in answers if outcome is True]
    losers = [answer for answer in answers if answer[0] is not True]
    assert len(winners) == 1
    assert winners[0][-1] == "done"
    assert losers == [[VersionExistsError.__name__, []]] * (SAME - 1)
    seen = on_engine(engine, deployer.project)
    assert (len(seen.containers), len(seen.images), len(seen.networks)) == (1, 1, 1)
    [service] = deployer.ls()
    assert service.is_main
    assert deployer.cleanup() == []


def test_of_first_deploys_at_once_one_becomes_main(
    deployer: Deployer, engine: Engine, echo: Path, gate: Path
) -> None:
    """All succeed, and one is told that it is main; three kills at once end all."""
    versions = [f"{number}.0.0" for number in range(1, FIRST + 1)]
    with deployers(deployer.project, deployer.state, FIRST) as processes:
        answers = together(
            gate, processes, *(("deploy", "hello", v, str(echo), v) for v in versions)
        )
        told = [v for v, (is_main, _) in zip(versions, answers, strict=True) if is_main]
        assert [stages[-1] for _, stages in answers] == ["done"] * FIRST
        assert told == [s.version for s in deployer.ls() if s.is_main]
        assert len(told) == 1
        assert len({s.port for s in deployer.ls()}) == FIRST
        shares = {
            s.version: deployer.inspect("hello", s.version)["runtime"]["limits"]  # type: ignore[index]
            for s in deployer.ls()
        }
        weights = {v: limits["cpu_shares"] for v, limits in shares.items()}
        assert [v for v in versions if weights[v] == max(weights.values())] == told
        assert len(on_engine(engine, deployer.project).containers) == FIRST
        killed = together(gate, processes[:3], *[("kill", "hello")] * 3)
    assert {version for call in killed for version in call} == set(versions)
    assert on_engine(engine, deployer.project) == OnEngine(*[frozenset()] * 3)


@attrs.frozen
class Asked:
    """One request: when it began and ended, and who answered."""

    began: float
    ended: float
    status: int
    version: str


@attrs.frozen
class Assigned:
    """One assign: when it began, when it had returned, and to which version."""

    began: float
    returned: float
    version: str


def allowed(ledger: list[Assigned], asked: Asked) -> set[str]:
    """Return the versions that may have answered a request."""
    before = [a for a in ledger if a.returned <= asked.began]
    during = [a for a in ledger if a.returned > asked.began and a.began < asked.ended]
    return {a.version for a in [*before[-1:], *during]}


@contextmanager
def routing(deployer: Deployer) -> Iterator[str]:
    """Give the address of a router in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        descriptor = listener.fileno()
        with DeployerProcess(deployer.project, deployer.state, [descriptor]) as process:
            process.send("serve", descriptor)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def ask_often(url: str, count: int) -> list[Asked]:
    """Send requests one after another over one connection."""
    asked = []
    with httpx.Client(trust_env=False, timeout=20) as client:
        for number in range(count):
            began = time.monotonic()
            answer = client.post(f"{url}/{number}", content=b"x" * 1000)
            version = answer.json()["greeting"] if answer.is_success else ""
            asked.append(Asked(began, time.monotonic(), answer.status_code, version))
    return asked


def test_assigns_from_two_processes_under_traffic(
    deployer: Deployer, echo: Path
) -> None:
    """No request fails, and each that begins after an assign gets the new main."""
    for version in ("1", "2"):
        deployer.deploy("hello", version, echo, environment={"GREETING": version})
    ledger = [Assigned(0.0, 0.0, "1")]
    with (
        routing(deployer) as address,
        deployers(deployer.project, deployer.state, 2) as writers,
        ThreadPoolExecutor(CLIENTS) as pool,
        httpx.Client(trust_env=False) as own,
    ):
        url = f"{address}/hello"
        assert own.get(f"{url}/").json()["greeting"] == "1"
        share = -(-REQUESTS // CLIENTS)
        clients = [pool.submit(ask_often, url, share) for _ in range(CLIENTS)]
        while not all(client.done() for client in clients):
            writer = writers[len(ledger) % 2]
            version = "2" if ledger[-1].version == "1" else "1"
            began, returned = writer.ask("assign", "hello", version)
            ledger.append(Assigned(began, returned, version))
            assert own.get(f"{url}/now").json()["greeting"] == version
        asked = [one for client in clients for one in client.result()]
    assert len(asked) >= REQUESTS
    assert [one for one in asked if one.status != 200] == []
    assert [one for one in asked if one.version not in allowed(ledger, one)] == []
    assert {one.version for one in asked} == {"1", "2"}
    assert len(ledger) > 5
    history = [change.version for change in deployer.history("hello")]
    assert history == [entry.version for entry in ledger]


# ------------------------------------------------------------- killed processes

# The kind of the deployment, the event after which it is killed, and how long
# after that; seconds.
MOMENTS = {
    "in a step of the build": ("slow build", "build building", 0.0),
    "at the beginning of the build": ("never ready", "build Building", 0.0),
    "at the start": ("never ready", "start Starting", 0.0),
    "a little later": ("never ready", "start Starting", 0.15),
    "before it is ready": ("never ready", "ready Waiting", 0.0),
}


def killed_deployment(
    engine: Engine, deployer: Deployer, kind: str, words: str, delay: float
) -> None:
    """Have another process deploy hello 1.0.0, and kill it with SIGKILL."""
    program = str(deploying_process.__file__)
    words_of_it = [engine.url, deployer.project, str(deployer.state), kind]
    with subprocess.Popen(
        [sys.executable, program, *words_of_it, engine.base_image],
        env=deploying_process.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any(words in line for line in process.stdout), "it never came so far"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)


def eventually(condition: Callable[[], object], patience: float = 20.0) -> None:
    """Ask again until a condition holds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.05)


def steps(engine: Engine) -> list[str]:
    """Return containers of the slow step that still run."""
    return [
        c["Id"]
        for c in engine.client.containers()
        if deploying_process.SLOW_STEP in (c["Command"] or "")
    ]


@pytest.mark.parametrize("then", ["deploy", "cleanup"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_process_that_is_killed_while_it_deploys(
    deployer: Deployer, engine: Engine, echo: Path, *, moment: str, then: str
) -> None:
    """The version can be deployed at once; cleanup finds and removes what is left."""
    kind, words, delay = MOMENTS[moment]
    deployer.deploy("other", "1", echo)
    listed, before = deployer.ls(), on_engine(engine, deployer.project)
    killed_deployment(engine, deployer, kind, words, delay)
    # A build that nobody waits for any more is ended by the engine.
    eventually(lambda: not steps(engine))
    assert deployer.ls() == listed
    shown = deployer.cleanup(dry_run=True)
    assert [left.kind for left in shown][:1] == ["reservation"]
    assert "hello 1.0.0" in shown[0].name
    if moment == "before it is ready":
        assert {left.kind for left in shown} == {"reservation", "container", "image"}
    if then == "cleanup":
        assert {left.id for left in shown} <= {left.id for left in deployer.cleanup()}
        assert deployer.cleanup() == []
        assert on_engine(engine, deployer.project) == before
    service = deployer.deploy("hello", "1.0.0", echo)
    assert service.is_main
    assert deployer.cleanup() == []
    after = on_engine(engine, deployer.project)
    assert after.containers > before.containers
    assert len(after.containers) == len(after.images) == 2
    assert deployer.ls("other") == listed


def test_cleanups_and_deploys_at_once(
    deployer: Deployer, engine: Engine, echo: Path
) -> None:
    """Cleanups leave alone what other processes are deploying."""
    versions = ["1", "2", "3"]
    with deployers(deployer.project, deployer.state, 4) as processes:
        *workers, sweeper = processes
        commands = [("deploy", "hello", v, str(echo), v) for v in versions]
        sweeper.send("cleanup")
        answers: list[object] = [sweeper.answer()]
        for process, command in zip(workers, commands, strict=True):
            process.send(*command)
        deadline = time.monotonic() + 60
        while len(deployer.ls()) < 3 or "deploying" in str(deployer.ls()):
            answers.append(sweeper.ask("cleanup"))
            assert time.monotonic() < deadline
        assert [process.answer()[1][-1] for process in workers] == ["done"] * 3
    assert set(answers) == {0}
    assert len(on_engine(engine, deployer.project).containers) == 3
