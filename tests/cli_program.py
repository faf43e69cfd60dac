"""
Runs several commands in one process, on versions that are threads of it.

Usage: cli_program.py CODES COMMAND..., each command as a shell would have it. As in a
session, each is shown before what it writes. The exit codes go to the file CODES.
"""

import json
import os
import shlex
import sys
from pathlib import Path

from daeploy_lib import Deployer
from daeploy_lib.cli.entry import end_on_signals, run
from daeploy_lib.interruption import Interruption
from daeploy_lib.testing import Behaviour, MemoryRuntime

# What a service of this name does.
BEHAVIOURS = {
    "broken": Behaviour(exit_code=3, lines=("no model found",)),
    "silent": Behaviour(is_silent=True),
    "chatty": Behaviour(lines=tuple(f"line {n}" for n in range(100))),
}


def main() -> None:
    """Run them all, whatever their codes."""
    end_on_signals(Interruption())
    runtime = MemoryRuntime(BEHAVIOURS)
    codes = []
    for command in sys.argv[2:]:
        sys.stdout.write(f">>> daeploy {command}\n")
        sys.stdout.flush()
        codes.append(run(shlex.split(command), runtime=runtime))
    Path(sys.argv[1]).write_text(json.dumps(codes))
    with Deployer(runtime, state=os.environ["DAEPLOY_STATE"]) as deployer:
        deployer.kill_all()


if __name__ == "__main__":
    main()
