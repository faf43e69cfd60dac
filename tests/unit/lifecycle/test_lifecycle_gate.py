"""Assign with a gate: the evidence decides before anything is changed."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cut_short import Cut, hooked
from daeploy_lib import (
    Deployer,
    Gate,
    GateNotPassedError,
    NotReadyError,
    ServiceNotFoundError,
    StaleAssignError,
    Verdict,
    VersionNotFoundError,
)
from daeploy_lib.evidence.recorder import Recorder
from daeploy_lib.evidence.sample import Sample
from daeploy_lib.evidence.store import Stored
from daeploy_lib.lifecycle.evidence import evidence_of
from daeploy_lib.lifecycle.gating import assign_gated
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.runtimes.memory import MemoryRuntime
from stored_evidence import pair, totals

GATE = Gate(agreement=0.9, error_rate=0.1, latency_ratio=None)


@pytest.fixture
def trio(deployer: Deployer, source: Path) -> Deployer:
    """Main 1.0.0 with the shadows 2.0.0 and 3.0.0, of the same content."""
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        deployer.deploy("hello", version, source)
    return deployer


def refused(
    deployer: Deployer, version: str = "2.0.0", gate: Gate = GATE
) -> GateNotPassedError:
    """Return the refusal; nothing was changed by it."""
    before = deployer.ls(), deployer.history("hello")
    with pytest.raises(GateNotPassedError) as caught:
        deployer.assign("hello", version, gate=gate)
    assert (deployer.ls(), deployer.history("hello")) == before
    return caught.value


def result_of(error: GateNotPassedError) -> str:
    """Return what the verdict of a refusal is."""
    assert isinstance(error.verdict, Verdict)
    return str(error.verdict.result)


def test_a_gate_that_passes_lets_assign(trio: Deployer, stored: list[Stored]) -> None:
    """The verdict is read back from the history as it was given."""
    stored.append(pair("1.0.0", "2.0.0", totals(match=1000)))
    assert trio.assign("hello", "2.0.0", gate=GATE).is_main
    change = trio.history("hello")[-1]
    assert (change.version, change.forced) == ("2.0.0", False)
    assert change.verdict is not None
    assert Verdict.from_dict(json.loads(change.verdict)).is_pass


def test_no_evidence_is_inconclusive(trio: Deployer) -> None:
    """A gate never passes on nothing, and the message says what was seen."""
    error = refused(trio)
    assert result_of(error) == "inconclusive"
    assert "Inconclusive after 0 exchanges" in str(error)


def test_a_worse_shadow_is_refused(trio: Deployer, stored: list[Stored]) -> None:
    """The verdict is a failure."""
    stored.append(pair("1.0.0", "2.0.0", totals(match=500, failed=500)))
    assert result_of(refused(trio)) == "fail"


def test_force_assigns_all_the_same(trio: Deployer, stored: list[Stored]) -> None:
    """The history says that it was forced, and what the gate had said."""
    stored.append(pair("1.0.0", "2.0.0", totals(failed=1000)))
    assert trio.assign("hello", "2.0.0", gate=GATE, force=True).is_main
    change = trio.history("hello")[-1]
    assert change.forced
    assert json.loads(change.verdict or "")["result"] == "fail"


def test_force_where_the_gate_passes_overrules_nothing(
    trio: Deployer, stored: list[Stored]
) -> None:
    """The history does not call it forced."""
    stored.append(pair("1.0.0", "2.0.0", totals(match=1000)))
    trio.assign("hello", "2.0.0", gate=GATE, force=True)
    assert not trio.history("hello")[-1].forced


def test_what_processes_saw_is_added_up(trio: Deployer, stored: list[Stored]) -> None:
    """Each of four saw too little, all of them together enough."""
    stored += [pair("1.0.0", "2.0.0", totals(match=60)) for _ in range(4)]
    gate = Gate(min_exchanges=240, agreement=0.9, error_rate=0.1, latency_ratio=None)
    assert trio.assign("hello", "2.0.0", gate=gate).is_main


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
def test_what_was_seen_of_a_killed_version_does_not_count(
    trio: Deployer, source: Path, stored: list[Stored], version: str
) -> None:
    """A version that was deployed again under that name is another one."""
    stored.append(pair("1.0.0", "2.0.0", totals(match=1000)))
    if version == "1.0.0":
        trio.kill("hello")
        trio.deploy("hello", "1.0.0", source)
    else:
        trio.kill("hello", "2.0.0")
    trio.deploy("hello", "2.0.0", source)
    assert result_of(refused(trio)) == "inconclusive"


def test_evidence_starts_anew_after_a_change_of_main(
    trio: Deployer, stored: list[Stored]
) -> None:
    """Also when main is then again what it was."""
    stored.append(pair("1.0.0", "2.0.0", totals(match=1000)))
    trio.assign("hello", "2.0.0")
    trio.assign("hello", "1.0.0")
    assert result_of(refused(trio)) == "inconclusive"


def test_evidence_of_others_does_not_count(
    trio: Deployer, stored: list[Stored]
) -> None:
    """Neither of another shadow, main or service."""
    stored += [
        pair("1.0.0", "3.0.0", totals(match=1000)),
        pair("3.0.0", "2.0.0", totals(match=1000)),
        pair("1.0.0", "2.0.0", totals(match=1000), name="other"),
    ]
    assert result_of(refused(trio)) == "inconclusive"


def test_a_shadow_of_mains_content_is_a_control(
    trio: Deployer, opened: Project, source: Path
) -> None:
    """One that is started with other words or other content is none."""
    other = source.with_name("other")
    other.mkdir()
    (other / "service.py").write_text("x = 1")
    trio.deploy("hello", "4.0.0", other)
    trio.deploy("hello", "5.0.0", source, command=["python", "other.py"])
    trio.deploy("hello", "6.0.0", source, environment={"MODEL": "b"})
    assert evidence_of(opened, "hello").controls == {"2.0.0", "3.0.0"}


def test_a_version_with_an_environment_is_no_control(
    deployer: Deployer, opened: Project, source: Path
) -> None:
    """Its values are not kept, and one of them may name another model."""
    for version in ("1.0.0", "2.0.0"):
        environment = {"MODEL": f"/models/{version}"}
        deployer.deploy("hello", version, source, environment=environment)
    assert not evidence_of(opened, "hello").controls


def test_noise_of_a_control_is_excused(trio: Deployer, stored: list[Stored]) -> None:
    """Without the control the same differences fail the gate."""
    stored.append(pair("1.0.0", "2.0.0", totals(match=500, differ=500)))
    assert result_of(refused(trio)) == "fail"
    stored.append(pair("1.0.0", "3.0.0", totals(match=500, differ=500)))
    assert trio.assign("hello", "2.0.0", gate=GATE).is_main


def test_noise_of_main_asked_twice_is_excused(
    deployer: Deployer, source: Path, stored: list[Stored]
) -> None:
    """No control is needed then; what main did before it was main does not count."""
    deployer.deploy("hello", "1.0.0", source)
    deployer.deploy("hello", "2.0.0", source, command=["python", "other.py"])
    stored.append(pair("1.0.0", "1.0.0", totals(match=500, differ=500)))
    deployer.assign("hello", "2.0.0")
    deployer.assign("hello", "1.0.0")
    stored.append(pair("1.0.0", "2.0.0", totals(match=500, differ=500)))
    stored.append(pair("2.0.0", "2.0.0", totals(match=500, differ=500)))
    assert result_of(refused(deployer)) == "fail"
    stored.append(pair("1.0.0", "1.0.0", totals(match=500, differ=500)))
    assert deployer.assign("hello", "2.0.0", gate=GATE).is_main


def test_a_control_does_not_excuse_itself(
    deployer: Deployer, source: Path, stored: list[Stored]
) -> None:
    """Its differences would else never be any."""
    deployer.deploy("hello", "1.0.0", source)
    deployer.deploy("hello", "2.0.0", source)
    stored.append(pair("1.0.0", "2.0.0", totals(match=500, differ=500)))
    assert result_of(refused(deployer)) == "fail"


def test_main_itself_needs_no_evidence(trio: Deployer) -> None:
    """Nothing is changed, and nothing is judged."""
    before = trio.history("hello")
    assert trio.assign("hello", "1.0.0", gate=GATE).is_main
    assert trio.history("hello") == before


@pytest.mark.parametrize("gate", [0.9, "pass", Gate, True])
def test_what_is_no_gate_is_refused(trio: Deployer, gate: object) -> None:
    """Before anything is looked at."""
    with pytest.raises(TypeError, match="gate must be a Gate"):
        trio.assign("nothing", "1", gate=gate)  # type: ignore[arg-type]


def test_errors_of_an_assign_come_with_a_gate_too(
    trio: Deployer, runtime: MemoryRuntime, stored: list[Stored]
) -> None:
    """Unknown names and versions, a stale caller, a version that is not ready."""
    with pytest.raises(ServiceNotFoundError):
        trio.assign("nobody", "1.0.0", gate=GATE)
    with pytest.raises(VersionNotFoundError):
        trio.assign("hello", "9.0.0", gate=GATE)
    with pytest.raises(StaleAssignError):
        trio.assign("hello", "2.0.0", gate=GATE, expected="3.0.0")
    stored.append(pair("1.0.0", "2.0.0", totals(match=1000)))
    [found] = [i for i in runtime.list("default") if i.version == "2.0.0"]
    runtime.crash(found.id)
    with pytest.raises(NotReadyError):
        trio.assign("hello", "2.0.0", gate=GATE)
    assert trio.get("hello").version == "1.0.0"


def test_of_many_gated_assigns_one_wins(trio: Deployer, stored: list[Stored]) -> None:
    """The others are judged beside the new main, and have nothing to show there."""
    stored += [pair("1.0.0", v, totals(match=1000)) for v in ("2.0.0", "3.0.0")]

    def attempt(number: int) -> str:
        version = ("2.0.0", "3.0.0")[number % 2]
        try:
            return trio.assign("hello", version, gate=GATE).version
        except GateNotPassedError as error:
            return result_of(error)

    with ThreadPoolExecutor(16) as pool:
        ended = list(pool.map(attempt, range(16)))
    [_, change] = trio.history("hello")
    # Those that asked for the winner find that it is main already.
    assert sorted(ended) == [change.version] * 8 + ["inconclusive"] * 8


def test_an_assign_in_between_is_judged_again(
    trio: Deployer, opened: Project, stored: list[Stored]
) -> None:
    """What held beside the old main says nothing beside the new one."""
    stored.append(pair("1.0.0", "2.0.0", totals(match=1000)))

    def meanwhile(call: str, when: str) -> None:
        if (call, when) == ("history", "after"):
            trio.assign("hello", "3.0.0")

    with pytest.raises(GateNotPassedError):
        assign_gated(hooked(opened, meanwhile), "hello", "2.0.0", GATE)
    assert trio.get("hello").version == "3.0.0"


def cut_at(moment: int, opened: Project) -> bool:
    """Cut an assign off at a moment; return whether it came to that."""
    cut = Cut(moment)
    try:
        assign_gated(hooked(opened, cut), "hello", "2.0.0", GATE)
    except KeyboardInterrupt:
        return True
    return False


def test_ctrl_c_at_any_moment_leaves_all_or_nothing(
    trio: Deployer, opened: Project, stored: list[Stored]
) -> None:
    """Main and the history say the same, and the verdict is there if it changed."""
    moment = 0
    is_changed = False
    while not is_changed:
        stored[:] = [pair("1.0.0", "2.0.0", totals(match=1000))]
        assert cut_at(moment, opened) or trio.get("hello").version == "2.0.0"
        history = trio.history("hello")
        is_changed = len(history) == 2
        assert trio.get("hello").version == ("2.0.0" if is_changed else "1.0.0")
        assert (history[-1].verdict is not None) == is_changed
        moment += 1
    assert moment > 5


KILLED = """
import os
import sys
import time
from pathlib import Path
from daeploy_lib import Gate
from daeploy_lib.evidence import Totals, Verdict
from daeploy_lib.lifecycle import gating
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.registry.registry import Registry
from daeploy_lib.registry.state import registry_id
from daeploy_lib.runtimes.memory import MemoryRuntime

state = Path(sys.argv[1])
registry = Registry(state, "default")
project = Project("default", state, registry, registry_id(state), MemoryRuntime())
def die(*anything, **named):
    sys.stdout.write("judged")
    sys.stdout.flush()
    os.kill(os.getpid(), 9)
gating.assign = die
gating.assign_gated(project, "hello", "2.0.0", Gate(), force=True)
"""


def test_a_kill_between_verdict_and_commit_changes_nothing(
    trio: Deployer, state: Path
) -> None:
    """The process is gone, main and the history are as they were."""
    before = trio.ls(), trio.history("hello")
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(state)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (-9, "judged"), ended.stderr
    assert (trio.ls(), trio.history("hello")) == before


def test_what_a_recorder_has_written_decides(trio: Deployer, state: Path) -> None:
    """Through the real files of the state directory, of this project only."""
    for project in ("default", "other"):
        recorder = Recorder(state, project)
        version = "2.0.0" if project == "default" else "3.0.0"
        pairing = recorder.pairing("hello", "1.0.0", version)
        for _ in range(300):
            pairing.add(Sample("match", time.time(), 200, 200))
        recorder.flush()
        recorder.close()
    refused(trio, "3.0.0")
    assert trio.assign("hello", "2.0.0", gate=GATE).is_main
