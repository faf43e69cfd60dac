"""A private dockerd, shared by every harness on the machine that uses one cache."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from container_engine import process
from container_engine.client import answers, sweep
from container_engine.errors import EngineUnavailableError
from container_engine.locks import Lock, exclusive
from container_engine.network import Bridge, bridge_for
from container_engine.packages import need, which
from container_engine.places import Places

PROGRAMS = {"dockerd": "docker.io", "iptables": "iptables", "ip": "iproute2"}
# Seconds; seen: 2 to 4, longer when a killed run's containers are restored.
START_TIMEOUT = 90.0
# Seconds for SIGTERM to work, more than dockerd's own --shutdown-timeout.
STOP_TIMEOUT = 20.0
# Harnesses with different caches must not choose the same addresses.
SUBNETS_LOCK = Path("/run/daeploy-tests-subnets.lock")


@contextmanager
def private_dockerd(places: Places, say: Callable[[str], None]) -> Iterator[str]:
    """
    Keep a private dockerd running for the length of a block and give its URL.

    The first user starts it and the last one stops it, in whichever order they
    come and go. A user who is killed counts as gone. An engine that a killed run
    has left is taken over, without what that run had put on it.

    Raises:
        EngineUnavailableError: If this machine cannot run one.
    """
    _check_platform()
    places.create()
    users = Lock(places.users)
    try:
        with exclusive(places.starting):
            is_first = users.try_take()
            _ensure_running(places, say)
            if is_first:
                sweep(_url(places))
            users.share()
        yield _url(places)
    finally:
        with exclusive(places.starting):
            if users.try_take():
                _stop(places)
            users.close()


def _check_platform() -> None:
    if sys.platform == "linux" and os.geteuid() == 0:
        return
    raise EngineUnavailableError(
        "No container engine answers at DOCKER_HOST or at /var/run/docker.sock, and "
        "only root on Linux can start a private one. Start Docker, or name an engine "
        "in DOCKER_HOST, or run the tests that need no engine: "
        'nox -s tests -- -m "not docker"'
    )


def _url(places: Places) -> str:
    return f"unix://{places.socket}"


def _ensure_running(places: Places, say: Callable[[str], None]) -> None:
    mark = str(places.pidfile)
    dockerd = process.running(places.pidfile, mark)
    if dockerd is not None:
        if answers(_url(places)):
            return
        process.stop(dockerd, timeout=STOP_TIMEOUT)
    need(PROGRAMS, say)
    say(f"starting a private dockerd in {places.root}")
    _remove_stale(places)
    with exclusive(SUBNETS_LOCK):
        bridge = bridge_for(places.root)
        bridge.create()
    places.config_file.write_text("{}\n")
    pid = process.start(_command(places, bridge), places.log)
    process.wait_until(
        lambda: answers(_url(places)),
        pid,
        places.log,
        timeout=START_TIMEOUT,
        what="The private dockerd",
    )


def _command(places: Places, bridge: Bridge) -> list[str]:
    # The name of the namespaces: beside a containerd of the system, dockerd would
    # use that one and mix our containers with those of the system's own dockerd.
    options = {
        "host": _url(places),
        "data-root": places.data_root,
        "exec-root": places.exec_root,
        "pidfile": places.pidfile,
        "config-file": places.config_file,
        "bridge": bridge.name,
        "mtu": bridge.mtu,
        "default-address-pool": bridge.pool,
        "iptables": "false",
        "ip6tables": "false",
        "containerd-namespace": bridge.name,
        "containerd-plugins-namespace": f"{bridge.name}-plugins",
        "shutdown-timeout": 5,
    }
    return [
        which("dockerd") or "dockerd",
        *(f"--{name}={value}" for name, value in options.items()),
    ]


def _remove_stale(places: Places) -> None:
    """
    Remove pid files and networks of earlier runs.

    dockerd refuses to start, or waits for a containerd that is none, when the pid
    in such a file belongs to some other program by now. And it would give the
    bridge the address that it had in the last run, which may be taken by now.
    """
    containerd = places.exec_root / "containerd"
    places.pidfile.unlink(missing_ok=True)
    for pidfile in containerd.glob("*.pid"):
        left = process.running(pidfile, str(containerd))
        if left is not None:
            process.stop(left, timeout=STOP_TIMEOUT)
        pidfile.unlink(missing_ok=True)
    places.socket.unlink(missing_ok=True)
    shutil.rmtree(places.data_root / "network", ignore_errors=True)


def _stop(places: Places) -> None:
    dockerd = process.running(places.pidfile, str(places.pidfile))
    if dockerd is None:
        return
    sweep(_url(places))
    process.stop(dockerd, timeout=STOP_TIMEOUT)
    _remove_stale(places)
    bridge_for(places.root).remove()
    _unmount(places)
    shutil.rmtree(places.exec_root, ignore_errors=True)


def _unmount(places: Places) -> None:
    """Unmount what a dockerd has mounted that did not live to unmount it."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    # Octal escapes as in fstab(5); the last one is mounted on top of the others.
    targets = [re.sub(r"\\(\d{3})", _character, m.split()[1]) for m in mounts]
    for target in reversed(targets):
        if any(map(Path(target).is_relative_to, (places.data_root, places.exec_root))):
            subprocess.run(["umount", "--lazy", target], check=False)


def _character(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 8))
