"""
Groups of statuses that count as equal.

    >>> equal_groups(status_groups([(200, 201), "5xx"]))[1] == set(range(500, 600))
    True
"""

import re
from collections.abc import Iterable

StatusGroup = tuple[int | str, ...]

_CLASS = re.compile("[1-5]xx")
_HUNDRED = 100


def status_groups(value: object) -> tuple[StatusGroup, ...]:
    """
    Return groups of statuses as tuples of numbers and classes.

    Raises:
        TypeError: If they are no collection of groups.
        ValueError: If one is no status.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(
            f"equal_statuses is a collection of groups such as [(200, 201), '5xx'], "
            f"not {value!r}."
        )
    return tuple(_group(group) for group in value)


def _group(value: object) -> StatusGroup:
    if isinstance(value, str):
        value = (value,)
    if isinstance(value, bytes) or not isinstance(value, Iterable):
        raise TypeError(
            f"A group of statuses is '5xx' or a collection such as (200, 201), "
            f"not {value!r}."
        )
    group = tuple(value)
    for status in group:
        is_number = isinstance(status, int) and not isinstance(status, bool)
        if not isinstance(status, str) and not is_number:
            raise TypeError(f"A status is a number or '2xx', not {status!r}.")
        is_status = is_number and _HUNDRED <= status < 6 * _HUNDRED
        if not is_status and not (isinstance(status, str) and _CLASS.fullmatch(status)):
            raise ValueError(
                f"Invalid status {status!r}. Write 100 to 599, or a class: '2xx'."
            )
    return group


def equal_groups(groups: Iterable[StatusGroup]) -> tuple[frozenset[int], ...]:
    """Return groups as sets of numbers."""
    return tuple(
        frozenset(status for entry in group for status in _statuses(entry))
        for group in groups
    )


def _statuses(entry: int | str) -> Iterable[int]:
    if isinstance(entry, int):
        return (entry,)
    first = int(entry[0]) * _HUNDRED
    return range(first, first + _HUNDRED)
