"""Watching a new main: it is left once, when the gate says that it is worse."""

import gc
import json
import re
import threading
from pathlib import Path

import pytest

from daeploy_lib import Deployer, Gate, ServiceNotFoundError, VersionNotFoundError
from daeploy_lib.evidence.store import Stored
from daeploy_lib.runtimes.memory import MemoryRuntime
from stored_evidence import pair, totals

GATE = Gate(agreement=None, error_rate=0.1, latency_ratio=None)
SOON = 0.01
LIMIT = 30.0

# The new main answers 500 where the old one does not.
WORSE = totals(main_broke=1000)
BETTER = totals(failed=1000)


@pytest.fixture
def promoted(deployer: Deployer, source: Path) -> Deployer:
    """Main 2.0.0, which followed 1.0.0."""
    for version in ("1.0.0", "2.0.0"):
        deployer.deploy("hello", version, source)
    deployer.assign("hello", "2.0.0")
    return deployer


def threads() -> list[str]:
    """Return the names of the watches' threads."""
    found = (thread.name for thread in threading.enumerate())
    return [name for name in found if name.startswith("daeploy-watch")]


def test_a_worse_main_is_left(promoted: Deployer, stored: list[Stored]) -> None:
    """The old one is main again, and the history says why."""
    stored.append(pair("2.0.0", "1.0.0", WORSE))
    with promoted.watch("hello", gate=GATE, interval=SOON) as watch:
        assert watch.wait(LIMIT)
        assert watch.rolled_back
    assert promoted.get("hello").version == "1.0.0"
    change = promoted.history("hello")[-1]
    kept = json.loads(change.verdict or "")
    assert kept["result"] == "fail"
    assert kept["rolled_back"] == watch.reason
    assert "2.0.0 is worse than 1.0.0: Fail after" in watch.reason
    assert not change.forced


@pytest.mark.parametrize("seen", [totals(), BETTER, totals(main_broke=1)])
def test_a_main_that_is_not_worse_stays(
    promoted: Deployer, stored: list[Stored], seen: object
) -> None:
    """Neither too little evidence nor an old main that fails changes anything."""
    stored.append(pair("2.0.0", "1.0.0", seen))  # type: ignore[arg-type]
    before = promoted.history("hello")
    with promoted.watch("hello", gate=GATE, interval=SOON) as watch:
        given = iter(watch)
        for _ in range(3):
            assert str(next(given).result) != "fail"
    assert (watch.rolled_back, watch.reason) == (False, "It was stopped.")
    assert promoted.history("hello") == before


def test_it_returns_once_only(promoted: Deployer, stored: list[Stored]) -> None:
    """Nor can its return be watched, which would go back to what was worse."""
    stored.append(pair("2.0.0", "1.0.0", WORSE))
    watch = promoted.watch("hello", gate=GATE, interval=SOON)
    assert watch.wait(LIMIT)
    with pytest.raises(VersionNotFoundError, match="was left by a watch"):
        promoted.watch("hello", gate=GATE)
    assert len(promoted.history("hello")) == 3


def test_of_two_watches_one_returns(promoted: Deployer, stored: list[Stored]) -> None:
    """The other one finds that main was changed."""
    watches = [promoted.watch("hello", gate=GATE, interval=SOON) for _ in range(4)]
    stored.append(pair("2.0.0", "1.0.0", WORSE))
    assert all(watch.wait(LIMIT) for watch in watches)
    assert sum(watch.rolled_back for watch in watches) == 1
    assert len(promoted.history("hello")) == 3


def test_another_hand_ends_it(promoted: Deployer, stored: list[Stored]) -> None:
    """Also when main is then what it was: that is another promotion."""
    with promoted.watch("hello", gate=GATE, interval=SOON) as watch:
        next(iter(watch))
        promoted.assign("hello", "1.0.0")
        promoted.assign("hello", "2.0.0")
        stored.append(pair("2.0.0", "1.0.0", WORSE))
        assert watch.wait(LIMIT)
    assert not watch.rolled_back
    assert "by another hand" in watch.reason
    assert len(promoted.history("hello")) == 4


def test_a_killed_old_main_ends_it(promoted: Deployer) -> None:
    """There is nothing to return to."""
    with promoted.watch("hello", gate=GATE, interval=SOON) as watch:
        promoted.kill("hello", "1.0.0")
        assert watch.wait(LIMIT)
    assert watch.reason == "The old main, 1.0.0, was killed."


def test_a_killed_service_ends_it(promoted: Deployer) -> None:
    """The reason says that the old main, or all of it, is gone."""
    with promoted.watch("hello", gate=GATE, interval=SOON) as watch:
        promoted.kill("hello")
        assert watch.wait(LIMIT)
    assert re.search("was killed|nothing to watch any more", watch.reason)


def test_an_old_main_that_does_not_answer_is_tried_again(
    promoted: Deployer, runtime: MemoryRuntime, stored: list[Stored]
) -> None:
    """Until then the worse main is better than none, and the reason says so."""
    [old] = [i for i in runtime.list("default") if i.version == "1.0.0"]
    runtime.crash(old.id)
    stored.append(pair("2.0.0", "1.0.0", WORSE))
    with promoted.watch("hello", gate=GATE, interval=SOON) as watch:
        given = iter(watch)
        for _ in range(3):
            next(given)
        assert "not ready now" in watch.reason
        assert not watch.is_over
    assert promoted.get("hello").version == "2.0.0"


def test_closing_the_deployer_ends_it(promoted: Deployer) -> None:
    """Its thread is gone when that returns."""
    watch = promoted.watch("hello", gate=GATE, interval=3600)
    next(iter(watch))
    promoted.close()
    assert watch.is_over
    assert not threads()


def test_it_does_not_outlive_its_deployer(
    promoted: Deployer, runtime: MemoryRuntime
) -> None:
    """One that is forgotten without being closed takes its watches with it."""
    other = Deployer(runtime, state=promoted.state)
    watch = other.watch("hello", gate=GATE, interval=3600)
    next(iter(watch))
    del other
    gc.collect()
    assert watch.wait(LIMIT)
    assert not watch.rolled_back


def test_iterating_ends_with_it(promoted: Deployer, stored: list[Stored]) -> None:
    """The last verdict is the one that it returned for."""
    stored.append(pair("2.0.0", "1.0.0", WORSE))
    watch = promoted.watch("hello", gate=GATE, interval=SOON)
    assert [str(verdict.result) for verdict in watch] == ["fail"]


def test_without_a_promotion_there_is_nothing_to_watch(
    deployer: Deployer, source: Path
) -> None:
    """A first main has none before it, and an unknown service none at all."""
    with pytest.raises(ServiceNotFoundError):
        deployer.watch("hello", gate=GATE)
    deployer.deploy("hello", "1.0.0", source)
    with pytest.raises(VersionNotFoundError, match="first main"):
        deployer.watch("hello", gate=GATE)


@pytest.mark.parametrize(
    ("interval", "error"),
    [(0, ValueError), (-1.0, ValueError), (float("nan"), ValueError), ("5", TypeError)],
)
def test_wrong_arguments_start_nothing(
    promoted: Deployer, interval: float, error: type[Exception]
) -> None:
    """No thread, and a message that says what is wrong."""
    with pytest.raises(error, match="interval must be seconds"):
        promoted.watch("hello", gate=GATE, interval=interval)
    with pytest.raises(TypeError, match="gate must be a Gate"):
        promoted.watch("hello", gate=None)  # type: ignore[arg-type]
    assert not threads()
