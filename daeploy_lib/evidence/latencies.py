"""How long main and a shadow took for the same requests."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

from daeploy_lib.evidence import stored
from daeploy_lib.evidence.histogram import RATIO, SECONDS, Histogram


class Timing(NamedTuple):
    """
    How long one version took, measured in the same way for all of them.

    Attributes:
        first_byte: Seconds until the answer began.
        end: Seconds until it ended.
    """

    first_byte: float
    end: float


_SCALES = {
    "main_first_byte": SECONDS,
    "main_end": SECONDS,
    "shadow_first_byte": SECONDS,
    "shadow_end": SECONDS,
    "ratio_first_byte": RATIO,
    "ratio_end": RATIO,
}
_NEVER = Timing(math.inf, math.inf)


class Latencies:
    """
    Latencies of both, and of the one over the other request by request.

    Only requests that both answered count, and those that the shadow did not
    answer in time: these took it for ever, for else a shadow would look the faster
    the more it leaves unanswered.

    Attributes:
        main_first_byte: Seconds until main's answers began.
        main_end: Seconds until they ended.
        shadow_first_byte: Seconds until the shadow's answers began.
        shadow_end: Seconds until they ended.
        ratio_first_byte: Shadow's over main's, for each request.
        ratio_end: The same to the end.
    """

    __slots__ = tuple(_SCALES)

    main_first_byte: Histogram
    main_end: Histogram
    shadow_first_byte: Histogram
    shadow_end: Histogram
    ratio_first_byte: Histogram
    ratio_end: Histogram

    def __init__(self) -> None:
        for name, scale in _SCALES.items():
            setattr(self, name, Histogram(scale))

    def add(self, main: Timing, shadow: Timing | None) -> None:
        """Count one request; None if the shadow was not done in time."""
        other = shadow or _NEVER
        self.main_first_byte.add(main.first_byte)
        self.main_end.add(main.end)
        self.shadow_first_byte.add(other.first_byte)
        self.shadow_end.add(other.end)
        if main.first_byte > 0:
            self.ratio_first_byte.add(other.first_byte / main.first_byte)
        if main.end > 0:
            self.ratio_end.add(other.end / main.end)

    def add_all(
        self,
        main_first: Sequence[float],
        main_end: Sequence[float],
        shadow_first: Sequence[float],
        shadow_end: Sequence[float],
    ) -> None:
        """Count requests that both answered, as ``add`` does, for less each."""
        found = _counted(main_first, shadow_first)
        for histogram, bins in zip(self._first_bytes, found, strict=True):
            histogram.add_counted(bins)
        # Answers that came at once: both are the same.
        if (main_first, shadow_first) != (main_end, shadow_end):
            found = _counted(main_end, shadow_end)
        for histogram, bins in zip(self._ends, found, strict=True):
            histogram.add_counted(bins)

    @property
    def _first_bytes(self) -> Sequence[Histogram]:
        return self.main_first_byte, self.shadow_first_byte, self.ratio_first_byte

    @property
    def _ends(self) -> Sequence[Histogram]:
        return self.main_end, self.shadow_end, self.ratio_end

    def merged(self, other: Self) -> Self:
        """Return the latencies of both."""
        merged = type(self)()
        for name in _SCALES:
            joined = getattr(self, name).merged(getattr(other, name))
            setattr(merged, name, joined)
        return merged

    def swapped(self) -> Self:
        """Return the latencies with main and shadow in each other's place."""
        swapped = type(self)()
        swapped.main_first_byte = self.shadow_first_byte
        swapped.main_end = self.shadow_end
        swapped.shadow_first_byte = self.main_first_byte
        swapped.shadow_end = self.main_end
        swapped.ratio_first_byte = self.ratio_first_byte.inverted()
        swapped.ratio_end = self.ratio_end.inverted()
        return swapped

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON can hold."""
        return {name: getattr(self, name).to_dict() for name in _SCALES}

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """
        Return what ``to_dict`` wrote.

        Raises:
            ValueError: If it is damaged.
        """
        latencies = cls()
        for name, scale in _SCALES.items():
            histogram = Histogram.from_dict(stored.member(data, name), scale)
            setattr(latencies, name, histogram)
        return latencies

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Latencies):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]


def _counted(
    main: Sequence[float], shadow: Sequence[float]
) -> Sequence[Mapping[int, int]]:
    """Return in which bins the seconds of both are, and the one over the other."""
    ratios = [b / a for a, b in zip(main, shadow, strict=True) if a > 0]
    return SECONDS.count(main), SECONDS.count(shadow), RATIO.count(ratios)
