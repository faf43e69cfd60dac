"""The tables of services, changes of main and leftovers, as text and as HTML."""

import json
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import ClassVar, Self, TypeVar, overload

from tabulate import tabulate

from daeploy_lib.domain.service import Assignment, Leftover, Service, Status
from daeploy_lib.show.notebook_table import html_table

_T = TypeVar("_T")


class _Table(Sequence[_T]):
    """An immutable sequence that prints as a table, in a notebook as HTML."""

    __slots__ = ("_items",)
    _columns: ClassVar[Sequence[str]]

    def __init__(self, items: Iterable[_T] = ()) -> None:
        self._items = tuple(items)

    @staticmethod
    @abstractmethod
    def _row(item: _T) -> Sequence[str]:
        """Return the cells of one item."""

    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> _T | Self:
        if isinstance(index, slice):
            return type(self)(self._items[index])
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return self._items == other._items

    def __hash__(self) -> int:
        return hash(self._items)

    def __str__(self) -> str:
        # Versions such as "1.0" are names, not numbers to be aligned.
        rows = [self._row(item) for item in self._items]
        return tabulate(rows, headers=self._columns, disable_numparse=True)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return html_table(self._columns, [self._row(item) for item in self._items])


class Services(_Table[Service]):
    """
    An immutable sequence of services that prints as the table.

    Columns: MAIN (``*`` or empty), NAME, VERSION, STATUS, RUNNING; times are
    local. In a notebook it shows as an HTML table.

    Example:
        >>> print(Services([Service("default", "hello", "1.0.0")]))
        MAIN    NAME    VERSION    STATUS    RUNNING
        ------  ------  ---------  --------  ---------
                hello   1.0.0      unknown   Unknown
    """

    __slots__ = ()
    _columns = ("MAIN", "NAME", "VERSION", "STATUS", "RUNNING")

    @staticmethod
    def _row(item: Service) -> Sequence[str]:
        main = "*" if item.is_main else ""
        return main, item.name, item.version, item.status, _running(item)


class History(_Table[Assignment]):
    """
    The changes of a service's main, as an immutable sequence that prints as a table.

    Columns: AT (local), NAME, MAIN, BEFORE (empty for a first deployment), GATE
    (what it said; empty if none was asked).

    Example:
        >>> print(History())
        AT    NAME    MAIN    BEFORE    GATE
        ----  ------  ------  --------  ------
    """

    __slots__ = ()
    _columns = ("AT", "NAME", "MAIN", "BEFORE", "GATE")

    @staticmethod
    def _row(item: Assignment) -> Sequence[str]:
        before = item.previous or ""
        return _time(item.at), item.name, item.version, before, _gate(item)


class Leftovers(_Table[Leftover]):
    """
    What no version needs any more, as an immutable sequence that prints as a table.

    Columns: KIND, NAME, REASON. Equal to a list of the same leftovers.

    Example:
        >>> print(Leftovers([Leftover("image", "1", "hello:1.0.0", "not registered")]))
        KIND    NAME         REASON
        ------  -----------  --------------
        image   hello:1.0.0  not registered
        >>> Leftovers() == []
        True
    """

    __slots__ = ()
    _columns = ("KIND", "NAME", "REASON")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, list):
            return [*self] == other
        return super().__eq__(other)

    # Python drops it where equality is defined anew.
    __hash__ = _Table.__hash__

    @staticmethod
    def _row(item: Leftover) -> Sequence[str]:
        return item.kind, item.name, item.reason


def _gate(change: Assignment) -> str:
    if change.verdict is None:
        return ""
    try:
        verdict = json.loads(change.verdict)
        said = str(verdict["result"])
    except (ValueError, TypeError, KeyError):
        # A newer version of this library wrote it, or another hand.
        return "?"
    if "rolled_back" in verdict:
        return f"{said}, rolled back"
    return f"{said}, forced" if change.forced else said


def _running(service: Service) -> str:
    word = service.status.capitalize()
    since = (
        service.created_at if service.status is Status.deploying else service.started_at
    )
    if service.status not in (Status.running, Status.deploying) or since is None:
        return word
    return f"{word} (since {_time(since)})"


def _time(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"
