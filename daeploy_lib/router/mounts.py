"""
From an ASGI scope to the path below the mount, byte for byte.

Only ``raw_path`` is faithful: ``path`` has lost the difference between ``/``
and ``%2F``. But frameworks match their mounts on the decoded path, so that
``/%73ervices/x`` enters a mount at ``/services``; the prefix is therefore
stripped by walking the raw bytes, and what cannot be walked is refused.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from daeploy_lib.router.refusal import Refusal

# What a path may hold unencoded (RFC 3986, section 3.3) besides letters.
_PATH_SAFE = "/:@!$&'()*+,;=~-._"

# Controls, space and "#" never stand in a request target (RFC 9112, 3.2).
_NOT_IN_TARGET = re.compile(rb"[\x00-\x20\x7f#]")

# A segment as we name them, and a rest without anything that is looked at closer.
_PLAIN = re.compile(rb"/([0-9A-Za-z_+.\-]+)(/[!$&-~\"]*)?")

# A prefix is taken off and a base path put before: a dot segment could then
# name something outside of both, to whoever resolves it later.
_DOT_SEGMENT = re.compile(rb"/(?:\.|%2[eE]){1,2}(?:/|$)")
# An upstream below a base path may also take these for slashes.
_HIDDEN_DOT_SEGMENT = re.compile(
    rb"(?:/|\\|%2f|%5c)(?:\.|%2e){1,2}(?=/|\\|%2f|%5c|$)", re.IGNORECASE
)


class Location(NamedTuple):
    """
    A request's place below the mount.

    Attributes:
        mount: Prefix that the client sees before the segment; "" at the root.
        segment: The first path segment, decoded.
        rest: What follows it, raw, beginning with ``/``.
    """

    mount: str
    segment: str
    rest: bytes


def locate(scope: Mapping[str, Any]) -> Location:
    """
    Return where the request of an http or websocket scope points.

    Raises:
        Refusal: 400 if the path is not an absolute path, does not lie below the
            mount byte by byte, or has a ``.`` or ``..`` segment.

    Source:
        RFC 9112, section 3.2; RFC 3986, section 3.3; GHSA-2q7r-29rg-6m5h.

    Example:
        >>> locate({"path": "/s/hello/a", "raw_path": b"/s/hello/a", "root_path": "/s"})
        Location(mount='/s', segment='hello', rest=b'/a')
    """
    path: str = scope["path"]
    raw: bytes | None = scope.get("raw_path")
    root: str = scope.get("root_path", "").rstrip("/")
    if raw is not None and len(raw) == len(path) and raw.startswith(root.encode()):
        # All ASCII, nothing encoded, below the mount: most are.
        plain = _PLAIN.fullmatch(raw, len(root))
        if plain is not None and b"/." not in raw and path.startswith(root):
            segment, rest = plain.groups(b"/")
            return Location(root, segment.decode("ascii"), rest)
    if raw is None:
        raw = quote(path, safe=_PATH_SAFE).encode("ascii")
    if raw[:1] != b"/" or _NOT_IN_TARGET.search(raw):
        # Absolute-form and "*" too: never joined to a URL (RFC 9112, 3.2.2).
        raise Refusal(400, "The request target is not an absolute path.", is_final=True)
    below = raw
    if root or len(raw) != len(path):
        prefix = _prefix(scope, path, root, raw)
        below = _walk(raw, prefix)
        root = root or prefix.decode("utf-8", "replace")
    if (b"/." in below or b"/%" in below) and _DOT_SEGMENT.search(below):
        raise Refusal(400, "The path has a '.' or '..' segment.")
    segment, slash, rest = below[1:].partition(b"/")
    if b"%" in segment:
        segment = unquote_to_bytes(segment)
    return Location(root, segment.decode("ascii", "replace"), slash + rest or b"/")


def joined(base: bytes, rest: bytes) -> bytes:
    """
    Return the path to ask an upstream below *base* for.

    Raises:
        Refusal: 400 if the rest could climb out of the base path.

    Example:
        >>> joined(b"/api", b"/a%2Fb")
        b'/api/a%2Fb'
    """
    if not base:
        return rest
    if _HIDDEN_DOT_SEGMENT.search(rest):
        raise Refusal(400, "The path has an encoded '.' or '..' segment.")
    return base + rest


def _prefix(scope: Mapping[str, Any], path: str, root: str, raw: bytes) -> bytes:
    """Return the decoded prefix that stands before the path below the mount."""
    if root and _starts_with(path, root):
        return root.encode()
    # The application was given a root path that a proxy before it has already
    # taken off; only what was mounted since then is in the path.
    outer = scope.get("app_root_path", "").rstrip("/")
    if outer and root.startswith(outer) and _starts_with(path, root[len(outer) :]):
        return root[len(outer) :].encode()
    # Frameworks that strip the path as they mount leave raw_path whole.
    whole = unquote_to_bytes(raw)
    decoded = path.encode("utf-8", "surrogateescape")
    if whole != decoded and whole.endswith(decoded):
        return whole[: len(whole) - len(decoded)]
    return b""


def _starts_with(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("/", "")


def _walk(raw: bytes, prefix: bytes) -> bytes:
    """Take the decoded *prefix* off the raw path."""
    if raw.startswith(prefix):
        position = len(prefix)
    else:
        position = 0
        for byte in prefix:
            if raw[position : position + 1] == b"%":
                code, step = raw[position + 1 : position + 3], 3
                found = unquote_to_bytes(b"%" + code)
            else:
                found, step = raw[position : position + 1], 1
            if found != bytes((byte,)):
                raise Refusal(400, "The path does not lie below the mount.")
            position += step
    below = raw[position:]
    if below[:1] not in (b"/", b""):
        raise Refusal(400, "The path does not lie below the mount.")
    return below or b"/"
