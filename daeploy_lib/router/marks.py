"""
The mark of a copy: who may say "this request is a copy already".

A shadow's own calls through a router must not be copied again, or every copy
would breed more. The mark is keyed, so a client can neither forge it to hide
from the shadows nor be believed when it sends our header names.
"""

import hashlib
import hmac
import random
import secrets
from collections.abc import Sequence

from daeploy_lib.router.framing import Header

ROLE = b"x-daeploy-role"
VERSION = b"x-daeploy-version"
EXCHANGE = b"x-daeploy-exchange"

_ID_BITS = 64
_MAC_BYTES = 16
_VALUE_LENGTH = _ID_BITS // 4 + 2 * _MAC_BYTES + 1


class Marks:
    """
    Writes and recognises marks.

    Args:
        key: Shared by the routers that shall recognise one another's copies;
            None for a key of this one alone.

    Example:
        >>> marks = Marks(b"key")
        >>> marks.find([(b"x-daeploy-exchange", marks.new())]) is not None
        True
    """

    def __init__(self, key: bytes | None = None) -> None:
        hashed = hashlib.blake2s(key or secrets.token_bytes(32)).digest()
        self._keyed = hashlib.blake2s(key=hashed, digest_size=_MAC_BYTES)
        # Names this router in Via fields; unique, for two routers with one key
        # may well stand behind one another without being a loop.
        self.via_name = b"daeploy-" + secrets.token_hex(4).encode()
        self.via = b"1.1 " + self.via_name

    def new(self) -> bytes:
        """Return a new exchange id with its mark: ``<id>.<mark>``, hexadecimal."""
        # An id need only be unique: the system's own randomness costs a system
        # call, and it is the mark that cannot be guessed.
        exchange = b"%016x" % random.getrandbits(_ID_BITS)
        return exchange + b"." + self._mac(exchange)

    def find(self, headers: Sequence[Header]) -> bytes | None:
        """Return the valid mark among the request headers, if there is one."""
        for name, value in headers:
            if name == EXCHANGE and len(value) == _VALUE_LENGTH:
                exchange, _, mac = value.partition(b".")
                if hmac.compare_digest(mac, self._mac(exchange)):
                    return value
        return None

    def is_loop(self, headers: Sequence[Header]) -> bool:
        """Return whether the request has passed this router before."""
        return any(name == b"via" and self.via_name in value for name, value in headers)

    def _mac(self, exchange: bytes) -> bytes:
        # The key has been hashed once; what is copied has it behind itself.
        keyed = self._keyed.copy()
        keyed.update(exchange)
        return keyed.hexdigest().encode()


def copy_lines(mark: bytes, version: str) -> bytes:
    """Return the header lines that tell a shadow that it is one."""
    return b"%b: shadow\r\n%b: %b\r\n%b: %b\r\n" % (
        *(ROLE, VERSION, version.encode("ascii")),
        *(EXCHANGE, mark),
    )


def passed_on(mark: bytes) -> bytes:
    """Return the header lines that a call made by a shadow carries on."""
    return b"%b: shadow\r\n%b: %b\r\n" % (ROLE, EXCHANGE, mark)
