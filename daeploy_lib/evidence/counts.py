"""How often what was seen, however many different things there are."""

import hashlib
from collections.abc import Iterator
from typing import Self

from daeploy_lib.evidence import stored


def _place(key: str) -> bytes:
    """Return a number drawn once for each key, the same in every process."""
    data = key.encode("utf-8", "surrogatepass")
    return hashlib.blake2s(data, digest_size=8).digest()


class Counts:
    """
    Counts of at most ``limit`` different keys; the rest is counted as other.

    When there are too many, half of them go: a quarter of the limit stays because
    it was seen most, another one by the hash of its keys, whatever their counts,
    so that common keys do not push out all rare ones. A count is exact while
    ``other`` is 0, and never too large.

    Merging is commutative. It is associative for the sum of all counts, and for
    everything while both together do not exceed the limit.

    Attributes:
        limit: How many keys are held at most.
        other: How often something was seen whose key is not held any more.

    Example:
        >>> counts = Counts(100)
        >>> for n in range(1_000):
        ...     counts.add("common")
        ...     counts.add(f"rare {n}")
        >>> counts["common"], counts.total, len(counts) <= 100
        (1000, 2000, True)
    """

    __slots__ = ("_counts", "limit", "other")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.other = 0
        self._counts: dict[str, int] = {}

    def add(self, key: str, n: int = 1) -> None:
        """Count something."""
        self._counts[key] = self._counts.get(key, 0) + n
        if len(self._counts) > self.limit:
            self._shrink()

    @property
    def total(self) -> int:
        """How often anything was seen."""
        return sum(self._counts.values()) + self.other

    def most(self, n: int | None = None) -> list[tuple[str, int]]:
        """Return keys and counts, the largest first, keys in order among equals."""
        return sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:n]

    def __getitem__(self, key: str) -> int:
        return self._counts.get(key, 0)

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def as_dict(self) -> dict[str, int]:
        """Return a copy of what is held."""
        return dict(self._counts)

    def merged(self, other: Self) -> Self:
        """Return the counts of both."""
        merged = type(self)(max(self.limit, other.limit))
        merged._counts = dict(self._counts)
        for key, n in other._counts.items():
            merged._counts[key] = merged._counts.get(key, 0) + n
        merged.other = self.other + other.other
        if len(merged._counts) > merged.limit:
            merged._shrink()
        return merged

    def _shrink(self) -> None:
        quarter = self.limit // 4
        most = max(1, quarter)
        ranked = self.most()
        kept = dict(ranked[:most])
        rest = sorted(ranked[most:], key=lambda item: (_place(item[0]), item[0]))
        kept.update(rest[:quarter])
        self.other += sum(n for _, n in rest[quarter:])
        self._counts = kept

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON can hold."""
        return {"counts": [list(item) for item in self.most()], "other": self.other}

    @classmethod
    def from_dict(cls, data: object, limit: int) -> Self:
        """
        Return what ``to_dict`` wrote.

        Raises:
            ValueError: If it is damaged.
        """
        counts = cls(limit)
        counts.other = stored.count(stored.member(data, "other"), "other")
        for key, n in stored.rows(stored.member(data, "counts"), 2, "counts"):
            counts.add(stored.text(key, "key"), stored.count(n, "count"))
        return counts

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return NotImplemented
        return (self._counts, self.other) == (other._counts, other.other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Counts({self.most(5)}, other={self.other})"
