"""One difference between two answers, and the shape that several share."""

import enum
import functools
import hashlib
import re
from collections.abc import Iterable

import attrs

# What a group of examples is told by; a reader looks at a few.
_MAX_ENTRIES = 16
_LAST_STEP = re.compile(r'(?:\.[^.\[\]"]+|\["(?:[^"\\]|\\.)*"\])$')


class Kind(enum.StrEnum):
    """
    What is different.

    Attributes:
        value: The value; its type is the same.
        type: Its type. All numbers are of one type.
        missing: Main has it, the shadow does not. ``null`` is a value.
        extra: The shadow has it, main does not.
        status: The status.
        header: A header.
        length: How long a list or a body is.
    """

    value = "value"
    type = "type"
    missing = "missing"
    extra = "extra"
    status = "status"
    header = "header"
    length = "length"


@attrs.frozen
class Difference:
    """
    One difference.

    Attributes:
        path: Where: ``$.items[3].price``, ``status`` or ``header:content-type``.
        kind: What.
        main: Main's value as JSON text or words, cut and redacted; None if it has
            none.
        shadow: The shadow's.

    Example:
        >>> print(Difference("$.price", Kind.value, "1.5", "2"))
        $.price value: 1.5 -> 2
    """

    path: str
    kind: Kind
    main: str | None = None
    shadow: str | None = None

    def __str__(self) -> str:
        values = ["(nothing)" if v is None else v for v in (self.main, self.shadow)]
        return f"{self.path} {self.kind}: {' -> '.join(values)}"


def _fingerprint(shape: "Shape") -> str:
    text = "\n".join(f"{kind} {path}" for path, kind in shape.entries)
    return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()


@attrs.frozen
class Shape:
    """
    Paths and kinds of the differences between two answers, not their values.

    Attributes:
        entries: Pairs of generalised path and kind, sorted, at most 16. Of more,
            the last names become ``*``; if there are still more, the first stay.
        fingerprint: 16 hexadecimal digits, the same in every process.

    Example:
        >>> shape = shape_of([("$.items[*].price", Kind.value)])
        >>> str(shape), shape.fingerprint
        ('value $.items[*].price', '5c80dc4e5c91ca7e')
    """

    entries: tuple[tuple[str, Kind], ...]
    fingerprint: str = attrs.field(
        init=False, default=attrs.Factory(_fingerprint, takes_self=True)
    )

    def __str__(self) -> str:
        return ", ".join(f"{kind} {path}" for path, kind in self.entries)


def shape_of(entries: Iterable[tuple[str, Kind]]) -> Shape:
    """
    Return the shape of some generalised paths and kinds, in any order.

    Example:
        >>> many = [(f"$.labels.l{n}x", Kind.missing) for n in range(100)]
        >>> str(shape_of(many))
        'missing $.labels.*'
    """
    distinct = frozenset(entries)
    if len(distinct) > _MAX_ENTRIES:
        distinct = frozenset(
            (_LAST_STEP.sub(".*", path), kind) for path, kind in distinct
        )
    if len(distinct) > _MAX_ENTRIES:
        distinct = frozenset(sorted(distinct)[:_MAX_ENTRIES])
    return _shape(distinct)


# Bounded, as paths come from services; most differ in one way, again and again.
@functools.lru_cache(maxsize=256)
def _shape(distinct: frozenset[tuple[str, Kind]]) -> Shape:
    return Shape(tuple(sorted(distinct)))
