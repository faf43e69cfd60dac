"""
What of a kept request can be sent again, and the shell command that does it.

What is kept came from a client, and has been in a file: nothing of it is taken for
more than it is, by HTTP, a shell or curl. A line break in a header would be another
header, a quote the end of a word, and ``@`` before a body the name of a file.
"""

import re
import shlex
from collections.abc import Iterable
from typing import Protocol
from urllib.parse import quote

import attrs

from daeploy_lib.compare.secret_names import REDACTED
from daeploy_lib.evidence.redaction import Body

MAX_TARGET = 2048
"""Characters of path and of query that are kept."""

AS_SHADOW = ("x-daeploy-role", "shadow")
"""Tells a service to mute its side effects: nobody waits for this answer either."""

# Of the connection, of the way here, or said by the client itself: RFC 9110, 7.6.
NOT_REPEATED = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "te"}
    | {"trailer", "upgrade", "expect", "proxy-connection", "via", AS_SHADOW[0]}
)

# RFC 9110, sections 5.6.2 and 5.5; CONNECT is for proxies.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_TARGET = re.compile(r"/[!-~\x80-\xff]*")
# Curl would read, or leave out, what a URL may not have; ours stays as it is.
_URL_SAFE = "".join(map(chr, range(0x21, 0x7F)))
_WITH_CONTENT = ("POST", "PUT", "PATCH")


class Kept(Protocol):
    """A request, as far as it was kept; names and texts as in ``Example``."""

    @property
    def method(self) -> str:
        """Of the request."""

    @property
    def path(self) -> str:
        """Raw bytes as latin-1."""

    @property
    def query(self) -> str:
        """Without the values that are secrets."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Without those that are secrets."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Names of headers that are not kept."""

    @property
    def body(self) -> Body:
        """Of the request."""


@attrs.frozen
class Repeated:
    """
    What can be sent again; all of it is what HTTP allows.

    Attributes:
        method: A token.
        target: Path and query, raw bytes as latin-1.
        headers: Names and values, those of the connection left out.
        left_out: Names of headers that are not sent, though they came.
        problems: Why it is not the request that came; none if it is.
        body: Bytes to send; None if they are not known.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...]
    problems: tuple[str, ...]
    body: bytes | None


def repeated(kept: Kept) -> Repeated:
    """
    Return what can be sent again.

    Raises:
        ValueError: If method or target are none that HTTP has.
    """
    if not _TOKEN.fullmatch(kept.method) or kept.method == "CONNECT":
        raise ValueError("The method that was kept is none that can be sent.")
    target = kept.path + (f"?{kept.query}" if kept.query else "")
    if not _TARGET.fullmatch(target) or "#" in target:
        raise ValueError("The path or query that was kept cannot be sent.")
    headers, left_out = [], [*kept.left_out]
    for name, value in kept.headers:
        if name.lower() in NOT_REPEATED:
            continue
        if _is_field(name, value) and REDACTED not in value:
            headers.append((name, value))
        else:
            left_out.append(name)
    body = _content(kept.body)
    problems = []
    if REDACTED in target:
        problems.append("the path or the query is redacted")
    if max(len(kept.path), len(kept.query)) >= MAX_TARGET:
        problems.append("the path or the query is cut")
    if kept.body.is_redacted:
        problems.append("the body is redacted")
    elif body is None:
        problems.append(f"the body of {kept.body.length} bytes is not kept")
    names = tuple(name if _TOKEN.fullmatch(name) else "?" for name in left_out)
    return Repeated(kept.method, target, tuple(headers), names, tuple(problems), body)


def _is_field(name: str, value: str) -> bool:
    is_valid = _TOKEN.fullmatch(name) and _VALUE.fullmatch(value)
    return bool(is_valid) and value == value.strip(" \t")


def _content(body: Body) -> bytes | None:
    try:
        return None if body.text is None else body.text.encode()
    except UnicodeEncodeError:
        return None


def curl(kept: Kept, base_url: str) -> str:
    """
    Return a shell command that asks the same again, with notes what it does not.

    Args:
        kept: The request.
        base_url: What its path is put behind.
    """
    try:
        again = repeated(kept)
    except ValueError as error:
        return f"# {error}"
    notes = [f"# left out: {name}" for name in again.left_out]
    notes += [f"# {problem}" for problem in again.problems]
    url = base_url.rstrip("/") + quote(again.target, safe=_URL_SAFE, encoding="latin-1")
    words = ["curl", "--globoff", "--path-as-is"]
    words += ["--head"] if again.method == "HEAD" else ["-X", again.method]
    words.append(url)
    headers = (*again.headers, AS_SHADOW)
    for name, value in headers:
        if not value.isascii():
            # A shell sends UTF-8, which these bytes are not.
            notes.append(f"# left out, for it is not ASCII: {name}")
            continue
        # With a colon curl would send no header that is empty.
        words += ["-H", f"{name}: {value}" if value else f"{name};"]
    body = again.body or b""
    sends_body = bool(body) or again.method in _WITH_CONTENT
    words += _without_defaults(headers, sends_body=sends_body)
    if again.method == "HEAD" and body:
        notes.append("# the body is left out: curl sends none with HEAD")
    elif b"\0" in body:
        notes.append("# the body is left out: a shell has no zero byte")
    elif sends_body:
        # Unlike --data and --data-binary, it takes "@" for what it is.
        words += ["--data-raw", body.decode()]
    return "\n".join([*notes, shlex.join(words)])


def _without_defaults(
    headers: Iterable[tuple[str, str]], *, sends_body: bool
) -> list[str]:
    """Return the words that keep curl from saying what the client did not."""
    names = {name.lower() for name, _ in headers}
    words = [] if "accept-encoding" not in names else ["--compressed"]
    own = ["accept", "user-agent"]
    if sends_body:
        own.append("content-type")
    for name in own:
        if name not in names:
            words += ["-H", f"{name}:"]
    return words
