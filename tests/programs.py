"""Programs that deploy and are interrupted: started, and followed by their output."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running_program(
    program: str | Path,
    *words: str | Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator["subprocess.Popen[str]"]:
    """Give a program of Python's that runs; its output can be read as it comes."""
    with subprocess.Popen(
        [sys.executable, program, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_line(process: "subprocess.Popen[str]", words: str) -> None:
    """Read its output until a line has these words."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    assert process.stderr is not None
    raise AssertionError(f"no {words!r}: {process.stderr.read()}")
