"""What commands write: for people as text, for programs as JSON on standard output."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any

import attrs

from daeploy_lib.domain.encoding import spec_to_json
from daeploy_lib.domain.spec import Spec

_INDENT = "  "


class ReaderGoneError(Exception):
    """Whoever read standard output has had enough."""


def write(text: object) -> None:
    """
    Write a result.

    Raises:
        ReaderGoneError: If nobody reads it any more.
    """
    try:
        # At once: a narration on the other stream must not overtake it.
        print(text, flush=True)
    except BrokenPipeError:
        # Typer would make a failure of it.
        raise ReaderGoneError from None


def narrate(text: str) -> None:
    """Write what happens meanwhile, apart from results."""
    print(text, file=sys.stderr, flush=True)


def write_json(value: object) -> None:
    """Write one value as JSON, times in ISO 8601 with their zone."""
    write(json.dumps(plain(value), indent=2, ensure_ascii=False))


def plain(value: Any) -> Any:  # noqa: PLR0911 - one for each kind
    """
    Return a value as JSON has it; what JSON does not know becomes text.

    Example:
        >>> from daeploy_lib import Leftover
        >>> plain([Leftover("image", "sha256:1", "hello", "not registered")])[0]["id"]
        'sha256:1'
    """
    if isinstance(value, Spec):
        # Without the values of its environment.
        return json.loads(spec_to_json(value))
    if attrs.has(type(value)):
        names = [field.name for field in attrs.fields(type(value))]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(member) for key, member in value.items()}
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Iterable) and not isinstance(value, bytes | PurePath):
        return [plain(member) for member in value]
    return str(value)


def outline(value: object) -> str:
    """
    Return nested values as indented lines.

    Example:
        >>> print(outline({"service": {"name": "hello", "endpoints": ["a", "b"]}}))
        service:
          name: hello
          endpoints:
            - a
            - b
    """
    return "\n".join(_lines(plain(value)))


def _lines(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [line for pair in value.items() for line in _entry(f"{pair[0]}:", pair)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [line for one in value for line in _entry("-", ("", one))]
    return [_scalar(value)]


def _entry(head: str, pair: tuple[str, Any]) -> list[str]:
    value = pair[1]
    if not isinstance(value, Mapping | list):
        return [f"{head} {_scalar(value)}".rstrip()]
    if not value:
        return [f"{head} none"]
    return [head, *(_INDENT + line for line in _lines(value))]


def _scalar(value: Any) -> str:
    words = {None: "", True: "yes", False: "no"}
    is_word = value is None or isinstance(value, bool)
    return words[value] if is_word else str(value)
