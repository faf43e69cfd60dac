"""Ports that are an instance's own on this machine, also while it is started again."""

import random
import socket
import sys
from collections.abc import Collection, Iterator, Sequence

import attrs

from daeploy_lib.runtimes.process.records import HOST


@attrs.frozen
class Port:
    """
    A port of 127.0.0.1.

    Attributes:
        number: Which.
        hold: Whoever has it open has the port, whether or not anything listens there:
            no other runtime chooses it, of whatever directory or user. Linux only.
    """

    number: int
    hold: socket.socket


def own_port(ports: Sequence[int], taken: Collection[int]) -> Port | None:
    """
    Return a port that nobody has; None if there is none.

    Args:
        ports: To choose from.
        taken: Those that others have, also if they do not run now.
    """
    for number in _in_any_order(ports):
        hold = None if number in taken else _hold(number)
        if hold is None:
            continue
        if _is_free(number):
            return Port(number, hold)
        hold.close()
    return None


def _in_any_order(ports: Sequence[int]) -> Iterator[int]:
    first = random.randrange(len(ports))  # noqa: S311 - to spread, not to hide
    yield from ports[first:]
    yield from ports[:first]


def _hold(number: int) -> socket.socket | None:
    """Take a name that the kernel gives once, and back when its holders have ended."""
    hold = socket.socket(socket.AF_UNIX)
    try:
        if sys.platform == "linux":
            # An abstract one (unix(7)): of the network namespace, as ports are.
            hold.bind(f"\0daeploy-port-{number}")
    except OSError:
        hold.close()
        return None
    return hold


def _is_free(number: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except OSError:
            return False
    return True
