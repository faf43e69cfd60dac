"""
Which headers of two answers are compared, and whether they agree.

    >>> picked = HeaderChoice(("*",))
    >>> picked.picks(b"x-model"), picked.picks(b"date")
    (True, False)
"""

import re
from collections.abc import Iterable

import attrs

from daeploy_lib.compare.answer import Headers
from daeploy_lib.compare.media_type import parse_media_type

VOLATILE_HEADERS = frozenset(
    {
        # Of one answer: RFC 9110, sections 6.6.1, 10.2.4, 8.8; RFC 9111, 5.1, 5.3.
        *(b"date", b"server", b"etag", b"last-modified", b"age", b"expires"),
        *(b"set-cookie", b"server-timing", b"x-runtime", b"x-process-time"),
        *(b"x-response-time", b"x-powered-by", b"x-served-by", b"via"),
        # Of one request.
        *(b"x-request-id", b"request-id", b"x-correlation-id", b"x-trace-id"),
        *(b"traceparent", b"tracestate", b"x-amzn-trace-id", b"x-amzn-requestid"),
        *(b"x-b3-traceid", b"x-b3-spanid", b"x-cloud-trace-context", b"cf-ray"),
        # How the body comes, which is compared as content.
        *(b"content-length", b"content-encoding", b"transfer-encoding", b"trailer"),
        *(b"connection", b"keep-alive", b"proxy-connection", b"upgrade"),
    }
)
"""Headers that ``"*"`` leaves out: equal services send different ones."""

DEFAULT_HEADERS = ("content-type", "location")
"""Headers that are compared unless others are named."""

_NAME = re.compile(r"!?[!#$%&'+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_ENCODING = b"content-encoding"
_MEDIA_TYPE = b"content-type"


def header_names(value: object) -> tuple[str, ...]:
    """
    Return names of headers in lower case.

    Raises:
        TypeError: If they are no collection of strings.
        ValueError: If one is no name.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"headers is a collection of names, not {value!r}.")
    names = tuple(value)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"headers is a collection of names, not {names!r}.")
        if name != "*" and not _NAME.fullmatch(name):
            raise ValueError(
                f"Invalid header {name!r}. Write a name such as 'content-type', '*' "
                f"for all that are not volatile, or '!name' to take one from them."
            )
        if name.startswith("!") and "*" not in names:
            raise ValueError(f"{name!r} takes a header from '*', which is not there.")
    return tuple(name.lower() for name in names)


@attrs.frozen
class HeaderChoice:
    """
    Which headers are compared.

    Args:
        names: Names, ``"*"`` and ``"!name"``, in lower case.
    """

    names: tuple[str, ...]
    _is_all: bool = attrs.field(init=False)
    _named: frozenset[bytes] = attrs.field(init=False)
    _left_out: frozenset[bytes] = attrs.field(init=False)

    @_is_all.default
    def _find_all(self) -> bool:
        return "*" in self.names

    @_named.default
    def _find_named(self) -> frozenset[bytes]:
        names = (n for n in self.names if n != "*" and not n.startswith("!"))
        return frozenset(name.encode() for name in names)

    @_left_out.default
    def _find_left_out(self) -> frozenset[bytes]:
        taken = {n[1:].encode() for n in self.names if n.startswith("!")}
        return (VOLATILE_HEADERS | taken) - self._named

    def picks(self, name: bytes) -> bool:
        """Return whether a header, its name in lower case, is compared."""
        if self._is_all:
            return name not in self._left_out
        return name in self._named

    def is_same(self, main: Headers, shadow: Headers) -> bool:
        """
        Return whether nothing that matters differs, at a glance.

        A False is no answer: the same names may come in another order. What the
        body is encoded with matters as well.
        """
        one, other = dict(main), dict(shadow)
        if len(one) == len(main) and len(other) == len(shadow):
            # No name comes twice: only the few that differ are looked at.
            for name, _ in one.items() ^ other.items():
                if name == _ENCODING or self.picks(name):
                    return False
            return True
        if self._is_all:
            out = self._left_out
            return [h for h in main if h[0] == _ENCODING or h[0] not in out] == [
                h for h in shadow if h[0] == _ENCODING or h[0] not in out
            ]
        named = self._named
        return [h for h in main if h[0] in named or h[0] == _ENCODING] == [
            h for h in shadow if h[0] in named or h[0] == _ENCODING
        ]

    def differing(
        self, main: Headers, shadow: Headers
    ) -> Iterable[tuple[bytes, list[bytes], list[bytes]]]:
        """Yield name and values of the headers that differ, by name."""
        if self.is_same(main, shadow):
            return
        one, other = self._by_name(main), self._by_name(shadow)
        for name in sorted(one.keys() | other.keys()):
            left, right = one.get(name, []), other.get(name, [])
            if left != right and not _is_same_type(name, left, right):
                yield name, left, right

    def _by_name(self, headers: Headers) -> dict[bytes, list[bytes]]:
        found: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            if self.picks(name):
                found.setdefault(name, []).append(value.strip(b" \t"))
        return found


def _is_same_type(name: bytes, left: list[bytes], right: list[bytes]) -> bool:
    """Return whether it is a Content-Type that is only written differently."""
    if name != _MEDIA_TYPE or not left or not right:
        return False
    return list(map(parse_media_type, left)) == list(map(parse_media_type, right))


def values_of(headers: Headers, name: bytes) -> list[bytes]:
    """Return the values of one header, in their order."""
    if name not in dict(headers):  # a look-up costs less than a look at each
        return []
    return [value for found, value in headers if found == name]
