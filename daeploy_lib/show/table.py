"""The table of services, as text and as HTML."""

import html
from collections.abc import Iterable, Sequence
from typing import overload

from tabulate import tabulate

from daeploy_lib.domain.service import Service, Status

COLUMNS = ("MAIN", "NAME", "VERSION", "STATUS", "RUNNING")


class Services(Sequence[Service]):
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

    __slots__ = ("_services",)

    def __init__(self, services: Iterable[Service] = ()) -> None:
        self._services = tuple(services)

    @overload
    def __getitem__(self, index: int) -> Service: ...
    @overload
    def __getitem__(self, index: slice) -> "Services": ...
    def __getitem__(self, index: int | slice) -> "Service | Services":
        if isinstance(index, slice):
            return Services(self._services[index])
        return self._services[index]

    def __len__(self) -> int:
        return len(self._services)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Services):
            return NotImplemented
        return self._services == other._services

    def __hash__(self) -> int:
        return hash(self._services)

    def __str__(self) -> str:
        # Versions such as "1.0" are names, not numbers to be aligned.
        rows = [_row(service) for service in self._services]
        return tabulate(rows, headers=COLUMNS, disable_numparse=True)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        rows = [_row(service) for service in self._services]
        head = "".join(f"<th>{column}</th>" for column in COLUMNS)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _row(service: Service) -> tuple[str, str, str, str, str]:
    main = "*" if service.is_main else ""
    return main, service.name, service.version, service.status, _running(service)


def _running(service: Service) -> str:
    word = service.status.capitalize()
    since = (
        service.created_at if service.status is Status.deploying else service.started_at
    )
    if service.status not in (Status.running, Status.deploying) or since is None:
        return word
    return f"{word} (since {since.astimezone():%Y-%m-%d %H:%M:%S})"
