"""
What was found out about a header line, for the next message that has it.

A client, or a version, sends most of its lines again with every message: that is
what HPACK lives on (RFC 7541, section 1.1). Looking one up costs a third of
looking at it, and it is looked at with every rule, once.
"""

from collections.abc import Callable, Hashable
from typing import TypeVar

_Line = TypeVar("_Line", bound=Hashable)
_Found = TypeVar("_Found")

_LINES = 2048
_LINE_BYTES = 256


class Seen(dict[_Line, _Found]):
    """
    Remembers what a pure function said, of as many lines as may well come again.

    Args:
        judge: From a line to what is found out; it depends on nothing else.
        size: Bytes of a line; long ones are not kept.

    Example:
        >>> seen = Seen(bytes.lower, len)
        >>> seen[b"Host: A"], len(seen)
        (b'host: a', 1)
    """

    def __init__(
        self, judge: Callable[[_Line], _Found], size: Callable[[_Line], int]
    ) -> None:
        super().__init__()
        self._judge = judge
        self._size = size

    def __missing__(self, line: _Line) -> _Found:
        """Judge a line, and keep that."""
        found = self._judge(line)
        if self._size(line) <= _LINE_BYTES:
            if len(self) >= _LINES:
                self.clear()
            self[line] = found
        return found
