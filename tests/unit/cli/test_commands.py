"""Commands, one by one: what they write, where, and with which exit code."""

import contextlib
import io
import json
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from daeploy_lib import Deployer, Service, ServiceNotFoundError
from daeploy_lib.cli.entry import run
from daeploy_lib.evidence import Timing
from daeploy_lib.evidence.recorder import Recorder
from daeploy_lib.evidence.sample import Sample
from daeploy_lib.testing import Behaviour, MemoryRuntime


@attrs.frozen
class Ended:
    """What a command did."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return what it wrote for programs."""
        return json.loads(self.out)


Daeploy = Callable[..., Ended]


@pytest.fixture
def runtime() -> MemoryRuntime:
    """What the versions of a test run on."""
    return MemoryRuntime(
        {
            "broken": Behaviour(exit_code=3, lines=("no model found",)),
            "chatty": Behaviour(lines=tuple(f"line {n}" for n in range(100))),
        }
    )


@pytest.fixture
def deployer(runtime: MemoryRuntime, state: Path) -> Iterator[Deployer]:
    """What the commands are thin over."""
    with Deployer(runtime, state=state) as deployer:
        yield deployer
        deployer.kill_all()


@pytest.fixture
def daeploy(
    deployer: Deployer,
    runtime: MemoryRuntime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Daeploy:
    """The command line, without a terminal to ask on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAEPLOY_STATE", str(deployer.state))
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    def call(*arguments: object) -> Ended:
        code = run([str(word) for word in arguments], runtime=runtime)
        return Ended(code, *capsys.readouterr())

    return call


@pytest.fixture
def pair(daeploy: Daeploy) -> Daeploy:
    """The command line, with 1.0.0 as main and 2.0.0 as its shadow."""
    assert daeploy("init", "--name", "hello").code == 0
    for version in ("1.0.0", "2.0.0"):
        assert daeploy("deploy", "hello", version, "hello").code == 0
    return daeploy


def test_the_table_is_that_of_the_library(pair: Daeploy, deployer: Deployer) -> None:
    """To the character, all or some of it."""
    for words in ((), ("hello",), ("hello", "2.0.0")):
        assert pair("ls", *words) == Ended(0, f"{deployer.ls(*words)}\n", "")


def test_json_is_all_there_is_on_standard_output(pair: Daeploy, state: Path) -> None:
    """Of every command that lists, shows or changes something, with stable keys."""
    fields = [field.name for field in attrs.fields(Service)]
    for listed in pair("ls", "--json").json():
        assert list(listed) == fields
    inspected = pair("inspect", "hello", "--json").json()
    assert {"service", "spec", "runtime"} <= set(inspected)
    assert inspected["spec"]["resources"]["memory"] == 512 * 1024**2
    deployed = pair("deploy", "hello", "3.0.0", "hello", "--json")
    assert deployed.json()["version"] == "3.0.0"
    assert deployed.err.endswith("Service deployed successfully\n")
    assert pair("assign", "hello", "3.0.0", "--yes", "--json").json()["is_main"]
    assert pair("rollback", "hello", "--json").json()["version"] == "1.0.0"
    [*_, last] = pair("history", "hello", "--json").json()
    assert (last["previous"], last["version"]) == ("3.0.0", "1.0.0")
    assert pair("report", "hello", "--json").json()["main"] == "1.0.0"
    assert pair("gate", "hello", "2.0.0", "--json").json()["result"] == "inconclusive"
    [line, *_] = pair("logs", "hello", "--json").out.splitlines()
    assert list(json.loads(line)) == ["at", "stream", "text"]
    assert pair("cleanup", "--json").json() == []
    killed = pair("kill", "hello", "--yes", "--json").json()
    assert [one["version"] for one in killed] == ["2.0.0", "3.0.0", "1.0.0"]
    assert state.is_dir()


@pytest.mark.parametrize("words", [["ls"], ["inspect", "hello"], ["history", "hello"]])
def test_a_project_is_apart(pair: Daeploy, words: list[str]) -> None:
    """``--project`` and its variable name another one, where nothing is."""
    found = pair("--project", "other", *words)
    assert "1.0.0" not in found.out
    assert found.code == (0 if words == ["ls"] else 3)


def test_nobody_is_asked_without_a_terminal(pair: Daeploy) -> None:
    """It says so, says what to do, changes nothing and never waits."""
    for words in (
        ["assign", "hello", "2.0.0"],
        ["kill", "hello"],
        ["kill", "--all"],
        ["kill", "hello", "--json"],
    ):
        found = pair(*words)
        assert found.code == 1
        assert "there is no terminal to ask on" in found.err
        assert "--yes" in found.err
    assert pair("ls", "--json").json()[0]["is_main"]
    found = pair("init")
    assert (found.code, "--name" in found.err) == (2, True)


MISTAKES = [
    (["asign", "hello"], 2, r"No such command 'asign'. Did you mean 'assign'\?"),
    (["assign", "hello"], 2, r"(?i)Missing argument 'version'"),
    (["assign", "hello", "2.0.0", "--yess"], 2, r"No such option.+--yes"),
    (["ls", "--project", "other"], 2, r"in front of the command: daeploy --project"),
    (["--runtime", "dokcer", "ls"], 2, r"'dokcer' is not one of 'docker', 'process'"),
    (["--project", "A b", "ls"], 2, r"A b"),
    (["ls", "helo"], 3, r"Did you mean 'hello'\?"),
    (["logs", "hello", "2.0"], 3, r"Did you mean '2.0.0'\?"),
    (["assign", "hello", "2.0.1", "--yes"], 3, r"Did you mean '2.0.0'\?"),
    (["assign", "helo", "2.0.0"], 3, r"Did you mean 'hello'\?"),
    (["deploy", "hello", "3", "http://x/y"], 2, r"Add --git"),
    (["gate", "hello", "1.0.0"], 3, r"'1.0.0' is no shadow of 'hello'"),
    (["kill", "hello", "1.0.0", "--yes"], 1, r"is main and has shadows"),
    (["kill"], 2, r"Name the service"),
    (["kill", "hello", "--all"], 2, r"Name the service"),
    (["deploy", "hello", "1.0.0", "hello"], 1, r"is already deployed"),
    (["deploy", "hello", "3.0.0", "nowhere"], 1, r"nowhere"),
    (["deploy", "hello", "3.0.0", "hello", "--port", "0"], 2, r"Invalid port 0"),
    (["deploy", "hello", "3.0.0", "hello", "--port", "x"], 2, r"--port"),
    (["deploy", "hello", "3.0.0", "hello", "--memory", "1x"], 2, r"Invalid memory"),
    (["deploy", "hello", "3.0.0", "hello", "--env-file", "no.env"], 1, r"no\.env"),
    (["deploy", "hello", "3_0", "hello"], 2, r"3_0"),
    (["deploy", "broken", "1", "hello"], 1, r"no model found"),
    (["init", "--name", "hello"], 1, r"is not an empty directory"),
    (["init", "--name", "Hello World"], 2, r"Hello World"),
    (["report", "hello", "--html", "no/where.html"], 1, r"no"),
    (["rollback", "hello"], 3, r"hello"),
    (["history", "nobody"], 3, r"nobody"),
    (["assign", "hello", "2.0.0", "--force"], 2, r"--gate"),
    (["assign", "hello", "2.0.0", "--yes", "--expected", "9"], 1, r"expected"),
    (["logs", "hello", "--since", "soon"], 2, r"--since"),
]


@pytest.mark.parametrize(("words", "code", "said"), MISTAKES)
def test_mistakes_are_explained(
    pair: Daeploy, words: list[str], code: int, said: str
) -> None:
    """In a sentence on standard error, with a code, without a traceback."""
    found = pair(*words)
    assert found.code == code
    assert re.search(said, found.err), found.err
    assert "Error: " in found.err
    assert "Traceback" not in found.err
    if words[0] != "kill":
        assert found.out == ""


def test_a_traceback_for_a_report(
    daeploy: Daeploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable has an error raised instead of explained."""
    monkeypatch.setenv("DAEPLOY_TRACEBACK", "1")
    with pytest.raises(ServiceNotFoundError):
        daeploy("ls", "nobody")


def test_what_another_hand_wrote_is_shown(pair: Daeploy, deployer: Deployer) -> None:
    """A verdict in the history that is no JSON is text."""
    database = sqlite3.connect(deployer.state / "registry.sqlite")
    with contextlib.closing(database), database:
        database.execute("UPDATE history SET verdict = 'fine'")
    found = pair("history", "hello", "--json").json()
    assert [change["verdict"] for change in found] == ["fine"]


def test_a_host_is_one_of_an_engine() -> None:
    """Processes have none."""
    assert run(["--runtime", "process", "--host", "unix:///x", "ls"]) == 2


def test_a_secret_is_never_repeated(daeploy: Daeploy) -> None:
    """Not when it is used, and not when the command line is wrong."""
    secret = "hunter2 secret"
    daeploy("init", "--name", "hello")
    words = ["deploy", "hello", "1.0.0", "hello", "--env", f"PASSWORD={secret}"]
    for extra in ([], ["--cpus", "-1"], [f"TOKEN={secret}"], ["--env", secret]):
        found = daeploy(*words, *extra)
        assert secret not in found.out + found.err
    shown = daeploy("inspect", "hello")
    assert "PASSWORD" in shown.out
    assert secret not in shown.out


def test_logs(daeploy: Daeploy) -> None:
    """The last fifty by default; as many as asked for, and since when."""
    daeploy("init", "--name", "chatty")
    daeploy("deploy", "chatty", "1", "chatty")
    lines = [f"line {n}" for n in range(100)]
    shown = daeploy("logs", "chatty", "-n", "all").out.splitlines()
    assert [line for line in shown if line.startswith("line")] == lines
    assert len(daeploy("logs", "chatty").out.splitlines()) == 50
    assert len(daeploy("logs", "chatty", "-n", "3").out.splitlines()) == 3
    assert daeploy("logs", "chatty", "-d", "2099-01-01").out == ""


def seen(deployer: Deployer, outcome: str, count: int) -> None:
    """Record exchanges of hello's two versions."""
    recorder = Recorder(deployer.state, deployer.project)
    pairing = recorder.pairing("hello", "1.0.0", "2.0.0")
    timing = Timing(0.01, 0.01)
    for _ in range(count):
        pairing.add(Sample(outcome, time.time(), 200, 200, timing, timing))
    recorder.close()


def test_a_gate_that_passes(pair: Daeploy, deployer: Deployer) -> None:
    """Code 0, also with one shadow unnamed; assign then goes on."""
    seen(deployer, "match", 2000)
    found = pair("gate", "hello", "--agreement", "0.98", "--min-exchanges", "500")
    assert found.code == 0
    assert found.out.startswith("Pass after 2000 exchanges")
    assigned = pair("assign", "hello", "2.0.0", "--yes", "--gate")
    assert assigned.code == 0
    assert "pass" in pair("history", "hello").out


def test_a_gate_that_fails(pair: Daeploy, deployer: Deployer) -> None:
    """Code 4, from the gate as from assign, unless that is overruled."""
    seen(deployer, "timeout", 2000)
    assert pair("gate", "hello", "2.0.0").code == 4
    refused = pair("assign", "hello", "2.0.0", "--yes", "--agreement", "0.9")
    assert refused.code == 4
    assert "Use --force to assign" in refused.err
    assert pair("ls", "--json").json()[0]["is_main"]
    words = ["assign", "hello", "2.0.0", "--yes", "--agreement", "0.9", "--force"]
    assert pair(*words).code == 0


def test_a_gate_without_evidence(pair: Daeploy) -> None:
    """Code 5: neither good nor bad."""
    assert pair("gate", "hello", "2.0.0").code == 5
    assert pair("assign", "hello", "2.0.0", "--yes", "--gate").code == 5


def test_a_watch_that_returns(pair: Daeploy, deployer: Deployer) -> None:
    """It says what it saw, changes main back and ends with code 4."""
    assert pair("assign", "hello", "2.0.0", "--yes").code == 0
    recorder = Recorder(deployer.state, deployer.project)
    pairing = recorder.pairing("hello", "2.0.0", "1.0.0")
    timing = Timing(0.01, 0.01)
    for _ in range(2000):
        pairing.add(Sample("differ", time.time(), 200, 200, timing, timing))
    recorder.close()
    found = pair("watch", "hello", "--interval", "0.01", "--agreement", "0.9")
    assert found.code == 4
    assert found.out.startswith("Fail after 2000 exchanges")
    assert found.out.endswith("Changed main version to hello 1.0.0\n")


def test_a_report_page(pair: Daeploy, tmp_path: Path) -> None:
    """``--html`` writes it, and says where."""
    found = pair("report", "hello", "--html", "hello.html")
    assert (found.code, found.out, found.err) == (0, "", "Wrote hello.html\n")
    assert (tmp_path / "hello.html").read_text("utf-8").startswith("<!doctype html>")
    assert pair("report", "hello").out.startswith("hello: main is 1.0.0")


def test_the_version(daeploy: Daeploy) -> None:
    """As the installer knows it."""
    assert re.fullmatch(r"daeploy-lib \d+\.\d+\S*\n", daeploy("--version").out)


def test_no_words_at_all_show_the_help(daeploy: Daeploy) -> None:
    """With every command in it, and the code for usage."""
    found = daeploy()
    assert found.code == 2
    for command in ("init", "deploy", "ls", "assign", "serve", "cleanup"):
        assert f"\n  {command} " in found.err + found.out


WITHOUT = (
    "import sys; sys.modules[sys.argv.pop(1)] = None; "
    "from daeploy_lib.cli.entry import main; main()"
)


@pytest.mark.parametrize(
    ("missing", "words"), [("typer", ["ls"]), ("uvicorn", ["serve", "--port", "0"])]
)
def test_without_the_extra_it_says_which(
    state: Path, missing: str, words: list[str]
) -> None:
    """And ends with code 1, without a traceback."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, missing, "--state", str(state), *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=state,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: The command line needs {missing}, which is not installed: "
        f"pip install 'daeploy-lib[cli]'.\n"
    )


def test_without_an_engine_it_says_which_option_needs_none(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the library names an argument."""
    host = f"unix://{tmp_path}/none.sock"
    assert run(["--state", str(state), "--host", host, "ls"]) == 1
    assert "; --runtime process needs none." in capsys.readouterr().err


@pytest.mark.parametrize("words", [["serve", "--port", "0"], ["ls"]])
def test_a_damaged_registry_is_an_error(state: Path, words: list[str]) -> None:
    """Also of a server, which would have nothing to serve."""
    (state / "registry.sqlite").write_bytes(b"not a database" * 100)
    assert run(["--state", str(state), *words], runtime=MemoryRuntime()) == 1


def test_what_one_command_needs_costs_the_others_nothing() -> None:
    """Servers, plots and clients of engines that are not asked for."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, daeploy_lib.cli.application; print(*sys.modules)",
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"uvicorn", "matplotlib", "numpy", "prometheus_client"}
