"""Evidence of several processes: read together, killed, on full disks, forked."""

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import evidence_process
from daeploy_lib.compare.answer import answer
from daeploy_lib.compare.comparing import compare
from daeploy_lib.compare.comparison import Agreement, Comparison
from daeploy_lib.compare.difference import Kind, shape_of
from daeploy_lib.compare.rules import ComparisonRules
from daeploy_lib.evidence.recorder import Recorder
from daeploy_lib.evidence.sample import Request, Sample
from daeploy_lib.evidence.store import fold, place, read
from evidence_process import PROJECT

# Only Python itself runs in the child, and it ends without cleaning up.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")

PROGRAM = Path(evidence_process.__file__)
MATCH = Sample("match", 1.0, 200, 200)


def seen(directory: Path) -> int:
    """Return how many exchanges all processes have stored."""
    reading = read(directory, PROJECT)
    assert reading.unreadable == 0
    return sum(one.totals.seen for one in reading.stored)


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def recording(directory: Path, count: int) -> Iterator[subprocess.Popen[str]]:
    """Run a process that records; kill it in the end."""
    command = [sys.executable, str(PROGRAM), str(directory), str(count)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    """Return the next line of a process."""
    assert process.stdout
    return process.stdout.readline()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A state directory on a file system of 256 KiB."""
    where = tmp_path / "small"
    where.mkdir()
    options = ["-t", "tmpfs", "-o", "size=256k", "tmpfs"]
    mounted = subprocess.run(
        ["mount", *options, where], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    yield where
    subprocess.run(["umount", where], check=True)


def test_making_one_does_nothing(tmp_path: Path) -> None:
    """There is no file before the first sample."""
    recorder = Recorder(tmp_path, PROJECT)
    recorder.pairing("hello", "1", "2")
    recorder.close()
    assert list(tmp_path.iterdir()) == []
    assert read(tmp_path, PROJECT).stored == []


def test_a_reader_sees_what_four_processes_have_seen(tmp_path: Path) -> None:
    """Without a flush, and it still does when they have been killed and folded."""
    with contextlib.ExitStack() as stack:
        all_of = [stack.enter_context(recording(tmp_path, 300)) for _ in range(4)]
        assert [line_of(process) for process in all_of] == ["300\n"] * 4
        until(lambda: seen(tmp_path) == 1200)
    assert seen(tmp_path) == 1200
    for _ in range(2):
        fold(tmp_path, PROJECT)
        assert seen(tmp_path) == 1200
    left = {p.name for p in place(tmp_path, PROJECT).iterdir()}
    assert left == {"folded.json", "folding.lock"}


def test_a_kill_damages_nothing_and_loses_nothing_written(tmp_path: Path) -> None:
    """What was flushed before a SIGKILL at any moment is there, folded or not."""
    chance = random.Random(4)  # noqa: S311 - moments, not secrets
    least = 0
    for _ in range(8):
        with recording(tmp_path, 0) as process:
            told = [line_of(process) for _ in range(chance.randrange(2, 30))]
            time.sleep(chance.random() / 100)
            process.kill()
            assert process.stdout
            told += process.stdout.readlines()
        whole = [line for line in told if line.endswith("\n")]
        least += int(whole[-1])
        most = least + 50
        assert least <= seen(tmp_path) <= most + 50 * 8
        fold(tmp_path, PROJECT)
        assert seen(tmp_path) >= least


def test_a_file_that_is_not_whole_is_counted_and_nothing_else(tmp_path: Path) -> None:
    """Whatever bytes stand in it."""
    recorder = Recorder(tmp_path, PROJECT)
    recorder.pairing("hello", "1", "2").add(MATCH)
    recorder.close()
    where = place(tmp_path, PROJECT)
    for bad in (b"", b"[]", b"{}", b'{"format":1,"pairings":[7]}', b"\xff" * 99):
        (where / "1-bad.json").write_bytes(bad)
        reading = read(tmp_path, PROJECT)
        assert (reading.unreadable, len(reading.stored)) == (1, 1)
        fold(tmp_path, PROJECT)


def test_a_full_disk_stops_the_recording_and_room_starts_it(small: Path) -> None:
    """It is said why; what was seen meanwhile is not lost."""
    filler = small / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    recorder = Recorder(small, PROJECT)
    pairing = recorder.pairing("hello", "1", "2")
    pairing.add(MATCH)
    recorder.flush()
    assert "No space left" in recorder.problem
    filler.unlink()
    pairing.add(MATCH)
    recorder.flush()
    assert recorder.problem == ""
    assert seen(small) == 2
    recorder.close()


def test_a_child_counts_for_itself(tmp_path: Path) -> None:
    """What was seen before the fork is counted once."""
    recorder = Recorder(tmp_path, PROJECT)
    pairing = recorder.pairing("hello", "1", "2")
    pairing.add(MATCH)
    recorder.flush()
    pairing.add(MATCH)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            pairing.add(MATCH)
            recorder.flush()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    recorder.flush()
    assert seen(tmp_path) == 3
    fold(tmp_path, PROJECT)
    assert seen(tmp_path) == 3
    pairing.add(MATCH)
    recorder.close()
    assert seen(tmp_path) == 4


def test_no_secret_is_in_any_file(tmp_path: Path) -> None:
    """All bytes that were written are searched."""
    secret = "sk-4f9a1c77e0"
    recorder = Recorder(tmp_path, PROJECT)
    pairing = recorder.pairing("hello", "1", "2")
    body = b'{"password": "%b", "echo": "%b"}' % (secret.encode(), secret.encode())
    main = answer(200, body, content_type="application/json")
    shadow = answer(200, b'{"echo": 1}', content_type="application/json")
    headers = (("authorization", f"Bearer {secret}"), ("cookie", f"a={secret}"))
    request = Request("POST", f"/{secret}", f"key={secret}", headers, body, len(body))
    comparison = compare(main, shadow, ComparisonRules(), secrets=(secret,))
    assert comparison.shape
    assert pairing.wants_example(comparison.shape.fingerprint)
    pairing.add(
        Sample(
            *("differ", 1.0, 200, 200, None, None),
            *(comparison, request, main, shadow),
        )
    )
    recorder.close()
    files = list(place(tmp_path, PROJECT).iterdir())
    assert files
    assert all(secret.encode() not in file.read_bytes() for file in files)
    (one,) = read(tmp_path, PROJECT).stored
    assert one.examples == recorder.snapshot("hello")[0].examples
    assert len(one.examples) == 1


def test_shapes_without_end_are_bounded(tmp_path: Path) -> None:
    """A file of twenty thousand different shapes is hardly larger than one of half."""
    recorder = Recorder(tmp_path, PROJECT)
    pairing = recorder.pairing("hello", "1", "2")
    sizes = []
    for start in (0, 10_000):
        for n in range(start, start + 10_000):
            shape = shape_of([(f"$.field{n}", Kind.value)])
            found = Comparison(Agreement.differ, count=1, shape=shape)
            pairing.add(Sample("differ", 1.0, 200, 200, comparison=found))
        recorder.flush()
        (file,) = place(tmp_path, PROJECT).glob("*.json")
        sizes.append(file.stat().st_size)
    assert seen(tmp_path) == 20_000
    assert recorder.lost == 0
    assert max(sizes) < 200_000
    recorder.close()
