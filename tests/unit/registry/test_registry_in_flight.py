"""Requests in flight, counted across processes without a system call each."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from daeploy_lib.registry.inflight import InFlight, in_flight
from daeploy_lib.registry.reader import RegistryReader
from registry_process import PROJECT, RegistryProcess, processes

# Only Python itself runs in the children, and they end without cleaning up.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")

KEY, OTHER = "p\0hello\x001", "p\0hello\x002"


@pytest.fixture
def counts(state: Path) -> Iterator[InFlight]:
    """The counts of one router."""
    found = InFlight(state)
    yield found
    found.close()


def files(state: Path) -> list[str]:
    """Return the kinds of files that there are."""
    return sorted(path.suffix for path in (state / "in-flight").glob("*"))


def test_nothing_is_made_before_the_first_request(
    state: Path, counts: InFlight
) -> None:
    """Nor by asking."""
    assert in_flight(state, KEY) == 0
    assert list(state.iterdir()) == []
    counts.close()
    assert list(state.iterdir()) == []


def test_requests_are_counted_by_version(state: Path, counts: InFlight) -> None:
    """Each enters and leaves on its own."""
    first, second = counts.enter(KEY), counts.enter(KEY)
    third = counts.enter(OTHER)
    assert (in_flight(state, KEY), in_flight(state, OTHER)) == (2, 1)
    counts.leave(first)
    counts.leave(third)
    assert (in_flight(state, KEY), in_flight(state, OTHER)) == (1, 0)
    counts.leave(second)
    assert in_flight(state, KEY) == 0


def test_closing_removes_the_files(state: Path, counts: InFlight) -> None:
    """Leaving afterwards is no error, and the next request opens a new one."""
    slot = counts.enter(KEY)
    assert files(state) == [".counts", ".owner"]
    counts.close()
    assert files(state) == []
    counts.leave(slot)
    counts.enter(KEY)
    assert in_flight(state, KEY) == 1


def test_counts_of_all_processes_are_added(state: Path, counts: InFlight) -> None:
    """Whoever asks sees them all, and each goes down on its own."""
    counts.enter(KEY)
    with processes(state, 3) as others:
        slots = [other.ask("enter", KEY) for other in others]
        others[0].ask("enter", OTHER)
        assert in_flight(state, KEY) == 4
        assert others[0].ask("in_flight", KEY) == 4
        others[0].ask("leave", slots[0])
        assert in_flight(state, KEY) == 3
        assert in_flight(state, OTHER) == 1


def test_a_killed_process_counts_for_nothing_and_its_file_goes(
    state: Path, counts: InFlight
) -> None:
    """Its requests have ended with it; a living one's file stays."""
    counts.enter(KEY)
    with RegistryProcess(state) as other:
        other.ask("enter", KEY)
        assert in_flight(state, KEY) == 2
        other.process.kill()
        other.process.wait()
        assert in_flight(state, KEY) == 1
    assert files(state) == [".counts", ".owner"]


def test_a_child_has_a_file_of_its_own(state: Path, counts: InFlight) -> None:
    """After a fork parent and child count apart, and a child's end takes its own."""
    slot = counts.enter(KEY)
    reading, writing = os.pipe()
    release, released = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            counts.enter(KEY)
            counts.enter(KEY)
            os.write(writing, b".")
            os.read(release, 1)
            counts.close()
            status = 0
        finally:
            os._exit(status)
    assert os.read(reading, 1)
    assert in_flight(state, KEY) == 3
    assert len(files(state)) == 4
    os.write(released, b".")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert in_flight(state, KEY) == 1
    counts.leave(slot)
    assert in_flight(state, KEY) == 0
    for descriptor in (reading, writing, release, released):
        os.close(descriptor)


def test_a_child_that_only_closes_leaves_its_parents_file(
    state: Path, counts: InFlight
) -> None:
    """It never counted, so there is nothing of its own to remove."""
    counts.enter(KEY)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            counts.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert in_flight(state, KEY) == 1


def test_many_versions_over_time_fit_into_one_file(
    state: Path, counts: InFlight
) -> None:
    """Slots of versions without requests are used again, right to the last one."""
    busy = counts.enter(KEY)
    for number in range(5000):
        counts.leave(counts.enter(f"idle {number}"))
    again = counts.enter("idle 4000")
    assert in_flight(state, "idle 4000") == 1
    assert in_flight(state, KEY) == 1
    counts.leave(again)
    counts.leave(busy)
    assert in_flight(state, "idle 4000") == 0
    assert in_flight(state, KEY) == 0
    assert len(files(state)) == 2


def test_more_versions_than_slots_are_not_counted(
    state: Path, counts: InFlight
) -> None:
    """2,048 at once are; one more is served all the same, and the rest stay right."""
    slots = [counts.enter(f"busy {number}") for number in range(2048)]
    assert -1 not in slots
    assert counts.enter("one more") == -1
    counts.leave(-1)
    assert in_flight(state, "one more") == 0
    assert in_flight(state, "busy 2047") == 1


def test_a_folder_that_cannot_be_written_warns_once(
    state: Path, counts: InFlight, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests are served all the same, uncounted."""
    (state / "in-flight").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            slot = counts.enter(KEY)
            assert slot == -1
            counts.leave(slot)
    [record] = caplog.records
    assert "Cannot count requests in flight" in record.getMessage()
    counts.close()


def test_spoiled_files_count_for_nothing(state: Path, counts: InFlight) -> None:
    """Half-made, cut or foreign ones; the others are still counted."""
    counts.enter(KEY)
    folder = state / "in-flight"
    [note] = folder.glob("*.owner")
    (folder / "a.owner").write_text("")
    (folder / "b.owner").write_text("[]")
    (folder / "c.owner").write_text('{"pid": 1}')
    (folder / "d.owner").write_bytes(b"\xff")
    (folder / "e.owner").write_text(note.read_text())
    (folder / "f.owner").write_text(note.read_text())
    (folder / "f.counts").write_bytes(b"x" * 40)
    assert in_flight(state, KEY) == 1


def test_a_reader_counts_by_project_name_and_version(state: Path) -> None:
    """The key that kill asks for."""
    reader = RegistryReader(state, PROJECT)
    slot = reader.enter("hello", "1")
    assert in_flight(state, f"{PROJECT}\0hello\x001") == 1
    reader.leave(slot)
    assert in_flight(state, f"{PROJECT}\0hello\x001") == 0
    reader.close()
