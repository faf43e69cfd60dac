"""
Paths into a body: how they are written, read, and generalised.

A path begins at ``$``, the whole body. ``.name`` enters an object, ``[3]`` a list;
``["any name"]`` is a name with characters that a plain one cannot have. Wildcards::

    $.items[*].id       any place in a list
    $.*.id, $.*_at      any name; names that end so
    $.**.id             any number of steps, also none

``$.`` may be left out: ``items[*].id`` and ``**.id`` are paths. What a path leads to
goes with all that is below it.

    >>> parse_path("$.items[*].id")
    (('name', 'items'), '[*]', ('name', 'id'))
    >>> show_path((((None, "items"), 3), "unit price"))
    '$.items[3]["unit price"]'
    >>> generalise((((None, "users"), "9f1c2a77-1c1f-4a55-9d20-0a2b8c7d6e5f"), 3))
    '$.users.*[*]'
"""

import functools
import json
import re
from collections.abc import Iterator
from typing import Final, Literal

MAX_STEPS = 64  # of a pattern
MAX_PATTERN = 500  # characters of one
# What a difference shows of a path; services name their fields in less.
_MAX_NAME = 64
_MAX_SHOWN_STEPS = 24

Link = tuple["Link | None", str | int] | None
"""A path from its end: the path before it and the last step; None is the root."""

ANY_NUMBER: Final = "**"
ANY_INDEX: Final = "[*]"
# A name, a pattern of names, a place, any place, any number of steps.
Step = tuple[Literal["name"], str] | re.Pattern[str] | int | Literal["**", "[*]"]

_STEP = re.compile(
    r"""
    \.(?P<deep>\*\*)(?=[.\[]|$)
    | \.(?P<name>[^.\[\]"\s$]+)
    | \[(?P<index>\d{1,9})\]
    | \[(?P<any>\*)\]
    | \[(?P<quoted>"(?:[^"\\]|\\.)*")\]
    """,
    re.VERBOSE,
)
_PLAIN = re.compile(r"[^\W\d]\w*(?:-\w+)*")
# Names that are values: numbers, UUIDs, digests, dates. A letter is asked for
# nowhere else, so that "v1" and "p99" stay names.
_VALUE_LIKE = re.compile(
    r"""
    \d+
    | (?=\D*\d)[0-9a-fA-F]{16,}
    | [0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}
    | \d{4}-\d\d-\d\d.*
    """,
    re.VERBOSE | re.DOTALL,
)


def parse_path(text: str) -> tuple[Step, ...]:
    """
    Return the steps of a path that may have wildcards.

    Raises:
        TypeError: If it is no string.
        ValueError: If it is no such path, or longer than 64 steps.
    """
    if not isinstance(text, str):
        raise TypeError(f"A path is a string such as '$.items[*].id', not {text!r}.")
    rest = text.removeprefix("$")
    if rest == text and not rest.startswith("["):
        rest = f".{rest}"
    steps: list[Step] = []
    at = 0
    while at < len(rest):
        match = _STEP.match(rest, at)
        if match is None or len(text) > MAX_PATTERN or len(steps) == MAX_STEPS:
            raise ValueError(_invalid(text))
        steps.append(_step(match, text))
        at = match.end()
    return tuple(steps)


def _invalid(text: str) -> str:
    return (
        f"Invalid path {text[:100]!r}. Write names, places and wildcards, such as "
        f"'$.items[*].id', '$.meta.*_at', '**.id' or '$[\"any name\"]', "
        f"at most {MAX_STEPS} steps and {MAX_PATTERN} characters."
    )


def _step(match: re.Match[str], text: str) -> Step:
    if match["deep"]:
        return ANY_NUMBER
    if match["any"]:
        return ANY_INDEX
    if match["index"]:
        return int(match["index"])
    if match["quoted"]:
        try:
            return ("name", json.loads(match["quoted"], strict=False))
        except ValueError:
            raise ValueError(_invalid(text)) from None
    name = match["name"]
    if "*" not in name:
        return ("name", name)
    # ".***" would look like any number of steps and be one.
    if "**" in name:
        raise ValueError(_invalid(text))
    return re.compile(wildcard(name), re.DOTALL)


def wildcard(text: str) -> str:
    """
    Return the expression of a text in which ``*`` stands for anything.

    Each part is looked for once, where it comes first, and never elsewhere
    (``(?>…)``), as fnmatch does: a long path of a client's must not hold anybody up.

    Example:
        >>> bool(re.fullmatch(wildcard("/a/*/b*c"), "/a/x/b/bcc"))
        True
    """
    first, *middle = map(re.escape, text.split("*"))
    if not middle:
        return first
    last = middle.pop()
    return first + "".join(f"(?>.*?{part})" for part in middle) + ".*" + last


def steps_of(path: Link) -> list[str | int]:
    """Return the steps from the root on."""
    return list(_backwards(path))[::-1]


def _backwards(path: Link) -> Iterator[str | int]:
    while path is not None:
        path, step = path
        yield step


def show_path(path: Link) -> str:
    """
    Return a path as text that ``parse_path`` reads, unless it was too long.

    Long names are cut, and steps left out of the middle of a long path, where
    ``…`` stands.
    """
    return _joined([_shown(step) for step in steps_of(path)])


def generalise(path: Link) -> str:
    """
    Return the path that differences of the same shape share.

    Places in lists become ``[*]``, and names that look like values (numbers,
    UUIDs, digests, dates, over-long ones) ``*``.
    """
    return _joined([general_step(step) for step in steps_of(path)])


class Generaliser:
    """
    Generalises paths that have much in common, such as those of one body.

    Example:
        >>> Generaliser().general(((None, "items"), 3))
        '$.items[*]'
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        # By identity, which stays a link's own as long as the link is held here.
        self._known: dict[int, tuple[Link, str, int]] = {}

    def general(self, path: Link) -> str:
        """Return the generalised path."""
        if path is None:
            return "$"
        parent, step = path
        text, steps = self._general(parent)
        if steps >= _MAX_SHOWN_STEPS:
            return generalise(path)
        return f"{text}{general_step(step)}"

    def _general(self, link: Link) -> tuple[str, int]:
        if link is None:
            return "$", 0
        known = self._known.get(id(link))
        if known is None:
            text, steps = self._general(link[0])
            if steps < _MAX_SHOWN_STEPS:
                text = f"{text}{general_step(link[1])}"
            known = self._known[id(link)] = link, text, steps + 1
        return known[1:]


def _joined(steps: list[str]) -> str:
    if len(steps) > _MAX_SHOWN_STEPS:
        half = _MAX_SHOWN_STEPS // 2
        steps = [*steps[:half], "…", *steps[-half:]]
    return f"${''.join(steps)}"


def general_step(step: str | int) -> str:
    """Return one step of a generalised path."""
    return ANY_INDEX if isinstance(step, int) else _general_name(step[: _MAX_NAME + 1])


# Bounded, as names come from bodies; services have few.
@functools.lru_cache(maxsize=1024)
def _general_name(step: str) -> str:
    if len(step) > _MAX_NAME or _VALUE_LIKE.fullmatch(step):
        return ".*"
    return _shown(step)


def _shown(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if len(step) > _MAX_NAME:
        step = f"{step[:_MAX_NAME]}…"
    if _PLAIN.fullmatch(step):
        return f".{step}"
    # Half of a surrogate pair cannot be encoded; JSON's escapes can.
    text = json.dumps(step, ensure_ascii=False)
    return f"[{text if is_encodable(text) else json.dumps(step)}]"


def is_encodable(text: str) -> bool:
    """Return whether a string is Unicode, without half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
