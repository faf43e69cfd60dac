"""A few exchanges whose answers differ, to look at and to repeat."""

from collections.abc import Iterable, Iterator
from typing import Self

import attrs

from daeploy_lib.compare.difference import Difference, Kind
from daeploy_lib.compare.path_matching import State
from daeploy_lib.compare.showing import Show
from daeploy_lib.evidence import stored
from daeploy_lib.evidence.redaction import (
    Body,
    is_secret_header,
    redact_body,
    redact_query,
    secrets_in,
)
from daeploy_lib.evidence.repeating import MAX_TARGET, NOT_REPEATED, curl
from daeploy_lib.evidence.sample import Sample

MAX_SHAPES = 64
MAX_EACH = 3
MAX_BYTES = 2**20
_FIRST = MAX_SHAPES // 2
_MAX_HEADERS = 32
_MAX_HEADER = 512
_MAX_DIFFERENCES = 20


@attrs.frozen
class Example:
    """
    One exchange whose answers differ, without its secrets.

    Attributes:
        fingerprint: Of the shape of its differences.
        entries: Of the shape, as kind and path.
        at: When, in seconds since 1970.
        method: Of the request.
        path: Of the request, below the service's segment.
        query: Without the values that are secrets.
        headers: Names and values, without those that are secrets.
        left_out: Names of headers that are not kept.
        body: Of the request.
        main_status: Of main's answer.
        shadow_status: Of the shadow's.
        differences: The first of them.
        main_body: What main answered.
        shadow_body: What the shadow answered.
    """

    fingerprint: str
    entries: tuple[str, ...]
    at: float
    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...]
    body: Body
    main_status: int
    shadow_status: int
    differences: tuple[Difference, ...]
    main_body: Body
    shadow_body: Body

    def curl(self, base_url: str) -> str:
        """
        Return a shell command that asks the same again.

        It is quoted for a POSIX shell, whatever the request holds, and says in
        comments what is not the same: secrets are never kept. It has
        ``x-daeploy-role: shadow``, for a service that mutes its side effects.

        Args:
            base_url: Of the service; the path is put behind it.
        """
        return curl(self, base_url)

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        texts = [self.path, self.query, *(n + v for n, v in self.headers)]
        texts += [b.text or "" for b in (self.body, self.main_body, self.shadow_body)]
        texts += [d.path + (d.main or "") + (d.shadow or "") for d in self.differences]
        return 300 + sum(map(len, [*texts, *self.entries, *self.left_out]))

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON can hold."""
        return attrs.asdict(self)

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """
        Return what ``to_dict`` wrote.

        Raises:
            ValueError: If it is damaged.
        """
        texts = ("fingerprint", "method", "path", "query")
        read = {name: stored.text(stored.member(data, name), name) for name in texts}
        for name in ("main_status", "shadow_status"):
            read[name] = stored.count(stored.member(data, name), name)  # type: ignore[assignment]
        pairs = stored.rows(stored.member(data, "headers"), 2, "headers")
        found = stored.member(data, "differences")
        return cls(
            **read,  # type: ignore[arg-type]
            entries=_texts(data, "entries"),
            left_out=_texts(data, "left_out"),
            at=stored.number(stored.member(data, "at"), "at"),
            headers=tuple(
                (stored.text(n, "header"), stored.text(v, "header")) for n, v in pairs
            ),
            differences=tuple(_difference(one) for one in _list(found)),
            body=_body(stored.member(data, "body")),
            main_body=_body(stored.member(data, "main_body")),
            shadow_body=_body(stored.member(data, "shadow_body")),
        )


def _list(value: object) -> list[object]:
    if not isinstance(value, list | tuple):
        raise ValueError("Damaged evidence: there is no list.")  # noqa: TRY004
    return list(value)


def _texts(data: object, name: str) -> tuple[str, ...]:
    return tuple(stored.text(t, name) for t in _list(stored.member(data, name)))


def _optional(value: object) -> str | None:
    return None if value is None else stored.text(value, "value")


def _difference(data: object) -> Difference:
    return Difference(
        stored.text(stored.member(data, "path"), "path"),
        Kind(stored.text(stored.member(data, "kind"), "kind")),
        _optional(stored.member(data, "main")),
        _optional(stored.member(data, "shadow")),
    )


def _body(data: object) -> Body:
    return Body(
        _optional(stored.member(data, "text")),
        stored.count(stored.member(data, "length"), "length"),
        stored.text(stored.member(data, "digest"), "digest"),
        is_redacted=bool(stored.member(data, "is_redacted")),
    )


def example_of(sample: Sample, redacted: State | None = None) -> Example | None:
    """Return what may be kept of a sample; None if it does not show a difference."""
    request, comparison = sample.request, sample.comparison
    main, shadow = sample.main_answer, sample.shadow_answer
    if request is None or comparison is None or comparison.shape is None:
        return None
    if main is None or shadow is None:
        return None
    show = Show(redacted, secrets_in(request.headers))
    left_out: list[str] = []
    kept: list[tuple[str, str]] = []
    for name, value in request.headers:
        if name.lower() in NOT_REPEATED:
            continue
        is_kept = len(kept) < _MAX_HEADERS and len(value) <= _MAX_HEADER
        if is_kept and not is_secret_header(name):
            kept.append((name, show.mask(value)))
        elif len(left_out) < _MAX_HEADERS:
            left_out.append(name[:_MAX_HEADER])
    shape = comparison.shape
    return Example(
        shape.fingerprint,
        tuple(
            show.mask(f"{kind} {path}"[:_MAX_HEADER]) for path, kind in shape.entries
        ),
        sample.at,
        request.method,
        show.mask(request.path)[:MAX_TARGET],
        redact_query(request.query, show)[:MAX_TARGET],
        tuple(kept),
        tuple(left_out),
        redact_body(request.body, request.body_bytes, show),
        main.status,
        shadow.status,
        tuple(_masked(d, show) for d in comparison.differences[:_MAX_DIFFERENCES]),
        redact_body(main.body, main.length, show),
        redact_body(shadow.body, shadow.length, show),
    )


def _masked(found: Difference, show: Show) -> Difference:
    sides = [None if v is None else show.mask(v) for v in (found.main, found.shadow)]
    return Difference(show.mask(found.path), found.kind, *sides)


class Examples:
    """
    Examples of at most 64 shapes, three of each, of at most 1 MiB.

    Of too many shapes the 32 that came first stay, and 32 of the others by their
    fingerprints: a common shape takes no more room than a rare one.
    """

    def __init__(self, examples: Iterable[Example] = ()) -> None:
        self._shapes: dict[str, tuple[Example, ...]] = {}
        self._size = 0
        # The largest fingerprint of those that are held by their fingerprints.
        self._bar: str | None = None
        for example in sorted(examples, key=lambda one: one.at):
            self.add(example)

    def wants(self, fingerprint: str) -> bool:
        """Return whether an example of a shape would be kept."""
        held = self._shapes.get(fingerprint)
        if held is not None:
            return len(held) < MAX_EACH and self._size < MAX_BYTES
        return self._bar is None or fingerprint < self._bar

    def add(self, example: Example) -> None:
        """Keep an example if there is room for it."""
        if not self.wants(example.fingerprint):
            return
        held = self._shapes.get(example.fingerprint, ())
        if example in held:
            return
        self._shapes[example.fingerprint] = (*held, example)
        self._size += example.size
        while len(self._shapes) > MAX_SHAPES or self._size > MAX_BYTES:
            self._drop()
        is_full = len(self._shapes) == MAX_SHAPES or self._size > MAX_BYTES // 2
        rest = list(self._shapes)[_FIRST:]
        self._bar = max(rest) if is_full and rest else None

    def _drop(self) -> None:
        several = [f for f, held in self._shapes.items() if len(held) > 1]
        if self._size > MAX_BYTES and several:
            shape = max(several, key=lambda f: len(self._shapes[f]))
            *held, gone = self._shapes[shape]
            self._shapes[shape] = tuple(held)
            self._size -= gone.size
            return
        shapes = list(self._shapes)
        gone_shape = max(shapes[_FIRST:] or shapes[1:] or shapes)
        self._size -= sum(e.size for e in self._shapes.pop(gone_shape))

    def merged(self, other: Self) -> Self:
        """Return the examples of both, as far as there is room."""
        return type(self)([*self, *other])

    def __iter__(self) -> Iterator[Example]:
        for held in list(self._shapes.values()):
            yield from held

    def __len__(self) -> int:
        return sum(map(len, self._shapes.values()))

    def to_dict(self) -> list[dict[str, object]]:
        """Return plain values that JSON can hold."""
        return [example.to_dict() for example in self]

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """
        Return what ``to_dict`` wrote.

        Raises:
            ValueError: If it is damaged.
        """
        return cls(Example.from_dict(one) for one in _list(data))
