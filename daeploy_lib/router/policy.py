"""Which requests are copied, how much a copy may cost, how long things may take."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from daeploy_lib.router.rules import (
    Rule,
    header_name,
    in_sample,
    parse_rule,
    rule_texts,
)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, section 9.2.1

KIB = 1024
MIB = 1024 * KIB


def _methods(value: object) -> str | frozenset[str]:
    if isinstance(value, str):
        if value not in ("all", "safe"):
            raise ValueError(
                f"Invalid methods {value!r}. Write 'all', 'safe', or a collection of "
                f"method names such as ['GET', 'POST']."
            )
        return value
    if not isinstance(value, Iterable):
        raise TypeError(f"methods must be 'all', 'safe' or a collection: {value!r}.")
    names = tuple(value)
    if not all(isinstance(name, str) and name for name in names):
        raise TypeError(f"Method names are non-empty strings: {names!r}.")
    return frozenset(name.upper() for name in names)


def _header_names(value: object) -> frozenset[bytes]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"withhold is a collection of header names, not {value!r}.")
    return frozenset(
        (name.encode("ascii") if isinstance(name, str) else bytes(name)).lower()
        for name in value
    )


def _rate(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a number from 0 to 1, not {value!r}.")
    if not 0 <= value <= 1:
        raise ValueError(f"Invalid {name} {value!r}. It is a fraction, 0 to 1.")
    return float(value)


def _sample_rate(value: object) -> float:
    return _rate(value, "sample_rate")


def _noise_rate(value: object) -> float:
    return _rate(value, "noise_rate")


def _is_counted(rate: float, count: int) -> bool:
    """Return whether the *count*-th, from 0, is one: n give n times the rate."""
    return math.floor((count + 1) * rate) > math.floor(count * rate)


@attrs.frozen
class MirrorPolicy:
    """
    Which requests are copied to the shadows, and without which headers.

    The decision reads no body and costs the same for every request.

    Args:
        sample_rate: Fraction of the requests to copy, 0 to 1. Counted, not
            drawn: n requests give n times the rate, to within one.
        methods: ``"all"``, ``"safe"`` (GET, HEAD, OPTIONS) or a collection of
            names. All by default, for models are called with POST: a service
            that writes must look at ``x-daeploy-role: shadow``.
        withhold: Names of request headers that shadows do not get, such as
            ``["authorization", "cookie"]``.
        rules: Which paths and headers are copied; the first rule that matches
            decides. ``"/predict/*"`` is a path below the service, ``"x-beta"`` a
            header, ``"x-tenant: acme*"`` one with a value, and ``"!"`` before
            any of them keeps what matches from the shadows. Where none matches,
            all is copied if every rule begins with ``"!"``, and nothing if not.
        sticky: Name of a request header, such as ``"x-user"``, by whose value to
            sample: the same value always gets the same decision, in every
            process, and who is in a smaller sample is in every larger one.
            Requests without it are counted.
        noise_rate: Fraction of the copied requests with a safe method that main
            gets a second time, 0 to 1, counted as well. Main's two answers are
            compared with one another: what differs there is noise, and no fault of
            a shadow's. The second request is a copy, with ``x-daeploy-role: shadow``
            and the bounds of one; the client gets the first answer. It is more load
            on main, for which a shadow with main's own content would do as well.
            Nothing is asked twice where answers are not compared, and no WebSocket.

    Raises:
        ValueError: If a rate is outside 0 to 1, the word for methods is
            unknown, or a rule is empty or no path nor header.
        TypeError: If a value has the wrong type.

    Example:
        >>> MirrorPolicy(methods="safe").copies("POST")
        False
    """

    sample_rate: float = attrs.field(default=1.0, converter=_sample_rate)
    methods: str | frozenset[str] = attrs.field(default="all", converter=_methods)
    withhold: frozenset[bytes] = attrs.field(default=(), converter=_header_names)
    rules: tuple[str, ...] = attrs.field(default=(), converter=rule_texts)
    sticky: str | None = attrs.field(default=None, converter=header_name)
    noise_rate: float = attrs.field(default=0.0, converter=_noise_rate)
    _rules: tuple[Rule, ...] = attrs.field(init=False, repr=False, eq=False)

    @_rules.default
    def _parse_rules(self) -> tuple[Rule, ...]:
        return tuple(parse_rule(text) for text in self.rules)

    _copies_all: bool = attrs.field(init=False, repr=False, eq=False)

    @_copies_all.default
    def _has_no_condition(self) -> bool:
        return self.methods == "all" and self.sample_rate >= 1 and not self.asks_more

    @property
    def copies_all(self) -> bool:
        """Whether every request is copied, whatever it is."""
        return self._copies_all

    @property
    def asks_more(self) -> bool:
        """Whether path or headers have a say as well."""
        return bool(self._rules) or self.sticky is not None

    def allows(self, path: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """
        Return what the rules say to a request.

        Args:
            path: Raw, below the service's segment, without query.
            headers: Pairs of bytes.
        """
        for rule in self._rules:
            if rule.matches(path, headers):
                return rule.is_copied
        return not any(rule.is_copied for rule in self._rules)

    def sticks(self, headers: Sequence[tuple[bytes, bytes]]) -> bool | None:
        """Return the sticky decision; None where the requests are counted."""
        if self.sticky is None:
            return None
        return in_sample(self.sticky.encode("ascii"), headers, self.sample_rate)

    def copies(self, method: str) -> bool:
        """Return whether requests with this method are copied at all."""
        if self.methods == "all":
            return True
        if self.methods == "safe":
            return method in SAFE_METHODS
        return method in self.methods

    def samples(self, count: int) -> bool:
        """
        Return whether the *count*-th request, from 0, belongs to the sample.

        Every run of n requests holds ``n * sample_rate`` samples to within one,
        and a request in a smaller sample is in the larger ones of multiples.
        """
        return _is_counted(self.sample_rate, count)

    def asks_again(self, count: int) -> bool:
        """
        Return whether main gets a copied request a second time.

        Args:
            count: How many with a safe method were copied before.
        """
        return _is_counted(self.noise_rate, count)


def _positive(_: object, field: "attrs.Attribute[Any]", value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{field.name} must be a number, not {value!r}.")
    if not 0 < value < math.inf:
        raise ValueError(f"{field.name} must be finite and above 0, not {value!r}.")


def _whole(_: object, field: "attrs.Attribute[Any]", value: Any) -> None:
    if not isinstance(value, int):
        raise TypeError(f"{field.name} must be a whole number, not {value!r}.")
    _positive(None, field, value)


@attrs.frozen
class Limits:
    """
    Bounds on what mirroring may hold; every default is finite.

    Args:
        max_in_flight: Copies under way to one shadow; the next one is dropped
            at once, never queued.
        max_lag_bytes: How far one copy may lag behind main with an upload;
            past it that copy is aborted.
        max_bytes: Bytes that all copies of the router may hold together.
        max_capture_bytes: How much of an answer is kept to be compared; and how
            much longer than main's a shadow's may be before the rest is not read,
            which is also so when it is twice as long and 64 KiB more.
        max_header_bytes: Size of a request's headers, of its target, and of an
            answer's headers. Larger requests get 431 or 414, answers 502.
        max_message_bytes: Size of a WebSocket message, joined from its
            fragments; a larger one closes the connection with 1009.

    Raises:
        ValueError: If a bound is not above 0.
        TypeError: If a bound is not a whole number.
    """

    max_in_flight: int = attrs.field(default=256, validator=_whole)
    # A shadow on the same machine is now and then a few MiB behind at full
    # speed; two such copies stay far below the 64 MiB of the whole router.
    max_lag_bytes: int = attrs.field(default=8 * MIB, validator=_whole)
    max_bytes: int = attrs.field(default=64 * MIB, validator=_whole)
    max_capture_bytes: int = attrs.field(default=1 * MIB, validator=_whole)
    # A query of ten thousand pairs must pass (Go's QueryParameterSmuggling).
    max_header_bytes: int = attrs.field(default=256 * KIB, validator=_whole)
    # What uvicorn and hypercorn take of a client: both hops have one limit.
    max_message_bytes: int = attrs.field(default=16 * MIB, validator=_whole)


@attrs.frozen
class Timeouts:
    """
    Deadlines, in seconds.

    Args:
        connect: Until a version accepts a connection.
        first_byte: From the end of the request until main begins to answer.
        idle: Between two parts of main's answer, or of the client's upload. Main of
            a WebSocket that is quiet so long is asked by a ping, and has as long
            again to say anything.
        shadow: For one copy, from the end of the client's upload to the end of
            the shadow's answer. While main is still answering, a shadow that
            keeps answering as well has this long from each part to the next;
            once main has ended, nothing prolongs it.

    Raises:
        ValueError: If one is not finite and above 0.
        TypeError: If one is no number.
    """

    connect: float = attrs.field(default=5.0, validator=_positive)
    first_byte: float = attrs.field(default=60.0, validator=_positive)
    idle: float = attrs.field(default=60.0, validator=_positive)
    shadow: float = attrs.field(default=30.0, validator=_positive)
