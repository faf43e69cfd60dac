"""What of a request and of bodies may be kept: secrets never are."""

import base64
import binascii
import hashlib
import re
from typing import Any
from urllib.parse import quote, unquote_plus

import attrs
import orjson

from daeploy_lib.compare.comparison import IncomparableError
from daeploy_lib.compare.json_text import ABSENT, parse_json
from daeploy_lib.compare.path_matching import State
from daeploy_lib.compare.secret_names import (
    REDACTED,
    SECRET_HEADERS,
    is_secret,
    is_secret_name,
)
from daeploy_lib.compare.showing import Show

MAX_BODY = 4096
"""Bytes of a body that is kept as text; of longer ones the digest is."""
_MAX_DEPTH = 64
_PARTS = re.compile(r"[\s;,=]+")
# A shorter part of a header's value is a word such as "Bearer".
_MIN_PART = 8
_MIN_CRUMB = 4
_BETWEEN = re.compile("([&;])")


@attrs.frozen
class Body:
    """
    A body, as far as it may be kept.

    Attributes:
        text: All of it; None if it is too long or nothing tells its secrets.
        length: Its bytes, as they were sent.
        digest: Of the bytes that were captured.
        is_redacted: Whether the text is not what was sent.
    """

    text: str | None
    length: int
    digest: str
    is_redacted: bool = False

    def __str__(self) -> str:
        if self.text is not None:
            return self.text
        return f"({self.length} bytes, digest {self.digest})"


def is_secret_header(name: str) -> bool:
    """Return whether a header's value is never kept."""
    name = name.lower()
    is_known = name.encode("latin-1", "replace") in SECRET_HEADERS
    # What a body calls a token may be a word of a language.
    return is_known or name.endswith(("token", "signature")) or is_secret_name(name)


def secrets_in(headers: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Return texts of secret headers that may stand elsewhere too."""
    found: set[str] = set()
    for name, value in headers:
        if not is_secret_header(name):
            continue
        least = _MIN_CRUMB if name.lower() == "cookie" else _MIN_PART
        parts = [part for part in _PARTS.split(value) if len(part) >= least]
        found.update([value, *parts])
        scheme, _, rest = value.partition(" ")
        if scheme.lower() == "basic":
            found.update(_password(rest))
    found.update([quote(secret, safe="") for secret in found])
    return tuple(found)


def _password(encoded: str) -> list[str]:
    # RFC 7617, section 2: user-id and password in Base64, with a colon between.
    try:
        pair = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return []
    return [pair, pair.partition(":")[2]]


def redact_query(query: str, show: Show) -> str:
    """
    Return a query without the values of fields whose names secrets have.

    Example:
        >>> redact_query("n=3&api_key=hunter2", Show())
        'n=3&api_key=[redacted]'
    """
    kept = []
    for pair in _BETWEEN.split(query):
        name, equals, value = pair.partition("=")
        plain = unquote_plus(name)
        hidden = is_secret_header(plain) or is_secret(plain, unquote_plus(value))
        if show.redacted is not None:
            hidden = hidden or show.redacted.name(plain).is_included
        kept.append(f"{name}{equals}{REDACTED}" if equals and hidden else pair)
    return show.mask("".join(kept))


def redact_body(content: bytes, length: int, show: Show) -> Body:
    """
    Return what may be kept of a body: JSON without its secrets, else a digest.

    Args:
        content: Its first bytes.
        length: All its bytes.
        show: What to hide beside what names tell.

    Example:
        >>> redact_body(b'{"n": 1, "password": "hunter2"}', 31, Show()).text
        '{"n":1,"password":"[redacted]"}'
    """
    digest = hashlib.blake2s(content, digest_size=8).hexdigest()
    if not content and not length:
        return Body("", 0, digest)
    if len(content) != length or length > MAX_BODY:
        return Body(None, length, digest)
    try:
        value = parse_json(content)
        if value is ABSENT:
            return Body(None, length, digest)
        redacted = _redact(value, show, show.redacted, 0)
        text = orjson.dumps(redacted).decode()
        if redacted == value:
            text = content.decode()
    except (IncomparableError, TypeError, ValueError, RecursionError):
        return Body(None, length, digest)
    return Body(text, length, digest, is_redacted=redacted != value)


def _redact(value: Any, show: Show, state: State | None, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError("It is nested too deeply.")
    if state is not None and state.is_included:
        return REDACTED
    if isinstance(value, str):
        return show.mask(value)
    if isinstance(value, dict):
        redacted = {}
        for name, inner in value.items():
            below = None if state is None else state.name(name)
            hidden = is_secret(name, inner)
            redacted[show.mask(name)] = (
                REDACTED if hidden else _redact(inner, show, below, depth + 1)
            )
        return redacted
    if isinstance(value, list):
        return [
            _redact(v, show, None if state is None else state.index(n), depth + 1)
            for n, v in enumerate(value)
        ]
    return value
