"""What to run: the frozen values a version is deployed with."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import attrs

from daeploy_lib.domain.names import check_name, check_version
from daeploy_lib.domain.pickling import reduced

_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_MEMORY = re.compile(r"(\d{1,19})([bkmg]?)b?", re.ASCII | re.IGNORECASE)
_ENVIRONMENT_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?")
_CAPABILITY = re.compile(r"[A-Z][A-Z0-9_]*")

# Docker refuses less than 6 MiB.
MEMORY_MIN = 6 * 1024**2
# What the engine's API can carry: a signed 64-bit integer.
MEMORY_MAX = 2**63 - 1


def memory_bytes(value: int | str) -> int:
    """
    Return an amount of memory in bytes.

    Args:
        value: Bytes, or a number with a unit: ``"512m"``, ``"2g"``.

    Raises:
        ValueError: If it is not such an amount, under 6 MiB, or 8 EiB or more.

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
    if not MEMORY_MIN <= amount <= MEMORY_MAX:
        raise ValueError(
            f"Invalid memory {value!r}. Allowed: bytes, or text such as '512m' or "
            f"'2g', at least 6 MiB and less than 8 EiB."
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


def _yes_or_no(instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    del instance
    if not isinstance(value, bool):
        raise TypeError(f"{attribute.name} must be True or False, not {value!r}.")


def _user(instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    del instance, attribute
    if value is not None and not isinstance(value, str):
        raise TypeError(f"user must be text such as '1000:1000', not {value!r}.")
    if value is not None and not _USER.fullmatch(value):
        raise ValueError(
            f"Invalid user {value!r}. Allowed: 'uid', 'uid:gid', or names for them."
        )


def _capabilities(names: Iterable[Any]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise TypeError("capabilities is a sequence of names, not one string.")
    values = tuple(names)
    for name in values:
        if not isinstance(name, str) or not _CAPABILITY.fullmatch(name):
            raise ValueError(
                f"Invalid capability {name!r}. Allowed: names such as 'NET_RAW'."
            )
    return values


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

    read_only_root: bool | None = attrs.field(
        default=None, validator=attrs.validators.optional(_yes_or_no)
    )
    user: str | None = attrs.field(default=None, validator=_user)
    capabilities: tuple[str, ...] = attrs.field(default=(), converter=_capabilities)
    no_new_privileges: bool = attrs.field(default=True, validator=_yes_or_no)
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
        if not isinstance(self.path, str):
            raise TypeError(f"The readiness path must be text, not {self.path!r}.")
        if not re.fullmatch(r"/[!-~]*", self.path) or "#" in self.path:
            raise ValueError(
                f"Invalid readiness path {self.path!r}. It begins with '/' and is "
                f"ASCII without spaces and '#'."
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
    read_only: bool = attrs.field(default=True, validator=_yes_or_no)

    def __attrs_post_init__(self) -> None:
        for what, path in (("source", self.source), ("target", self.target)):
            is_absolute = PurePosixPath(path).is_absolute()
            if not is_absolute or ".." in path.split("/") or "\0" in path:
                raise ValueError(
                    f"Mount {what} must be an absolute path without '..', not {path!r}."
                )
        if not self.target.strip("/"):
            raise ValueError("Mount target must be a directory below '/'.")


def _mounts(mounts: Iterable[Any]) -> tuple[Mount, ...]:
    values = tuple(mounts)
    if not all(isinstance(mount, Mount) for mount in values):
        raise TypeError(f"mounts must be Mount(...) values, not {values!r}.")
    return values


def _frozen_environment(environment: Mapping[Any, Any] | None) -> Mapping[str, str]:
    if environment is not None and not isinstance(environment, Mapping):
        raise TypeError(
            f"environment must be a mapping from names to text, "
            f"not {type(environment).__name__}."
        )
    values = dict(environment or {})
    for key, value in values.items():
        if not isinstance(key, str):
            raise TypeError(
                f"An environment name must be a string, not {type(key).__name__}."
            )
        if not _ENVIRONMENT_KEY.fullmatch(key):
            # Behind a "=" there may be a secret.
            raise ValueError(
                f"Invalid environment name {key.partition('=')[0]!r}. Allowed: "
                f"letters, digits, '_', '.' and '-', beginning with a letter or '_'."
            )
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
    # The words themselves stay out of the message: one may be a secret.
    if not words or not all(isinstance(w, str) and "\0" not in w for w in words):
        raise ValueError(
            "Invalid command. Allowed: at least one word, each of text without NUL."
        )
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

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return reduced(self)
