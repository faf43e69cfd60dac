"""Which peers are believed about the client before them."""

import ipaddress
from collections.abc import Iterable

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_REMEMBERED = 1024


class TrustedPeers:
    """
    A list of networks, empty by default.

    Args:
        networks: In CIDR notation, or single addresses.

    Raises:
        ValueError: If one is neither.
        TypeError: If it is one string instead of a collection.

    Example:
        >>> TrustedPeers(["10.0.0.0/8"]).trusts("10.1.2.3")
        True
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        if isinstance(networks, str):
            raise TypeError(f"trusted_proxies is a collection, not {networks!r}.")
        try:
            self._networks: tuple[_Network, ...] = tuple(
                ipaddress.ip_network(network) for network in networks
            )
        except ValueError as error:
            raise ValueError(
                f"Invalid trusted_proxies: {error}. Write networks such as "
                f"'10.0.0.0/8', or addresses."
            ) from error
        self._known: dict[str, bool] = {}

    def trusts(self, address: str) -> bool:
        """Return whether the peer with this address is believed."""
        if not self._networks:
            return False
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[address] = self._looks_up(address)
        return known

    def _looks_up(self, address: str) -> bool:
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(peer, "ipv4_mapped", None)
        return any((mapped or peer) in network for network in self._networks)
