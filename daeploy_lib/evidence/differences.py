"""What differed how often: by field, and by shape, that is all fields at once."""

import functools
import hashlib
from collections.abc import Container, Iterable, Sequence
from typing import Self

from daeploy_lib.evidence import stored
from daeploy_lib.evidence.counts import Counts

_MAX_FIELDS = 512
_MAX_SHAPES = 512
# A shape with as many entries may have lost some.
_MAX_ENTRIES = 16
_MAX_ENTRY = 200
_BETWEEN = "\n"
# Among the entries of a shape that are not all: nothing excuses what is not known.
_MORE = "..."


def entry(path: str, kind: str) -> str:
    """
    Return how a difference is called: its kind and its generalised path.

    Example:
        >>> entry("$.items[*].price", "value")
        'value $.items[*].price'
    """
    text = f"{kind} {path}".replace(_BETWEEN, " ")
    if len(text) <= _MAX_ENTRY:
        return text
    data = text.encode("utf-8", "surrogatepass")
    mark = hashlib.blake2s(data, digest_size=8).hexdigest()
    return f"{text[: _MAX_ENTRY - len(mark)]}{mark}"


# Bounded, as paths come from answers; most of what differs, differs again.
@functools.lru_cache(maxsize=256)
def _called(
    pairs: tuple[tuple[str, str], ...], is_whole: bool
) -> tuple[Sequence[str], str]:
    """Return what the entries of a shape are called, and the shape."""
    entries = sorted({entry(path, kind) for path, kind in pairs})
    is_whole = is_whole and 0 < len(entries) < _MAX_ENTRIES
    entries = entries[:_MAX_ENTRIES]
    return entries, _BETWEEN.join(entries if is_whole else [*entries, _MORE])


class Differences:
    """
    Counts of exchanges whose answers differ.

    Attributes:
        count: Those exchanges.
        fields: How often each entry, a field and a kind of difference, was there.
        shapes: How often each set of entries was all that differed.

    Example:
        >>> differences = Differences()
        >>> differences.add([("$.took", "value")])
        >>> differences.add([("$.took", "value"), ("$.score", "value")])
        >>> differences.fields.most(1)
        [('value $.took', 2)]
        >>> differences.explained_by({"value $.took"})
        1
    """

    __slots__ = ("count", "fields", "shapes")

    def __init__(self) -> None:
        self.count = 0
        self.fields = Counts(_MAX_FIELDS)
        self.shapes = Counts(_MAX_SHAPES)

    def add(self, pairs: Iterable[tuple[str, str]], *, is_whole: bool = True) -> None:
        """
        Count an exchange.

        Args:
            pairs: Generalised paths and kinds, as ``Shape.entries`` has them.
            is_whole: Whether they are all. More than 15 are never taken for all.
        """
        entries, shape = _called(tuple(pairs), is_whole)
        for one in entries:
            self.fields.add(one)
        self.shapes.add(shape)
        self.count += 1

    def explained_by(self, excused: Container[str]) -> int:
        """
        Return how many exchanges differ in nothing but excused entries.

        Those whose shapes are not held any more do not count as such.
        """
        return sum(
            n
            for shape, n in self.shapes.as_dict().items()
            if all(one in excused for one in shape.split(_BETWEEN))
        )

    def merged(self, other: Self) -> Self:
        """Return the counts of both."""
        merged = type(self)()
        merged.count = self.count + other.count
        merged.fields = self.fields.merged(other.fields)
        merged.shapes = self.shapes.merged(other.shapes)
        return merged

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON can hold."""
        return {"fields": self.fields.to_dict(), "shapes": self.shapes.to_dict()}

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """
        Return what ``to_dict`` wrote.

        Raises:
            ValueError: If it is damaged.
        """
        read = cls()
        read.fields = Counts.from_dict(stored.member(data, "fields"), _MAX_FIELDS)
        read.shapes = Counts.from_dict(stored.member(data, "shapes"), _MAX_SHAPES)
        read.count = read.shapes.total
        return read

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Differences):
            return NotImplemented
        return (self.fields, self.shapes) == (other.fields, other.shapes)

    __hash__ = None  # type: ignore[assignment]
