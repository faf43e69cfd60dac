"""The programs that the benchmark cannot do without."""

import shutil
import sys

PACKAGES = {"nginx": "nginx", "wrk": "wrk"}


def install() -> None:
    """
    Install nginx and wrk where that is possible: as root, on Debian.

    nginx is the upstream of every proxy as well, so without it nothing runs.
    """
    lacking = [name for name in PACKAGES if not shutil.which(name)]
    if not lacking:
        return
    try:
        # The tests' harness, on PYTHONPATH in nox.
        from container_engine import packages  # noqa: PLC0415

        packages.need(PACKAGES, lambda text: print(text, file=sys.stderr))
    except (ImportError, RuntimeError) as error:
        wanted = " ".join(lacking)
        raise SystemExit(f"Not installed: {wanted}. Install them first.") from error
