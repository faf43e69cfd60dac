"""
One main and one shadow, as an event loop tells of them and a thread counts.

What comes from an event loop is only taken; the recorder's thread adds it.
"""

import itertools
import time
from collections.abc import Callable, Sequence

from daeploy_lib.compare.path_matching import State
from daeploy_lib.evidence.examples import Examples, example_of
from daeploy_lib.evidence.latencies import Timing
from daeploy_lib.evidence.sample import Match, Sample
from daeploy_lib.evidence.store import Stored, encode
from daeploy_lib.evidence.totals import Totals

# Fields cost more than the rest: of the first pairs, then of one in so many.
_FIRST = 500
_EVERY = 16
# Where a comparison ends to count differences: there may be others.
_COUNTED = 1000
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
        take: Callable[["Pairing", Sample | Match], None],
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
        self._asked = itertools.count()
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

    def add_match(self, status: int, main: Timing, shadow: Timing) -> None:
        """
        Take that both answered the same, without fields: as ``add``, for less.

        Args:
            status: Of both; below 500.
            main: How long main took.
            shadow: How long the shadow took.
        """
        self._take(self, Match(time.time(), status, main, shadow))

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

    # The thread's side

    @property
    def is_used(self) -> bool:
        """Whether anything was seen."""
        return self._is_used

    def keep_no_promise(self) -> None:
        """Note that no sample with bodies is on its way."""
        self._promised = 0

    def count_matches(self, matches: Sequence[Match]) -> None:
        """Add pairs of equal answers to the totals."""
        self._totals.add_matches(matches)
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
            is_whole=comparison is None or comparison.count < _COUNTED,
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
