"""
Taking samples from event loops, and keeping what they say.

An event loop only appends to a queue. One thread adds the samples to the totals, a
few at a time, and writes them to the process's file.
"""

import atexit
import contextlib
import itertools
import logging
import os
import threading
import time
import weakref
from collections import deque
from pathlib import Path

from daeploy_lib.compare.path_matching import State
from daeploy_lib.evidence.examples import Examples, example_of
from daeploy_lib.evidence.sample import Sample
from daeploy_lib.evidence.store import Stored, Writer, encode, fold
from daeploy_lib.evidence.totals import Totals

_log = logging.getLogger(__name__)

_MAX_QUEUED = 20_000
_SLICE = 20
# Between two slices: event loops that wait for the interpreter get it.
_PAUSE = 0.0005
_POLL = 0.1
_RETRY = 30.0
# Fields cost more than the rest: of the first pairs, then of one in so many.
_FIRST = 500
_EVERY = 16
# Where a comparison ends to count differences: there may be others.
_COUNTED = 1000
# Samples with bodies that wait in the queue, of one pairing.
_MAX_PROMISED = 8

_recorders: "weakref.WeakSet[Recorder]" = weakref.WeakSet()


class Pairing:
    """
    One main and one shadow, and what is seen of them from now on.

    Attributes:
        name: Of the service.
        main: Its main version.
        shadow: The version that is compared with it.
        since: When this began, in seconds since 1970.
    """

    def __init__(
        self,
        recorder: "Recorder",
        name: str,
        main: str,
        shadow: str,
        *,
        redacted: State | None = None,
    ) -> None:
        self.name, self.main, self.shadow = name, main, shadow
        self.since = time.time()
        self._recorder = recorder
        self._redacted = redacted
        self._asked = itertools.count()
        self._promised = 0
        self._begin()

    def _begin(self) -> None:
        self._totals = Totals()
        self._examples = Examples()
        self._encoded: bytes | None = None
        self._is_used = False

    def add(self, sample: Sample) -> None:
        """Take a sample; never blocks and never raises."""
        self._recorder._take(self, sample)

    def wants_fields(self) -> bool:
        """Return whether the fields of the next two answers are to be collected."""
        place = next(self._asked)
        return place < _FIRST or place % _EVERY == 0

    def wants_example(self, fingerprint: str) -> bool:
        """Return whether a sample of this shape is to have request and answers."""
        if self._promised >= _MAX_PROMISED or not self._examples.wants(fingerprint):
            return False
        self._promised += 1
        return True

    def _add(self, sample: Sample) -> None:
        comparison = sample.comparison
        shape = comparison.shape if comparison else None
        self._totals.add(
            sample.outcome,
            at=sample.at,
            main_status=sample.main_status,
            shadow_status=sample.shadow_status,
            main=sample.main,
            shadow=sample.shadow,
            differences=shape.entries if shape else (),
            is_whole=comparison is None or comparison.count < _COUNTED,
            fields=comparison.fields if comparison else (),
        )
        self._encoded, self._is_used = None, True
        if sample.request is not None:
            self._promised = max(0, self._promised - 1)
            example = example_of(sample, self._redacted)
            if example is not None:
                self._examples.add(example)

    def _stored(self) -> Stored:
        # Shares nothing with what is added later.
        totals = self._totals.merged(Totals())
        key = (self.name, self.main, self.shadow, self.since)
        return Stored(*key, totals, tuple(self._examples))

    def _bytes(self) -> bytes:
        if self._encoded is None:
            key = (self.name, self.main, self.shadow, self.since)
            one = Stored(*key, self._totals, tuple(self._examples))
            self._encoded = encode(one)
        return self._encoded


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
        self._queue: deque[tuple[Pairing, Sample]] = deque()
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
        pairing = Pairing(self, name, main, shadow, redacted=redacted)
        self._pairings.append(pairing)
        return pairing

    def _take(self, pairing: Pairing, sample: Sample) -> None:
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
        while self._queue:
            with self._lock:
                self._drain_slice()
            time.sleep(_PAUSE)
        for pairing in self._pairings:
            # Promises that no sample kept.
            if not self._queue:
                pairing._promised = 0

    def _drain_slice(self) -> None:
        for _ in range(_SLICE):
            try:
                pairing, sample = self._queue.popleft()
            except IndexError:
                return
            try:
                pairing._add(sample)
            except Exception:  # noqa: BLE001 - the other samples still count
                self.lost += 1
                _log.exception("a sample of %r was lost", pairing.name)
            self._is_changed = True

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
                used = [p for p in self._pairings if p._is_used]
                self._writer.write([pairing._bytes() for pairing in used])
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
            ours = [p for p in self._pairings if p.name == name and p._is_used]
            return [pairing._stored() for pairing in ours]

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
            pairing._begin()
            pairing._promised = 0
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
