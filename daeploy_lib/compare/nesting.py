"""
How deep JSON is nested, told from its text: a step for each level, not for each value.

    >>> is_shallow_text(b'[{"a": 1}, {"b": [2]}]', 3)
    True
    >>> is_shallow_text(b'[{"a": 1}, {"b": [2]}]', 2)
    False
    >>> is_shallow_text(b'["[", 1]', 3) is None
    True
"""

from typing import Any

_CONTAINERS = frozenset({dict, list})
# UTF-16 has NUL bytes, and brackets in other characters.
_ALIKE = bytes.maketrans(b"{}", b"[]")
_NOT_LOOKED_AT = bytes(set(range(256)) - set(b'[]{}"\\\0'))


def is_shallow_text(content: bytes, max_depth: int) -> bool | None:
    """
    Return whether no more objects and lists are within one another.

    Args:
        content: One JSON text.
        max_depth: How many may be.

    Returns:
        None if it cannot be told at a glance.
    """
    brackets = _brackets(content)
    if brackets is None:
        return None
    for _ in range(max_depth):
        if not brackets:
            return True
        # One level less: those that have nothing within them.
        brackets = brackets.replace(b"[]", b"")
    return not brackets


def _brackets(content: bytes) -> bytes | None:
    """
    Return the brackets of JSON in their order, all square; None if it has others.

    A string without brackets and escapes leaves two quotes side by side. Before a
    bracket in a string the number of quotes is odd, and one of them stays.
    """
    left = content.translate(_ALIKE, _NOT_LOOKED_AT)
    if b"\\" in left or b"\0" in left:
        return None
    left = left.replace(b'""', b"")
    return None if b'"' in left else left


def is_shallow(value: Any, max_depth: int) -> bool:
    """
    Return whether no more objects and lists are within one another.

    Example:
        >>> is_shallow([{"a": 1}], 2), is_shallow([{"a": 1}], 1)
        (True, False)
    """
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(max_depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _CONTAINERS
        ]
        if not level:
            return True
    return not level
