"""
Run the project's sessions on a machine that has nothing but Python 3.11 or newer.

    python3 dev.py quickstart
    python3 dev.py tests
    python3 dev.py tests-3.12 -- -m "not docker"

Makes a virtual environment in .venv with nox, and hands the rest to it:
arguments are names of nox sessions, those after ``--`` go to the sessions, and
without any the default ones run. ``.venv/bin/nox -l`` lists them.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
NOX = ROOT / ".venv" / "bin" / "nox"


def main(arguments: list[str]) -> int:
    """Install nox if it is missing, run it, return its exit code."""
    if sys.version_info < (3, 11):  # noqa: UP036 - who runs it need not have read that
        sys.exit(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    if {"-h", "--help"} & set(arguments[:cut]):
        sys.stdout.write((__doc__ or "").lstrip())
        return 0
    if not NOX.exists():
        install()
    sessions = ["--session", *arguments[:cut]] if cut else []
    command: list[str | Path] = [
        NOX,
        "--noxfile",
        ROOT / "noxfile.py",
        *sessions,
        *arguments[cut:],
    ]
    return subprocess.run(command, check=False).returncode


def install() -> None:
    """Make .venv with nox in it, and leave none that is only half made."""
    try:
        venv.create(ROOT / ".venv", with_pip=True, clear=True)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\nOn Debian and Ubuntu: apt-get install python3-venv")
    python = ROOT / ".venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "nox>=2024.10.9"], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
