"""
How many requests are in flight to each version, across processes.

``kill`` lets requests in flight end before it stops a version, and they may be
in any process that routes. Each router therefore keeps its counts in a small
file of its own that is mapped into memory: counting costs no system call, and a
file whose process has died counts for nothing.

A file is a row of slots of 32 bytes: the first 24 bytes of the key's SHA-256,
then the count as a native 64-bit integer.
"""

import hashlib
import logging
import mmap
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

from daeploy_lib.registry.owner import Owner

_log = logging.getLogger(__name__)

_FOLDER = "in-flight"
_KEY_BYTES = 24
_SLOT_BYTES = 32
# 2,048 versions in flight at once in one process, in 64 KiB.
_SLOTS = 2048


class InFlight:
    """The counts of one router; nothing is created before the first request."""

    def __init__(self, state: Path) -> None:
        self._folder = state / _FOLDER
        self._lock = threading.Lock()
        self._slots: dict[str, int] = {}
        self._file: Path | None = None
        self._memory: mmap.mmap | None = None
        self._counts: memoryview | None = None
        self._pid = 0

    def enter(self, key: str) -> int:
        """Count one request to *key*; return the slot to leave, or -1."""
        with self._lock:
            slot = self._slots.get(key, -1)
            if slot < 0 or self._pid != os.getpid():
                slot = self._take_slot(key)
            if self._counts is not None and slot >= 0:
                self._counts[slot * 4 + 3] += 1
            return slot

    def leave(self, slot: int) -> None:
        """Count that request as ended."""
        with self._lock:
            if self._counts is not None and slot >= 0:
                self._counts[slot * 4 + 3] -= 1

    def close(self) -> None:
        """Delete the file."""
        with self._lock:
            self._forget()

    def _take_slot(self, key: str) -> int:
        if self._pid != os.getpid() and not self._open():
            return -1
        if self._memory is None:
            return -1
        if len(self._slots) >= _SLOTS:
            self._drop_idle()
        taken = set(self._slots.values())
        slot = next((s for s in range(_SLOTS) if s not in taken), -1)
        if slot >= 0:
            start = slot * _SLOT_BYTES
            self._memory[start : start + _KEY_BYTES] = _digest(key)
            self._slots[key] = slot
        return slot

    def _drop_idle(self) -> None:
        counts = self._counts
        if counts is not None:
            self._slots = {k: s for k, s in self._slots.items() if counts[s * 4 + 3]}

    def _open(self) -> bool:
        """Map a new file; after a fork the child gets one of its own."""
        self._pid = os.getpid()
        self._slots = {}
        self._memory = self._counts = self._file = None
        try:
            owner = Owner.current()
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            stem = f"{secrets.token_hex(6)}"
            file = self._folder / f"{stem}.counts"
            descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            try:
                os.ftruncate(descriptor, _SLOTS * _SLOT_BYTES)
                self._memory = mmap.mmap(descriptor, _SLOTS * _SLOT_BYTES)
            finally:
                os.close(descriptor)
            # The owner comes last: a file without one is still being made.
            (self._folder / f"{stem}.owner").write_text(owner.to_json())
        except OSError as error:
            _log.warning(
                "Cannot count requests in flight in %s (%s); a kill will not wait "
                "for those of this process.",
                self._folder,
                error,
            )
            return False
        self._file = file
        self._counts = memoryview(self._memory).cast("q")
        return True

    def _forget(self) -> None:
        if self._counts is not None:
            self._counts.release()
        if self._memory is not None:
            self._memory.close()
        if self._file is not None and self._pid == os.getpid():
            _delete(self._file)
        self._memory = self._counts = self._file = None
        self._slots = {}
        self._pid = 0


def in_flight(state: Path, key: str) -> int:
    """
    Return how many requests to *key* are in flight in all living processes.

    Files of dead processes are deleted on the way.
    """
    digest = _digest(key)
    return sum(_count(file, digest) for file in _living(state / _FOLDER))


def _living(folder: Path) -> Iterator[Path]:
    for note in sorted(folder.glob("*.owner")):
        file = note.with_suffix(".counts")
        try:
            is_alive = Owner.from_json(note.read_text()).is_alive()
        except (OSError, ValueError, TypeError):
            continue
        if is_alive:
            yield file
        else:
            _delete(file)


def _count(file: Path, digest: bytes) -> int:
    try:
        content = file.read_bytes()
    except OSError:
        return 0
    for start in range(0, len(content) - _SLOT_BYTES + 1, _SLOT_BYTES):
        if content[start : start + _KEY_BYTES] == digest:
            slot = memoryview(content)[start + _KEY_BYTES : start + _SLOT_BYTES]
            return max(0, int(slot.cast("q")[0]))
    return 0


def _delete(file: Path) -> None:
    file.with_suffix(".owner").unlink(missing_ok=True)
    file.unlink(missing_ok=True)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()[:_KEY_BYTES]
