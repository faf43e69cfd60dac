"""What ends a process ends its command, wherever Python is at that moment."""

import subprocess
import sys

# Python drops what is raised while it removes an object.
PROGRAM = """
import os, signal
from daeploy_lib import interruption
from daeploy_lib.cli.entry import end_on_signals

class Interrupting:
    def __del__(self):
        os.kill(os.getpid(), signal.{signal})

class Failing:
    def __del__(self):
        raise ValueError("another")

asked = interruption.Interruption()
received = end_on_signals(asked)
with interruption.under(asked):
    Interrupting()
    try:
        interruption.wait(30)
    except (KeyboardInterrupt, interruption.Interrupted):
        print("ended by", received)
Failing()
"""


def run(signal: str) -> "subprocess.CompletedProcess[str]":
    """Run a program that is sent a signal while an object is removed."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(signal=signal)],
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )


def test_ctrl_c_while_an_object_is_removed() -> None:
    """The next step ends; of what Python has dropped nothing is said."""
    done = run("SIGINT")
    assert done.stdout == "ended by []\n"
    assert "KeyboardInterrupt" not in done.stderr


def test_sigterm_while_an_object_is_removed() -> None:
    """It is known which signal it was."""
    assert run("SIGTERM").stdout == "ended by [15]\n"


def test_other_failures_of_removals_are_told() -> None:
    """They are nobody's Ctrl-C."""
    assert "ValueError: another" in run("SIGINT").stderr
