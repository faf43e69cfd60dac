"""
Taking samples from event loops, and keeping what they say.

An event loop only appends to a queue. One thread adds the samples to the totals, a
few at a time, and writes them to the process's file.
"""

import atexit
import contextlib
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from daeploy_lib.compare.path_matching import State
from daeploy_lib.evidence.pairing import Pairing
from daeploy_lib.evidence.sample import Compared, Sample
from daeploy_lib.evidence.store import Stored, Writer, fold

_log = logging.getLogger(__name__)

_MAX_QUEUED = 20_000
# In one slice so many samples are added; what was only compared costs a tenth.
_SLICE = 20
_COMPARED_PER_SAMPLE = 10
# Between two slices: event loops that wait for the interpreter get it.
_PAUSE = 0.0005
_POLL = 0.1
_RETRY = 30.0

_recorders: "weakref.WeakSet[Recorder]" = weakref.WeakSet()


class Recorder:
    """
    What this process sees of its pairings. Making one does nothing.

    Args:
        directory: The state directory; None to keep everything in memory.
        project: Of the services.
        interval: Seconds between two writes. A kill loses what came after the last.

    Attributes:
        lost: Samples that found no place.
        problem: Why nothing is written, empty if it is; tried again every 30 s.
    """

    def __init__(
        self, directory: Path | None, project: str, *, interval: float = 1.0
    ) -> None:
        self.lost = 0
        self.problem = ""
        self._directory, self._project = directory, project
        self._interval = interval
        self._is_closed = False
        self._pairings: list[Pairing] = []
        self._begin()
        _recorders.add(self)

    def _begin(self) -> None:
        directory, project = self._directory, self._project
        self._writer = None if directory is None else Writer(directory, project)
        self._queue: deque[tuple[Pairing, Sample | Compared]] = deque()
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._is_changed = False
        self._has_folded = False
        self._next = 0.0

    def pairing(
        self, name: str, main: str, shadow: str, *, redacted: State | None = None
    ) -> Pairing:
        """
        Return a new pairing, whose evidence begins now.

        Args:
            name: Of the service.
            main: Its main version.
            shadow: The version that is compared with it.
            redacted: Paths of bodies whose values are never kept.
        """
        pairing = Pairing(self._take, name, main, shadow, redacted=redacted)
        self._pairings.append(pairing)
        return pairing

    def _take(self, pairing: Pairing, sample: Sample | Compared) -> None:
        # A new file would count again what is in the one that was let go of.
        if self._is_closed or len(self._queue) >= _MAX_QUEUED:
            self.lost += 1
            return
        self._queue.append((pairing, sample))
        if self._thread is None and self._starting.acquire(blocking=False):
            try:
                self._start()
            finally:
                self._starting.release()

    def _start(self) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(
            target=_work,
            args=(weakref.ref(self), self._stop),
            name="daeploy-evidence",
            daemon=True,
        )
        # At the end of the interpreter no thread can be started; atexit flushes.
        with contextlib.suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def _drain(self) -> None:
        """Add what waits, with a pause for others after each few."""
        self._adapt()
        while self._queue:
            with self._lock:
                self._drain_slice()
            time.sleep(_PAUSE)
            self._adapt()

    def _adapt(self) -> None:
        """Let the pairings ask for as much as the samples that come allow."""
        now = time.monotonic()
        for pairing in self._pairings:
            pairing.adapt(now)
            if not self._queue:
                pairing.keep_no_promise()

    def _drain_slice(self) -> None:
        compared: dict[Pairing, list[Compared]] = {}
        left = _SLICE * _COMPARED_PER_SAMPLE
        with contextlib.suppress(IndexError):
            while left > 0:
                pairing, sample = self._queue.popleft()
                if isinstance(sample, tuple):
                    left -= 1
                    compared.setdefault(pairing, []).append(sample)
                else:
                    left -= _COMPARED_PER_SAMPLE
                    self._count(partial(pairing.count, sample), 1)
        for pairing, many in compared.items():
            self._count(partial(pairing.count_compared, many), len(many))

    def _count(self, counted: Callable[[], None], samples: int) -> None:
        self._is_changed = True
        try:
            counted()
        except Exception:  # noqa: BLE001 - the other samples still count
            self.lost += samples
            _log.exception("%d samples were lost", samples)

    def _step(self) -> None:
        self._drain()
        if self._is_changed and time.monotonic() >= self._next:
            self._write()

    def _write(self) -> None:
        if self._writer is None:
            return
        with self._lock:
            self._is_changed = False
            self._next = time.monotonic() + self._interval
            try:
                used = [p for p in self._pairings if p.is_used]
                self._writer.write([pairing.encoded() for pairing in used])
                self._fold()
            except (OSError, ValueError, TypeError) as error:
                self._is_changed = True
                self._next = time.monotonic() + _RETRY
                reason = getattr(error, "strerror", None) or str(error)
                if not self.problem:
                    _log.warning("Evidence of shadows is not stored: %s", reason)
                self.problem = f"Evidence is not stored: {reason}. It is tried again."
            else:
                self.problem = ""

    def _fold(self) -> None:
        if self._directory is not None and not self._has_folded:
            self._has_folded = True
            with contextlib.suppress(OSError):
                fold(self._directory, self._project)

    def flush(self) -> None:
        """Add what waits and write it now, as far as it can be."""
        self._drain()
        with self._lock:  # the thread may be adding the last ones, or writing
            is_changed = self._is_changed
        if is_changed:
            self._write()

    def snapshot(self, name: str) -> list[Stored]:
        """Return what this process has seen of a service, what waits included."""
        self._drain()
        with self._lock:
            ours = [p for p in self._pairings if p.name == name and p.is_used]
            return [pairing.stored() for pairing in ours]

    def close(self) -> None:
        """Write what there is and let go of the file; later samples are lost."""
        self._is_closed = True
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5)
        self.flush()
        if self._writer is not None:
            self._writer.close()

    def _forked(self) -> None:
        """Begin anew in a child: what was seen before is the parent's to tell."""
        if self._writer is not None:
            self._writer.close()
        self._begin()
        for pairing in self._pairings:
            pairing.begin_anew()
        self.lost = 0


def _work(recorder_of: "weakref.ref[Recorder]", stop: threading.Event) -> None:
    while not stop.wait(_POLL):
        recorder = recorder_of()
        if recorder is None:
            return
        try:
            recorder._step()
        except Exception:  # noqa: BLE001 - the thread goes on
            _log.exception("keeping the evidence failed")
        del recorder


def _flush_all() -> None:
    for recorder in list(_recorders):
        recorder.close()


def _forked_all() -> None:
    for recorder in list(_recorders):
        recorder._forked()


atexit.register(_flush_all)
os.register_at_fork(after_in_child=_forked_all)
