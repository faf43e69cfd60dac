"""Where the versions of one service answer, and which of them is main."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import attrs

from daeploy_lib.domain.names import check_version
from daeploy_lib.domain.pickling import reduced


def _frozen_addresses(addresses: Mapping[str, str]) -> Mapping[str, str]:
    if not isinstance(addresses, Mapping):
        raise TypeError(
            f"addresses must be a mapping from versions to addresses, "
            f"not {type(addresses).__name__}."
        )
    return MappingProxyType(dict(addresses))


@attrs.frozen
class Route:
    """
    Addresses of one service, without a Deployer.

    Args:
        addresses: Base address of each version, by version, in order of
            deployment. ``http://host:port``, with an optional path that goes
            before every request's own.
        main: The version whose answers the client gets; None if none does.
        eras: By version, what changes when it is deployed anew, or when main is
            another one for a time, though its address is the same. Only a registry
            knows; it makes no difference to two routes being equal.

    Raises:
        ValueError: If main is not among the addresses, or an address is not
            an absolute http or https address without query and fragment.

    Example:
        >>> Route({"1.0.0": "http://127.0.0.1:9001"}, main="1.0.0").shadows
        ()
    """

    addresses: Mapping[str, str] = attrs.field(converter=_frozen_addresses)
    main: str | None = attrs.field(default=None)
    eras: Mapping[str, object] = attrs.field(factory=dict, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        for version, address in self.addresses.items():
            check_version(version)
            _check_address(address)
        if self.main is not None and self.main not in self.addresses:
            known = ", ".join(self.addresses) or "none"
            raise ValueError(
                f"Main {self.main!r} has no address. Versions given: {known}."
            )

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return reduced(self)

    @property
    def shadows(self) -> tuple[str, ...]:
        """The versions that are not main, in order of deployment."""
        return tuple(v for v in self.addresses if v != self.main)


def _check_address(address: str) -> None:
    if not isinstance(address, str):
        raise TypeError(f"An address is a string, not {type(address).__name__}.")
    try:
        parts = urlsplit(address)
        is_usable = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and not any(mark in address for mark in "?#@\\")
            and address.isascii()
            and address.isprintable()
            and " " not in address
        )
    except ValueError:
        is_usable = False
    if not is_usable:
        # What stands before an "@" may be a password.
        shown = address.rpartition("@")[2]
        raise ValueError(
            f"Invalid address {shown!r}. Write http://host:port, without user, "
            f"query and fragment."
        )
