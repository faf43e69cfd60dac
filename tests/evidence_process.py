"""A process that records evidence until it is killed, for test_evidence_store."""

import sys
import time
from pathlib import Path

from daeploy_lib.evidence.recorder import Recorder
from daeploy_lib.evidence.sample import Sample

PROJECT = "it"


def say(count: int) -> None:
    """Tell the test how many samples were added."""
    sys.stdout.write(f"{count}\n")
    sys.stdout.flush()


def main(directory: str, count: int) -> None:
    """Record that many samples, or samples without end if 0; say each flush."""
    recorder = Recorder(Path(directory), PROJECT, interval=0.05)
    pairing = recorder.pairing("hello", "1", "2")
    if count:
        for _ in range(count):
            pairing.add(Sample("match", time.time(), 200, 200))
        say(count)
        sys.stdin.read()
        return
    added = 0
    while True:
        for _ in range(50):
            pairing.add(Sample("match", time.time(), 200, 200))
        added += 50
        recorder.flush()
        say(added)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
