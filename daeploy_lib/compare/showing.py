"""
Values as short text that may be stored and shown.

What comes out is bounded, has no secret that can be told by its name, its path or
by the caller, and can always be encoded.

    >>> show = Show()
    >>> show.value({"id": 7, "password": "hunter2"}, None)
    '{"id": 7, "password": "[redacted]"}'
    >>> Show(secrets=("tok-1234",)).value(["Bearer tok-1234"], None)
    '["Bearer [redacted]"]'
"""

import hashlib
import json
import math

import attrs

from daeploy_lib.compare.path_matching import State, follow
from daeploy_lib.compare.path_syntax import Link, is_encodable, steps_of
from daeploy_lib.compare.secret_names import (
    REDACTED,
    is_secret,
    is_secret_name,
    mask_named,
)

MAX_SHOWN = 200
"""Characters of a value that are shown."""
# Before the first difference of two texts.
_CONTEXT = 30
_MAX_DEPTH = 6
_MAX_INTEGER_BITS = 400
# Shorter ones are found everywhere by chance.
_MIN_SECRET = 4
_SHOWN_DIGEST = 6


def _usable(secrets: tuple[str, ...]) -> tuple[str, ...]:
    # Longest first: one may be a part of another.
    found = {secret for secret in secrets if len(secret) >= _MIN_SECRET}
    return tuple(sorted(found, key=lambda secret: (-len(secret), secret)))


@attrs.frozen
class Show:
    """
    How values are shown.

    Args:
        redacted: What to hide by path: at and below where it says "included".
        secrets: Texts to hide wherever they stand.
    """

    redacted: State | None = None
    secrets: tuple[str, ...] = attrs.field(default=(), converter=_usable)

    def mask(self, text: str) -> str:
        """Return a text without secrets, those that are named in it included."""
        for secret in self.secrets:
            text = text.replace(secret, REDACTED)
        return mask_named(text)

    def path(self, path: Link) -> Link:
        """Return a path without secrets in its names."""
        shown: Link = None
        for step in steps_of(path):
            shown = (shown, self.mask(step) if isinstance(step, str) else step)
        return shown

    def hides(self, path: Link) -> bool:
        """Return whether the value at a path is a secret."""
        if any(isinstance(s, str) and is_secret_name(s) for s in steps_of(path)):
            return True
        return self.redacted is not None and follow(self.redacted, path).is_included

    def _is_secret(self, path: Link, value: object) -> bool:
        return path is not None and is_secret(str(path[1]), value)

    def value(self, value: object, path: Link) -> str:
        """Return the JSON text of a value of JSON, cut."""
        if self.hides(path) or self._is_secret(path, value):
            return REDACTED
        state = None if self.redacted is None else follow(self.redacted, path)
        parts: list[str] = []
        self._write(value, state, parts, MAX_SHOWN, 0)
        return _cut("".join(parts))

    def text(self, text: str, offset: int) -> str:
        """Return a text from shortly before an offset, cut, as JSON text."""
        margin = max(map(len, self.secrets), default=0)
        first = max(0, offset - _CONTEXT)
        last = first + MAX_SHOWN
        # A secret that stands across an edge is seen whole by looking further.
        wide = self.mask(text[max(0, first - margin) : last + margin])
        left = min(first, margin)
        right = len(wide) - min(max(0, len(text) - last), margin)
        shown = _quoted(wide[left:right][:MAX_SHOWN])
        return f"{'…' if first else ''}{shown}{'…' if last < len(text) else ''}"

    def _write(
        self,
        value: object,
        state: State | None,
        parts: list[str],
        left: int,
        depth: int,
    ) -> int:
        """Append the text of a value; return how many characters are left."""
        if isinstance(value, dict | list) and value and depth == _MAX_DEPTH:
            shown = "{…}" if isinstance(value, dict) else "[…]"
        elif isinstance(value, dict):
            return self._write_object(value, state, parts, left, depth)
        elif isinstance(value, list):
            return self._write_list(value, state, parts, left, depth)
        else:
            shown = self._scalar(value)
        parts.append(shown)
        return left - len(shown)

    def _write_object(
        self,
        value: dict[str, object],
        state: State | None,
        parts: list[str],
        left: int,
        depth: int,
    ) -> int:
        opening = "{"
        for name, inner in value.items():
            if left < 0:
                break
            label = f"{opening}{self._scalar(name)}: "
            parts.append(label)
            left -= len(label)
            opening = ", "
            below = state and state.name(name)
            if is_secret(name, inner) or (below is not None and below.is_included):
                parts.append(f'"{REDACTED}"')
                left -= len(REDACTED)
            else:
                left = self._write(inner, below, parts, left, depth + 1)
        parts.append("}" if value else "{}")
        return left - 1

    def _write_list(
        self,
        value: list[object],
        state: State | None,
        parts: list[str],
        left: int,
        depth: int,
    ) -> int:
        opening = "["
        for place, inner in enumerate(value):
            if left < 0:
                break
            parts.append(opening)
            opening = ", "
            below = state and state.index(place)
            if below is not None and below.is_included:
                parts.append(f'"{REDACTED}"')
                left -= len(REDACTED)
            else:
                left = self._write(inner, below, parts, left - 2, depth + 1)
        parts.append("]" if value else "[]")
        return left - 1

    def _scalar(self, value: object) -> str:
        if isinstance(value, str):
            margin = max(map(len, self.secrets), default=0)
            return _quoted(self.mask(value[: MAX_SHOWN + margin])[:MAX_SHOWN])
        return self.mask(_number_or_word(value))


def _number_or_word(value: object) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if isinstance(value, int) and value.bit_length() > _MAX_INTEGER_BITS:
        # Python refuses to write very long ones: they take quadratic time.
        return f"(integer of {value.bit_length()} bits)"
    return repr(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not is_encodable(text))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def show_bytes(content: bytes, words: str) -> str:
    """
    Return what can be said of bytes without showing them.

    Example:
        >>> show_bytes(b"abc", "image/png")
        'image/png, 3 bytes, digest 1874778958c5'
    """
    digest = hashlib.blake2s(content, digest_size=_SHOWN_DIGEST).hexdigest()
    return f"{words}, {len(content)} bytes, digest {digest}"


def show_texts(show: Show, one: str, other: str) -> tuple[str, str]:
    """
    Return what two texts have where they begin to differ.

    Example:
        >>> show_texts(Show(), "hello", "hallo")
        ('"hello"', '"hallo"')
    """
    # Whole: what names a secret may stand far before it.
    one, other = show.mask(one), show.mask(other)
    if one == other:
        return REDACTED, REDACTED
    at = first_difference(one, other)
    return show.text(one, at), show.text(other, at)


def first_difference(one: str, other: str) -> int:
    """
    Return how long a beginning two texts have in common.

    Example:
        >>> first_difference("kitten", "kitchen")
        3
    """
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        # Only the half that is not known to be equal is looked at.
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
