"""Code with a Deployer in a process of its own, for what happens when that ends."""

import os
import subprocess
import sys
from pathlib import Path


def run_python(code: str, state: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, with a Deployer in reach."""
    begin = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from daeploy_lib import Deployer\n"
        "from daeploy_lib.domain.spec import Spec\n"
        "from daeploy_lib.runtimes.memory import MemoryRuntime\n"
        "state, source = Path(sys.argv[1]), Path(sys.argv[1], 'source')\n"
        "source.mkdir(exist_ok=True)\n"
        "(source / 'service.py').write_text('')\n"
    )
    return subprocess.run(
        [sys.executable, "-c", begin + code, str(state)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
