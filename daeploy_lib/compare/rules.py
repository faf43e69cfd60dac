"""By which rules two answers are compared."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from daeploy_lib.compare.headers import DEFAULT_HEADERS, HeaderChoice, header_names
from daeploy_lib.compare.numbers import Tolerance
from daeploy_lib.compare.path_matching import State, compile_paths
from daeploy_lib.compare.path_syntax import wildcard
from daeploy_lib.compare.showing import Show
from daeploy_lib.compare.statuses import StatusGroup, equal_groups, status_groups

MIB = 1024 * 1024
# Entering a level costs a few of Python's frames where lists are unordered.
_MAX_DEPTH = 100

Routes = tuple[tuple[str, "ComparisonRules"], ...]


def _paths(value: object) -> tuple[str, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"Paths are a collection such as ['$.id'], not {value!r}.")
    return tuple(value)


def _tolerance(_: object, field: "attrs.Attribute[Any]", value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{field.name} must be a number, not {value!r}.")
    if not 0 <= value < math.inf:
        raise ValueError(f"{field.name} must be finite and at least 0, not {value!r}.")


def _count(_: object, field: "attrs.Attribute[Any]", value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{field.name} must be a whole number, not {value!r}.")
    if value < 1:
        raise ValueError(f"{field.name} must be at least 1, not {value!r}.")


def _depth(_: object, field: "attrs.Attribute[Any]", value: Any) -> None:
    _count(None, field, value)
    if value > _MAX_DEPTH:
        raise ValueError(f"{field.name} must be at most {_MAX_DEPTH}, not {value!r}.")


def _routes(value: object) -> Routes:
    pairs = tuple(value.items() if isinstance(value, Mapping) else _pairs(value))
    for path, rules in pairs:
        if not isinstance(path, str):
            raise TypeError(f"A route's path is a string, not {path!r}.")
        if not path.startswith("/") or not path.isascii():
            raise ValueError(
                f"Invalid route {path!r}. Write a path below the service, in ASCII as "
                f"it is sent, such as '/predict/*'."
            )
        if not isinstance(rules, ComparisonRules):
            raise TypeError(f"A route has ComparisonRules(...), not {rules!r}.")
        if rules.routes:
            raise ValueError(f"The rules of route {path!r} have routes themselves.")
    return pairs


def _pairs(value: object) -> Iterable[Any]:
    if isinstance(value, tuple) and all(isinstance(pair, tuple) for pair in value):
        return value
    raise TypeError(f"routes maps paths to ComparisonRules, not {value!r}.")


@attrs.frozen
class ComparisonRules:
    """
    When two answers count as equal.

    Status, headers and body are compared. JSON is compared by structure: the order
    of names is free, that of lists is not; a missing field is not ``null``; ``1`` is
    ``1.0`` and not ``true``. Server-sent events are compared one by one, other text
    and bytes as a whole, all of them after undoing gzip and deflate. Bodies that
    were too long to be kept must be the same to the byte.

    Paths are written ``$.items[*].id``, ``$.**.id``, ``$.*_at``,
    ``$["any name"]``; ``$.`` may be left out. What a path leads to goes with all
    below it.

    Args:
        ignored: Paths that are not compared.
        included: If given, only these paths are; ``ignored`` still takes from them.
        unordered: Paths of lists whose order means nothing; ``"**"``: all lists.
        redacted: Paths whose values are never shown or stored, beside fields with
            names such as ``password`` or ``access_token`` and headers such as
            ``authorization`` and ``set-cookie``. They are compared all the same.
        absolute_tolerance: How far apart two numbers may be.
        relative_tolerance: The same as a fraction of the larger of both; being close
            either way is enough.
        headers: Names of headers to compare; ``"*"`` for all but volatile ones such
            as ``date`` or ``x-request-id``, ``"!name"`` to take one from them.
        equal_statuses: Groups of statuses that count as equal, such as
            ``[(200, 201), "5xx"]``.
        max_depth: Objects and lists within one another, at most 100. What is deeper,
            or larger than the next two, is incomparable.
        max_values: Values of JSON that are looked at in both bodies together.
        max_decoded_bytes: Size of a body without its compression.
        max_differences: Differences that are kept of one pair of answers.
        routes: Other rules for some paths of the service: ``{"/predict/*": rules}``.
            The first that matches counts; ``*`` is any text, also with ``/``.

    Raises:
        ValueError: If a path, header, status or route is malformed, or a number out
            of range.
        TypeError: If a value has the wrong type.

    Example:
        >>> exact = ComparisonRules()
        >>> rules = ComparisonRules(
        ...     ignored=["meta.took_ms"],
        ...     relative_tolerance=1e-6,
        ...     routes={"/exact/*": exact},
        ... )
        >>> rules.for_path(b"/exact/1") is exact, rules.for_path(b"/a") is rules
        (True, True)
    """

    ignored: tuple[str, ...] = attrs.field(default=(), converter=_paths)
    included: tuple[str, ...] = attrs.field(default=(), converter=_paths)
    unordered: tuple[str, ...] = attrs.field(default=(), converter=_paths)
    redacted: tuple[str, ...] = attrs.field(default=(), converter=_paths)
    absolute_tolerance: float = attrs.field(default=0.0, validator=_tolerance)
    relative_tolerance: float = attrs.field(default=0.0, validator=_tolerance)
    headers: tuple[str, ...] = attrs.field(
        default=DEFAULT_HEADERS, converter=header_names
    )
    equal_statuses: tuple[StatusGroup, ...] = attrs.field(
        default=(), converter=status_groups
    )
    max_depth: int = attrs.field(default=64, validator=_depth)
    # Two bodies of 1 MiB have fewer, unless they are all single digits.
    max_values: int = attrs.field(default=1_000_000, validator=_count)
    # Four times what is kept of an answer: text is rarely compressed further.
    max_decoded_bytes: int = attrs.field(default=4 * MIB, validator=_count)
    max_differences: int = attrs.field(default=50, validator=_count)
    routes: Routes = attrs.field(default=(), converter=_routes)
    paths: State | None = attrs.field(init=False, repr=False, eq=False)
    hidden: State | None = attrs.field(init=False, repr=False, eq=False)
    show: Show = attrs.field(init=False, repr=False, eq=False)
    choice: HeaderChoice = attrs.field(init=False, repr=False, eq=False)
    tolerance: Tolerance = attrs.field(init=False, repr=False, eq=False)
    _equal: tuple[frozenset[int], ...] = attrs.field(init=False, repr=False, eq=False)
    _patterns: tuple[tuple[re.Pattern[bytes], "ComparisonRules"], ...] = attrs.field(
        init=False, repr=False, eq=False
    )

    @paths.default
    def _compile_paths(self) -> State | None:
        return compile_paths(
            ignored=self.ignored, included=self.included, unordered=self.unordered
        )

    @hidden.default
    def _compile_redacted(self) -> State | None:
        # "Included" holds for what is below as well, as redaction must.
        return compile_paths(ignored=(), included=self.redacted, unordered=())

    @show.default
    def _make_show(self) -> Show:
        return Show(self.hidden)

    @choice.default
    def _choose_headers(self) -> HeaderChoice:
        return HeaderChoice(self.headers)

    @tolerance.default
    def _make_tolerance(self) -> Tolerance:
        return Tolerance(self.absolute_tolerance, self.relative_tolerance)

    @_equal.default
    def _find_equal(self) -> tuple[frozenset[int], ...]:
        return equal_groups(self.equal_statuses)

    @_patterns.default
    def _compile_routes(
        self,
    ) -> tuple[tuple[re.Pattern[bytes], "ComparisonRules"], ...]:
        return tuple((_pattern(path), rules) for path, rules in self.routes)

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        fields = (f.name for f in attrs.fields(ComparisonRules) if f.init)
        return ComparisonRules, tuple(getattr(self, name) for name in fields)

    def for_path(self, path: bytes) -> "ComparisonRules":
        """
        Return the rules for a request.

        Args:
            path: Raw, below the service's segment, without query.
        """
        for pattern, rules in self._patterns:
            if pattern.fullmatch(path):
                return rules
        return self

    def is_equal_status(self, main: int, shadow: int) -> bool:
        """Return whether two statuses count as equal."""
        return main == shadow or any({main, shadow} <= group for group in self._equal)


def _pattern(path: str) -> re.Pattern[bytes]:
    return re.compile(wildcard(path).encode("ascii"), re.DOTALL)
