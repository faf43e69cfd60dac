"""The harness's parts that need no engine."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from container_engine import EngineUnavailableError, packages, process
from container_engine.locks import Lock, exclusive
from container_engine.network import SUBNETS, Bridge, free_subnet
from container_engine.places import Places


def test_the_first_free_subnet_is_taken() -> None:
    """A subnet that overlaps a route of the machine is passed over."""
    assert str(free_subnet(["default", "192.168.0.0/24"])) == SUBNETS[0]
    assert str(free_subnet(["10.213.7.0/24"])) == SUBNETS[1]
    assert str(free_subnet(["10.0.0.0/8"])) == "172.30.0.0/16"


def test_no_free_subnet_is_an_error_with_a_remedy() -> None:
    """When every subnet is routed elsewhere the message names the way out."""
    with pytest.raises(EngineUnavailableError, match="DOCKER_HOST"):
        free_subnet(["0.0.0.0/1", "128.0.0.0/1"])


def test_networks_of_tests_stay_clear_of_the_bridge() -> None:
    """The pool for further networks does not contain the bridge's own addresses."""
    bridge = Bridge("dpt-test", free_subnet([]), 1400)
    assert bridge.address == "10.213.0.1/24"
    assert bridge.pool == "base=10.213.128.0/17,size=24"


def test_a_lock_is_free_again_when_its_holder_is_killed(tmp_path: Path) -> None:
    """SIGKILL of the holder leaves no lock behind."""
    path = tmp_path / "lock"
    script = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); "
        "fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        lock = Lock(path)
        assert not lock.try_take()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert lock.try_take()
        lock.close()


def test_the_last_of_several_users_is_alone(tmp_path: Path) -> None:
    """Only the user who stays last can take the lock that all of them shared."""
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.share()
    second.share()
    assert not first.try_take()
    first.close()
    assert second.try_take()
    second.close()
    with exclusive(tmp_path / "lock"):
        pass


def test_a_pid_of_another_program_is_not_taken_for_a_daemon(tmp_path: Path) -> None:
    """A stale pid file that names a living process of someone else is not trusted."""
    pidfile = tmp_path / "pid"
    pidfile.write_text(str(os.getpid()))
    assert process.running(pidfile, str(tmp_path / "socket")) is None
    assert process.running(tmp_path / "missing", "x") is None


def test_a_daemon_is_started_recognised_and_stopped(tmp_path: Path) -> None:
    """A started daemon is found by its pid file and mark, and gone after stop."""
    pidfile = tmp_path / "pid"
    mark = str(tmp_path / "mark")
    command = [sys.executable, "-c", "import time; time.sleep(600)", mark]
    pid = process.start(command, tmp_path / "log", pidfile)
    daemon = process.running(pidfile, mark)
    assert daemon is not None
    assert daemon.pid == pid
    process.stop(daemon, timeout=10)
    assert process.running(pidfile, mark) is None


def test_a_daemon_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    """The error quotes what the daemon said last."""
    log = tmp_path / "log"
    pid = process.start([sys.executable, "-c", "print('no such cgroup')"], log)
    with pytest.raises(EngineUnavailableError, match="no such cgroup"):
        process.wait_until(lambda: False, pid, log, timeout=20, what="It")


def test_a_missing_program_without_root_is_an_error_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who may not install is told what to install, and how to go on without."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EngineUnavailableError, match="no-such-package") as caught:
        packages.need({"no-such-program": "no-such-package"}, lambda _: None)
    assert 'nox -s tests -- -m "not docker"' in str(caught.value)


def test_a_cache_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    """The remedy is named before dockerd would fail with a number."""
    with pytest.raises(EngineUnavailableError, match="DAEPLOY_TEST_CACHE"):
        Places(tmp_path / ("x" * 120)).create()
