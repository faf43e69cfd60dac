"""Installing the programs that the harness needs, where it may."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping

from container_engine.errors import EngineUnavailableError

# Seconds; docker.io with containerd and runc is about 70 MB.
APT_TIMEOUT = 600.0
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def which(program: str) -> str | None:
    """Find *program*, also in the directories that a user's PATH often lacks."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SBIN}")


def need(packages: Mapping[str, str], say: Callable[[str], None]) -> None:
    """
    Install the Debian packages whose programs are missing.

    Args:
        packages: From program to the package that has it.
        say: Is told before the installation starts.

    Raises:
        EngineUnavailableError: If a program is missing and cannot be installed.
    """
    missing = sorted({pkg for prog, pkg in packages.items() if which(prog) is None})
    if not missing:
        return
    wanted = " ".join(missing)
    if os.geteuid() != 0 or which("apt-get") is None:
        raise EngineUnavailableError(
            f"Missing here: {wanted} (Debian's package names), and only root on "
            "Debian or Ubuntu gets them installed. Install them, or start a Docker "
            "engine and name it in DOCKER_HOST, or run the tests that need no engine: "
            'nox -s tests -- -m "not docker"'
        )
    say(f"installing {wanted}")
    for arguments in (
        ["update"],
        ["install", "-y", "--no-install-recommends", *missing],
    ):
        _apt_get(arguments)


def _apt_get(arguments: list[str]) -> None:
    # The lock's timeout: another harness or the system may be installing too.
    command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments]
    try:
        subprocess.run(
            command,
            check=True,
            timeout=APT_TIMEOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        tail = "\n".join(str(error.output or "").splitlines()[-10:])
        raise EngineUnavailableError(
            f"{' '.join(command)} failed ({error}). Its last lines:\n{tail}\n"
            "Run it by hand to see why."
        ) from error
