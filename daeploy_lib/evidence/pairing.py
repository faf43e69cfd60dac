"""
One main and one shadow, as an event loop tells of them and a thread counts.

What comes from an event loop is only taken; the recorder's thread adds it.
"""

import time
from collections.abc import Callable, Sequence

from daeploy_lib.compare.path_matching import State
from daeploy_lib.evidence.examples import Examples, example_of
from daeploy_lib.evidence.sample import Compared, Sample
from daeploy_lib.evidence.store import Stored, encode
from daeploy_lib.evidence.totals import Totals

# Fields cost more than the rest: they are collected of the first pairs, then of about
# so many a second, and of so many bytes.
_FIRST = 500
_PAIRS_PER_SECOND = 50
_BYTES_PER_SECOND = 200_000
# A rate of fewer seconds says nothing.
_SHORTEST = 0.05
# Samples with bodies that wait in the queue, of one pairing.
_MAX_PROMISED = 8


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
        take: Callable[["Pairing", Sample | Compared], None],
        name: str,
        main: str,
        shadow: str,
        *,
        redacted: State | None = None,
    ) -> None:
        self.name, self.main, self.shadow = name, main, shadow
        self.since = time.time()
        self._take = take
        self._redacted = redacted
        self._first = _FIRST
        self._asked = self._asked_bytes = 0
        self._every = 1
        self._looked_at = time.monotonic()
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what was seen so far."""
        self._totals = Totals()
        self._examples = Examples()
        self._encoded: bytes | None = None
        self._is_used = False
        self._promised = 0

    def add(self, sample: Sample) -> None:
        """Take a sample; never blocks and never raises."""
        self._take(self, sample)

    def add_compared(self, one: Compared) -> None:
        """Take how most requests end: as ``add``, for less."""
        self._take(self, one)

    def wants_fields(self, size: int) -> bool:
        """
        Return whether the fields of the next two answers are to be collected.

        They are of all pairs at first and as long as these are few, then of every so
        many.

        Args:
            size: Bytes of an answer.
        """
        self._asked += 1
        self._asked_bytes += size
        if self._first:
            self._first -= 1
            return True
        return self._asked % self._every == 0

    def wants_example(self, fingerprint: str) -> bool:
        """Return whether a sample of this shape is to have request and answers."""
        if self._promised >= _MAX_PROMISED or not self._examples.wants(fingerprint):
            return False
        self._promised += 1
        return True

    # The thread's side

    @property
    def is_used(self) -> bool:
        """Whether anything was seen."""
        return self._is_used

    def keep_no_promise(self) -> None:
        """Note that no sample with bodies is on its way."""
        self._promised = 0

    def adapt(self, now: float) -> None:
        """
        Ask for the fields of so many pairs as their number and size allow.

        Args:
            now: Seconds of a clock that only goes forward.
        """
        seconds = now - self._looked_at
        if seconds < _SHORTEST:
            return
        pairs, self._asked = self._asked, 0
        size, self._asked_bytes = self._asked_bytes, 0
        too_many = max(pairs / _PAIRS_PER_SECOND, size / _BYTES_PER_SECOND) / seconds
        self._every = 1 + int(too_many)
        self._looked_at = now

    def count_compared(self, many: Sequence[Compared]) -> None:
        """Add what was compared to the totals."""
        self._totals.add_compared(many)
        self._encoded, self._is_used = None, True

    def count(self, sample: Sample) -> None:
        """Add a sample to the totals."""
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
            is_whole=comparison is None or comparison.is_all_counted,
            fields=comparison.fields if comparison else (),
        )
        self._encoded, self._is_used = None, True
        if sample.request is not None:
            self._promised = max(0, self._promised - 1)
            example = example_of(sample, self._redacted)
            if example is not None:
                self._examples.add(example)

    def stored(self) -> Stored:
        """Return what was seen."""
        # Shares nothing with what is added later.
        totals = self._totals.merged(Totals())
        key = (self.name, self.main, self.shadow, self.since)
        return Stored(*key, totals, tuple(self._examples))

    def encoded(self) -> bytes:
        """Return what was seen, as the store has it."""
        if self._encoded is None:
            key = (self.name, self.main, self.shadow, self.since)
            one = Stored(*key, self._totals, tuple(self._examples))
            self._encoded = encode(one)
        return self._encoded
