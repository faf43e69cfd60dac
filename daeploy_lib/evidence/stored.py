"""What was written and read back is looked at before it is believed."""

from collections.abc import Mapping, Sequence
from typing import Any

# A count that no service reaches; adding a few of them still fits everywhere.
_MAX_COUNT = 2**60
# Numbers are squared and summed; beyond it a double is full.
_MAX_NUMBER = 1e250


def member(data: object, name: str) -> Any:
    """
    Return a member of what should be a mapping.

    Raises:
        ValueError: If it is no mapping, or has no such member.
    """
    if not isinstance(data, Mapping) or name not in data:
        raise ValueError(f"Damaged evidence: there is no {name!r}.")
    return data[name]


def count(value: object, name: str) -> int:
    """
    Return a count: a whole number, not negative.

    Raises:
        ValueError: If it is none.
    """
    if type(value) is not int or not 0 <= value <= _MAX_COUNT:
        raise ValueError(f"Damaged evidence: {name!r} is no count.")
    return value


def number(value: object, name: str) -> float:
    """
    Return a finite number.

    Raises:
        ValueError: If it is none.
    """
    if type(value) not in (int, float) or not abs(value) <= _MAX_NUMBER:  # type: ignore[arg-type]
        raise ValueError(f"Damaged evidence: {name!r} is no finite number.")
    return float(value)  # type: ignore[arg-type]


def text(value: object, name: str) -> str:
    """
    Return a string.

    Raises:
        ValueError: If it is none.
    """
    if not isinstance(value, str):
        raise ValueError(f"Damaged evidence: {name!r} is no text.")  # noqa: TRY004
    return value


def rows(value: object, width: int, name: str) -> list[Sequence[Any]]:
    """
    Return a list of lists of one length.

    Raises:
        ValueError: If it is none.
    """
    is_list = isinstance(value, list | tuple)
    if not is_list or not all(
        isinstance(row, list | tuple) and len(row) == width
        for row in value  # type: ignore[attr-defined]
    ):
        raise ValueError(f"Damaged evidence: {name!r} is no list of {width}s.")
    return list(value)  # type: ignore[call-overload,no-any-return]
