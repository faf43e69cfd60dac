"""The programs that the benchmark cannot do without."""

import sys

from bench.router.programs import found

PACKAGES = {"nginx": "nginx", "wrk": "wrk"}


def install() -> None:
    """
    Install nginx and wrk where that is possible: as root, on Debian.

    nginx is the upstream of every proxy as well, so without it nothing runs.
    """
    lacking = [name for name in PACKAGES if not found(name)]
    if not lacking:
        return
    advice = f"Not installed: {' '.join(lacking)}. Install them first."
    try:
        # The tests' harness, on PYTHONPATH in nox.
        from container_engine import errors, packages  # noqa: PLC0415
    except ImportError:
        raise SystemExit(advice) from None
    try:
        packages.need(PACKAGES, lambda text: print(text, file=sys.stderr))
    except errors.EngineUnavailableError as error:
        raise SystemExit(f"{advice}\n{error}") from error
