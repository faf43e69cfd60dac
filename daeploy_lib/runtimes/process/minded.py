"""
Runs one program that ends with whoever wants it: ``python -P minded.py WORD…``.

A small program of its own, without the rest of the library. Its standard input is a
pipe that nobody writes to: the end of it is the end of whoever holds the other end,
SIGKILL included. Everything in its process group is then killed, and it itself is.
"""

import os
import signal
import subprocess
import sys
import threading


def main(words: list[str]) -> int:
    """Run the program; return its exit code."""
    threading.Thread(target=_mind, daemon=True).start()
    try:
        return subprocess.run(words, stdin=subprocess.DEVNULL, check=False).returncode  # noqa: S603
    except OSError as error:
        sys.stderr.write(f"{words[0]} cannot be run: {error.strerror}\n")
        return 127


def _mind() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.exit(code if code >= 0 else 128 - code)
