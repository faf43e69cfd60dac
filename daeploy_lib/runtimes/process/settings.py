"""How a process runtime is set up, as one frozen value."""

import sys
from collections.abc import Iterable
from pathlib import Path

import attrs

# Beside those of the Docker runtime, under Linux's ephemeral range.
DEFAULT_PORTS = range(18000, 19000)
# Seconds; a first build downloads packages.
BUILD_TIMEOUT_S = 3600.0
_PORT_MAX = 65535


def _ports(value: Iterable[int]) -> tuple[int, ...]:
    ports = tuple(value)
    if not ports or not all(1 <= port <= _PORT_MAX for port in ports):
        raise ValueError("ports must be whole numbers from 1 to 65535, at least one.")
    return ports


@attrs.frozen
class Settings:
    """
    What ``ProcessRuntime`` was told.

    Attributes:
        python: The interpreter that virtual environments are made with.
        ports: Ports to choose from.
        build_timeout: Seconds that an installation may take in all.
        uses_uv: Whether to install with ``uv`` where it is found.
    """

    python: Path = attrs.field(default=Path(sys.executable), converter=Path)
    ports: tuple[int, ...] = attrs.field(default=tuple(DEFAULT_PORTS), converter=_ports)
    build_timeout: float = BUILD_TIMEOUT_S
    uses_uv: bool = True

    def __attrs_post_init__(self) -> None:
        if not self.build_timeout > 0:
            raise ValueError(
                f"build_timeout must be positive seconds, not {self.build_timeout!r}."
            )
