"""
Header rules, both ways.

Everything is taken off first and ours is put on afterwards, so that nothing a
peer lists in ``Connection`` can take away what we add (CVE-2022-31813).
Order and repeated names survive.
"""

from collections.abc import Collection, Sequence

import attrs

from daeploy_lib.router.framing import BODYLESS_STATUS, Header

# RFC 9110, section 7.6.1, with the older names. "te" and "transfer-encoding"
# are looked at where they are dropped.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-authentication-info",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)

# Said about the client by whoever stands before us; believed from trusted
# peers only (RFC 7239, section 8.1).
FORWARDED = frozenset(
    {
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-real-ip",
    }
)

OWN_PREFIX = b"x-daeploy-"

# What a Connection field may name without effect: these are end to end.
_PROTECTED = FORWARDED | {
    b"host",
    b"authorization",
    b"cookie",
    b"content-length",
    b"content-type",
    b"content-encoding",
    b"set-cookie",
    b"via",
}

NOT_FOR_CLIENTS = HOP_BY_HOP | {b"alt-svc"}


def hop_by_hop(headers: Sequence[Header]) -> frozenset[bytes]:
    """
    Return the names that concern this connection only.

    Every ``connection`` line counts, also after an empty first one.

    Example:
        >>> b"x-hop" in hop_by_hop([(b"connection", b""), (b"connection", b"X-Hop")])
        True
    """
    named: set[bytes] = set()
    for name, value in headers:
        if name == b"connection":
            named.update(token.strip(b" \t").lower() for token in value.split(b","))
    named.difference_update(_PROTECTED)
    return HOP_BY_HOP.union(named) if named else HOP_BY_HOP


@attrs.frozen
class Peer:
    """
    Who sent a request, and through which door.

    Attributes:
        address: Without port; "" if not known (a Unix socket).
        scheme: ``http`` or ``https``.
        port: That the client connected to; None if not known.
        is_trusted: Whether its forwarding fields are believed.
    """

    address: str
    scheme: str
    port: int | None
    is_trusted: bool = False


def for_version(
    headers: Sequence[Header],
    *,
    peer: Peer,
    host: bytes,
    prefix: bytes,
    via: bytes,
    is_chunked: bool,
    http_version: str = "1.1",
) -> list[Header]:
    """
    Return the request headers that every version gets.

    Args:
        headers: Pairs of bytes, names lower-case; not changed.
        peer: Who sent them.
        host: The one Host, which goes on as it is.
        prefix: Mount and segment, as the client sees them.
        via: Our own Via element.
        is_chunked: Whether the body goes out in chunks.
        http_version: Of the request; HTTP/2 splits cookies (RFC 9113, 8.2.3).

    Returns:
        End-to-end headers in their order, one Content-Length at most, then the
        forwarding fields and ours.

    Source:
        RFC 9110, sections 7.6.1 and 7.6.3; RFC 7239, section 8.1.
    """
    hops = hop_by_hop(headers)
    kept: list[Header] = []
    claimed: dict[bytes, list[bytes]] = {}
    has_length = False
    for name, value in headers:
        # "x_forwarded_for" becomes the same CGI variable as the real name.
        plain = name.replace(b"_", b"-") if b"_" in name else name
        if plain in FORWARDED:
            if plain is name:
                claimed.setdefault(name, []).append(value)
        elif name in hops:
            kept.extend(_rewritten(name, value, is_chunked=is_chunked))
        elif name == b"content-length":
            if not has_length:
                kept.append((name, value.strip(b" \t")))
            has_length = True
        elif name != b"expect" and not plain.startswith(OWN_PREFIX):
            kept.append((name, value))
    if not http_version.startswith("1"):
        kept = _join_cookies(kept)
        if is_chunked:
            kept.append((b"transfer-encoding", b"chunked"))
    kept.extend(forwarding(claimed if peer.is_trusted else {}, peer, host, prefix))
    kept.append((b"via", via))
    return kept


def without(headers: Sequence[Header], names: Collection[bytes]) -> list[Header]:
    """Return the headers less those that are withheld."""
    return [header for header in headers if header[0] not in names]


def for_client(headers: Sequence[Header], *, status: int) -> list[Header]:
    """
    Return main's headers as the client gets them.

    Args:
        headers: Pairs of bytes, names lower-case; not changed.
        status: Of the answer. 204 has no length (RFC 9110, section 8.6), and
            304 loses its own: uvicorn would wait for the body it announces.
    """
    if status not in BODYLESS_STATUS and NOT_FOR_CLIENTS.isdisjoint(dict(headers)):
        return list(headers)
    hops = hop_by_hop(headers)
    dropped = NOT_FOR_CLIENTS if hops is HOP_BY_HOP else hops | NOT_FOR_CLIENTS
    if status in BODYLESS_STATUS:
        dropped = dropped | {b"content-length"}
    return [header for header in headers if header[0] not in dropped]


def block(headers: Sequence[Header]) -> bytes:
    r"""
    Return the headers as they go over the wire, without the empty line.

    Example:
        >>> block([(b"a", b"1"), (b"b", b"")])
        b'a: 1\r\nb: \r\n'
    """
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def _rewritten(name: bytes, value: bytes, *, is_chunked: bool) -> tuple[Header, ...]:
    """Return what replaces a hop-by-hop field, mostly nothing."""
    if name == b"transfer-encoding" and is_chunked:
        return ((name, b"chunked"),)
    if name == b"te" and b"trailers" in _tokens(value):
        return ((name, b"trailers"),)
    return ()


def _tokens(value: bytes) -> list[bytes]:
    return [token.partition(b";")[0].strip().lower() for token in value.split(b",")]


def _join_cookies(headers: list[Header]) -> list[Header]:
    crumbs = [value for name, value in headers if name == b"cookie"]
    if len(crumbs) < 2:  # noqa: PLR2004 - nothing to join
        return headers
    first = next(i for i, header in enumerate(headers) if header[0] == b"cookie")
    rest = without(headers, (b"cookie",))
    return [*rest[:first], (b"cookie", b"; ".join(crumbs)), *rest[first:]]


def forwarding(
    claimed: dict[bytes, list[bytes]], peer: Peer, host: bytes, prefix: bytes
) -> list[Header]:
    """
    Return the forwarding fields.

    Args:
        claimed: Those of a trusted peer, by name.
        peer: Who sent the request.
        host: Value of its Host.
        prefix: Mount and segment, as the client sees them.
    """
    address = peer.address.encode("ascii", "replace")
    fields: list[Header] = []
    chain = claimed.get(b"x-forwarded-for", [])
    if address:
        chain = [*chain, address]
    if chain:
        fields.append((b"x-forwarded-for", b", ".join(chain)))
    fields.append(
        (b"x-forwarded-host", _one(claimed, b"x-forwarded-host", host)),
    )
    scheme = peer.scheme.encode("ascii", "replace")
    fields.append((b"x-forwarded-proto", _one(claimed, b"x-forwarded-proto", scheme)))
    port = b"" if peer.port is None else b"%d" % peer.port
    port = _one(claimed, b"x-forwarded-port", port)
    if port:
        fields.append((b"x-forwarded-port", port))
    before = _one(claimed, b"x-forwarded-prefix", b"").rstrip(b"/")
    fields.append((b"x-forwarded-prefix", before + prefix))
    real = _one(claimed, b"x-real-ip", address)
    if real:
        fields.append((b"x-real-ip", real))
    if b"forwarded" in claimed:
        quoted = b'"[%b]"' % address if b":" in address else address or b"unknown"
        elements = [*claimed[b"forwarded"], b"for=" + quoted]
        fields.append((b"forwarded", b", ".join(elements)))
    return fields


def _one(claimed: dict[bytes, list[bytes]], name: bytes, otherwise: bytes) -> bytes:
    values = claimed.get(name)
    return values[0] if values else otherwise
