"""What to run: the frozen values a version is deployed with."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import attrs

from daeploy_lib.domain.names import check_name, check_version

_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_MEMORY = re.compile(r"(\d+)([bkmg]?)b?", re.ASCII | re.IGNORECASE)
_ENVIRONMENT_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)

# Docker refuses less than 6 MiB.
MEMORY_MIN = 6 * 1024**2


def memory_bytes(value: int | str) -> int:
    """
    Return an amount of memory in bytes.

    Args:
        value: Bytes, or a number with a unit: ``"512m"``, ``"2g"``.

    Raises:
        ValueError: If it is not such an amount, or under 6 MiB.

    Example:
        >>> memory_bytes("512m")
        536870912
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(
            f"Memory is bytes or text such as '512m', not {type(value).__name__}."
        )
    match = _MEMORY.fullmatch(str(value).strip())
    amount = int(match[1]) * _UNITS[match[2].lower()] if match else 0
    if amount < MEMORY_MIN:
        raise ValueError(
            f"Invalid memory {value!r}. Allowed: bytes, or text such as '512m' or "
            f"'2g', at least 6 MiB."
        )
    return amount


def _positive(instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    del instance
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{attribute.name} must be a number, not {value!r}.")
    # "not >" also refuses NaN.
    if not value > 0 or value == float("inf"):
        raise ValueError(f"{attribute.name} must be positive, not {value!r}.")


@attrs.frozen
class Resources:
    """
    What a version may use.

    Args:
        memory: Limit in bytes, or as ``"512m"``; swap is not added to it.
        cpus: Limit in processors; ``1.5`` is one and a half.
        pids: Limit of processes and threads together.
        gpus: How many GPUs, or ``"all"``; none by default.

    Example:
        >>> Resources(memory="1g").memory
        1073741824
    """

    memory: int = attrs.field(default=512 * 1024**2, converter=memory_bytes)
    cpus: float = attrs.field(default=1.0, validator=_positive)
    pids: int = attrs.field(default=256, validator=_positive)
    gpus: int | str = attrs.field(default=0)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.pids, int):
            raise TypeError(f"pids must be a whole number, not {self.pids!r}.")
        is_count = isinstance(self.gpus, int) and not isinstance(self.gpus, bool)
        if not ((is_count and int(self.gpus) >= 0) or self.gpus == "all"):
            raise ValueError(f"gpus must be a count or 'all', not {self.gpus!r}.")


def _capabilities(names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise TypeError("capabilities is a sequence of names, not one string.")
    return tuple(names)


@attrs.frozen
class Hardening:
    """
    What a version may not do. Every relaxation is one of these arguments.

    Args:
        read_only_root: The root file system cannot be written; ``/tmp`` is a
            small tmpfs. None: yes for images that we build, no for others.
        user: ``"uid:gid"`` to run as. None: a user without rights for images
            that we build, the image's own for others.
        capabilities: Linux capabilities to keep; by default none is.
        no_new_privileges: Programs cannot gain rights by setuid.
        tmpfs_size: Size of ``/tmp`` in bytes, or as ``"64m"``.

    Source:
        CIS Docker Benchmark 1.6, sections 4.1, 5.4, 5.13 and 5.26.
    """

    read_only_root: bool | None = None
    user: str | None = None
    capabilities: tuple[str, ...] = attrs.field(default=(), converter=_capabilities)
    no_new_privileges: bool = True
    tmpfs_size: int = attrs.field(default=64 * 1024**2, converter=memory_bytes)


@attrs.frozen
class Readiness:
    """
    When a version counts as ready: any HTTP answer below 500 on a path.

    Args:
        path: Path to ask, beginning with ``/``.
        timeout: Seconds until a version that never answers has failed.
        interval: Seconds between the first probes; later ones are rarer.

    Example:
        >>> Readiness("/health").timeout
        60.0
    """

    path: str = "/"
    timeout: float = attrs.field(default=60.0, validator=_positive)
    interval: float = attrs.field(default=0.1, validator=_positive)

    def __attrs_post_init__(self) -> None:
        if not re.fullmatch(r"/[!-~]*", self.path) or "#" in self.path:
            raise ValueError(
                f"Invalid readiness path {self.path!r}. It begins with '/' and is "
                f"ASCII without spaces."
            )


@attrs.frozen
class Mount:
    """
    A host path that a version is given on purpose.

    Args:
        source: Absolute path on the engine's host.
        target: Absolute path inside the version.
        read_only: Whether the version may only read it.
    """

    source: str = attrs.field(converter=str)
    target: str = attrs.field(converter=str)
    read_only: bool = True

    def __attrs_post_init__(self) -> None:
        for what, path in (("source", self.source), ("target", self.target)):
            if not PurePosixPath(path).is_absolute() or ".." in path.split("/"):
                raise ValueError(f"Mount {what} must be an absolute path: {path!r}.")


def _mounts(mounts: Iterable[Any]) -> tuple[Mount, ...]:
    values = tuple(mounts)
    if not all(isinstance(mount, Mount) for mount in values):
        raise TypeError(f"mounts must be Mount(...) values, not {values!r}.")
    return values


def _frozen_environment(environment: Mapping[Any, Any] | None) -> Mapping[str, str]:
    values = dict(environment or {})
    for key, value in values.items():
        if not isinstance(key, str) or not _ENVIRONMENT_KEY.fullmatch(key):
            raise ValueError(f"Invalid environment name {key!r}.")
        if not isinstance(value, str):
            raise TypeError(
                f"The environment value of {key} must be a string, "
                f"not {type(value).__name__}."
            )
        if "\0" in value:
            raise ValueError(f"The environment value of {key} has a NUL character.")
    return MappingProxyType(values)


def _names_only(environment: Mapping[str, str]) -> str:
    return repr(sorted(environment))


def _command(command: Sequence[Any] | None) -> tuple[str, ...] | None:
    if command is None:
        return None
    if isinstance(command, str):
        raise TypeError("command is a sequence of words, not one string.")
    words = tuple(command)
    if not words or not all(isinstance(w, str) and "\0" not in w for w in words):
        raise ValueError(f"Invalid command {words!r}: give at least one word of text.")
    return words


@attrs.frozen
class Spec:
    """
    One version of a service as it shall run.

    Environment values never appear in its ``repr``.
    """

    project: str
    name: str
    version: str
    port: int = 8000
    environment: Mapping[str, str] = attrs.field(
        factory=dict, converter=_frozen_environment, repr=_names_only
    )
    command: tuple[str, ...] | None = attrs.field(default=None, converter=_command)
    mounts: tuple[Mount, ...] = attrs.field(default=(), converter=_mounts)
    resources: Resources = Resources()
    hardening: Hardening = Hardening()
    readiness: Readiness = Readiness()

    def __attrs_post_init__(self) -> None:
        check_name(self.project, "project")
        check_name(self.name)
        check_version(self.version)
        if isinstance(self.port, bool) or not isinstance(self.port, int):
            raise TypeError(f"The port must be a whole number, not {self.port!r}.")
        if not 1 <= self.port <= 65535:  # noqa: PLR2004 - TCP's own range
            raise ValueError(f"Invalid port {self.port}. Allowed: 1 to 65535.")
        for value, kind, what in (
            (self.resources, Resources, "resources"),
            (self.hardening, Hardening, "hardening"),
            (self.readiness, Readiness, "readiness"),
        ):
            if not isinstance(value, kind):
                raise TypeError(f"{what} must be {kind.__name__}(...), not {value!r}.")
