"""How a Docker runtime is set up, as one frozen value."""

from collections.abc import Iterable
from typing import Any

import attrs

from daeploy_lib.runtimes.docker.endpoint import is_loopback

# Under Linux's ephemeral range (32768 to 60999) and over what services take by
# habit: an ephemeral port changes hands at every restart.
DEFAULT_PORTS = range(17000, 18000)
# Engine's own default is 1024; a shadow gets an eighth of it, so that under
# contention main wins and a shadow still moves.
MAIN_SHARES = 1024
SHADOW_SHARES = 128
# Seconds; a first build downloads packages.
BUILD_TIMEOUT_S = 3600.0
REACHES = ("auto", "host", "network")
_SHARES_MIN, _SHARES_MAX = 2, 262144
_PORT_MAX = 65535


def _ports(value: Iterable[int]) -> tuple[int, ...]:
    return tuple(value)


def _check_ports(instance: object, attribute: Any, ports: tuple[int, ...]) -> None:
    del instance, attribute
    if not ports or not all(1 <= port <= _PORT_MAX for port in ports):
        raise ValueError("ports must be whole numbers from 1 to 65535, at least one.")


def _check_shares(instance: object, attribute: Any, shares: int) -> None:
    del instance
    if not _SHARES_MIN <= shares <= _SHARES_MAX:
        raise ValueError(f"{attribute.name} must be 2 to 262144, not {shares!r}.")


@attrs.frozen
class Settings:
    """
    What ``DockerRuntime`` was told.

    Attributes:
        ports: Ports of the host to choose from.
        bind: Address of the engine's host that ports are opened on.
        reach: ``host``: over a port of the host; ``network``: over the project's
            network, from inside a container; ``auto``: whichever applies.
        main_shares: CPU shares of main.
        shadow_shares: CPU shares of a shadow.
        build_timeout: Seconds that a build may take in all.
    """

    ports: tuple[int, ...] = attrs.field(
        default=tuple(DEFAULT_PORTS), converter=_ports, validator=_check_ports
    )
    bind: str = "127.0.0.1"
    reach: str = attrs.field(default="auto")
    main_shares: int = attrs.field(default=MAIN_SHARES, validator=_check_shares)
    shadow_shares: int = attrs.field(default=SHADOW_SHARES, validator=_check_shares)
    build_timeout: float = BUILD_TIMEOUT_S

    def __attrs_post_init__(self) -> None:
        if self.reach not in REACHES:
            raise ValueError(
                f"Invalid reach {self.reach!r}. Allowed: {', '.join(REACHES)}."
            )
        if not self.build_timeout > 0:
            raise ValueError(
                f"build_timeout must be positive seconds, not {self.build_timeout!r}."
            )

    @property
    def is_bound_to_loopback(self) -> bool:
        """Whether the host's ports can be reached from the host alone."""
        return is_loopback(self.bind)
