"""Rules of a mirror policy: which paths and headers, and samples that stick."""

import hashlib
import re
from collections.abc import Iterable, Sequence

import attrs

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_KEY_BYTES = 8
_KEYS = 256.0**_KEY_BYTES

Fields = Sequence[tuple[bytes, bytes]]


@attrs.frozen
class Rule:
    """
    One rule, understood.

    Attributes:
        is_copied: Whether what matches is copied.
        name: Of the header, lower-case; empty if the rule is about the path.
        pattern: Of the path, or of the header's value.
    """

    is_copied: bool
    name: bytes
    pattern: re.Pattern[bytes]

    def matches(self, path: bytes, headers: Fields) -> bool:
        """Return whether a request is one that the rule is about."""
        if not self.name:
            return self.pattern.fullmatch(path) is not None
        return any(
            name.lower() == self.name and self.pattern.fullmatch(value) is not None
            for name, value in headers
        )


def parse_rule(text: str) -> Rule:
    """
    Understand one rule.

    Raises:
        ValueError: If it is neither a path nor a header.

    Example:
        >>> parse_rule("!/health*").matches(b"/healthz", [])
        True
        >>> parse_rule("x-tenant: acme*").matches(b"/", [(b"x-tenant", b"acme-2")])
        True
    """
    body = text.removeprefix("!")
    is_copied = body == text
    if body.startswith("/"):
        return Rule(is_copied, b"", _pattern(body))
    name, colon, value = body.partition(":")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"Invalid rule {text!r}. Write a path such as '/predict/*', or a header "
            f"such as 'x-tenant: acme', each with '!' before it to exclude."
        )
    pattern = _pattern(value.strip() if colon else "*")
    return Rule(is_copied, name.lower().encode("ascii"), pattern)


def rule_texts(value: object) -> tuple[str, ...]:
    """
    Return the rules as they were written.

    Raises:
        TypeError: If it is no collection of strings.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"rules is a collection of strings, not {value!r}.")
    texts = tuple(value)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"rules is a collection of strings, not {texts!r}.")
    return texts


def header_name(value: object) -> str | None:
    """
    Return a header's name in lower case; None if there is none.

    Raises:
        TypeError: If it is no string.
        ValueError: If it is no name.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"sticky is the name of a header, not {value!r}.")
    if not _NAME.fullmatch(value):
        raise ValueError(f"Invalid sticky {value!r}. Write the name of a header.")
    return value.lower()


def in_sample(key: bytes, headers: Fields, rate: float) -> bool | None:
    """
    Return whether a request is in the sample by the value of a header.

    The value's digest is a number that does not depend on the process; below
    the rate is in. None if the request has no such header.

    Example:
        >>> in_sample(b"x-user", [(b"x-user", b"ann")], 1.0)
        True
    """
    for name, value in headers:
        if name.lower() == key:
            digest = hashlib.blake2s(value, digest_size=_KEY_BYTES).digest()
            return int.from_bytes(digest) < rate * _KEYS
    return None


def _pattern(text: str) -> re.Pattern[bytes]:
    parts = [re.escape(part.encode("latin-1")) for part in text.split("*")]
    return re.compile(b".*".join(parts), re.DOTALL)
