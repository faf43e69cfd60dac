"""Debian's Podman behind its Docker-compatible socket, with a store of its own."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from container_engine import process
from container_engine.client import answers, sweep
from container_engine.errors import EngineUnavailableError
from container_engine.locks import exclusive
from container_engine.packages import need, which
from container_engine.places import Places

# netavark and its DNS are alternatives that apt would not choose: without them
# containers on one network do not find one another by name.
PROGRAMS = {
    "podman": "podman",
    "/usr/lib/podman/netavark": "netavark",
    "/usr/lib/podman/aardvark-dns": "aardvark-dns",
    # What `docker run --init` asks for.
    "catatonit": "catatonit",
    "crun": "crun",
    "runc": "runc",
    "iptables": "iptables",
    "fuse-overlayfs": "fuse-overlayfs",
}
# Seconds; the first start also makes the store.
START_TIMEOUT = 60.0
STOP_TIMEOUT = 10.0


@contextmanager
def private_podman(places: Places, say: Callable[[str], None]) -> Iterator[str]:
    """
    Keep a Podman service running for the length of a block and give its URL.

    Only one such block runs at a time on a machine; the next one waits.

    Raises:
        EngineUnavailableError: If this machine cannot run one.
    """
    if os.geteuid() != 0:
        raise EngineUnavailableError(
            "The private Podman is started as root. Or start one yourself, "
            "`podman system service --time=0`, and name its socket in DOCKER_HOST."
        )
    places.create()
    with exclusive(places.root / "podman.lock"):
        need(PROGRAMS, say)
        url = f"unix://{places.podman_socket}"
        pidfile = places.root / "podman.pid"
        _stop(places)
        say(f"starting a private Podman in {places.podman_root}")
        places.podman_config.write_text(_config(places))
        log = places.root / "podman.log"
        pid = process.start(_command(places, url), log, pidfile)
        process.wait_until(
            lambda: answers(url),
            pid,
            log,
            timeout=START_TIMEOUT,
            what="The private Podman",
        )
        try:
            sweep(url)
            yield url
        finally:
            sweep(url)
            _stop(places)


def _command(places: Places, url: str) -> list[str]:
    return [
        "env",
        f"CONTAINERS_CONF={places.podman_config}",
        which("podman") or "podman",
        f"--root={places.podman_root / 'root'}",
        f"--runroot={places.podman_root / 'run'}",
        "system",
        "service",
        "--time=0",
        url,
    ]


def _config(places: Places) -> str:
    # Podman wants 1048576 open files for each container and fails, instead of taking
    # less, where root may not raise its own limit that far. Of processes it allows
    # itself no more than there are pids.
    files = _at_most(resource.RLIMIT_NOFILE, 1048576)
    pids = int(Path("/proc/sys/kernel/pid_max").read_text())
    processes = _at_most(resource.RLIMIT_NPROC, pids)
    limits = [f"nofile={files}:{files}", f"nproc={processes}:{processes}"]
    # crun 1.8 refuses a machine that mixes cgroup versions 1 and 2.
    is_unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    return (
        f"[containers]\ndefault_ulimits = {limits}\n"
        f'[engine]\nruntime = "{"crun" if is_unified else "runc"}"\n'
        '[network]\nnetwork_backend = "netavark"\n'
        f'network_config_dir = "{places.podman_root / "networks"}"\n'
    )


def _at_most(limit: int, most: int) -> int:
    _, hard = resource.getrlimit(limit)
    return most if hard == resource.RLIM_INFINITY else min(hard, most)


def _stop(places: Places) -> None:
    pidfile = places.root / "podman.pid"
    service = process.running(pidfile, str(places.podman_socket))
    if service is not None:
        process.stop(service, timeout=STOP_TIMEOUT)
    pidfile.unlink(missing_ok=True)
    places.podman_socket.unlink(missing_ok=True)
