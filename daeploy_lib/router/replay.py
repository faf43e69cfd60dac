"""
Sending a kept request to one version again.

It goes to the version's own address, past every router: nothing copies it, and
nothing compares the answer.
"""

import re
from collections.abc import Iterable
from time import perf_counter

import attrs
import httpx

from daeploy_lib.evidence.repeating import (
    AS_SHADOW,
    NOT_REPEATED,
    Kept,
    Repeated,
    repeated,
)
from daeploy_lib.router.framing import BAD_VALUE, TOKEN
from daeploy_lib.router.mounts import joined
from daeploy_lib.router.refusal import Refusal
from daeploy_lib.router.routing import Endpoint, parse_endpoint

MAX_BODY = 2**20
"""Bytes of an answer's body that are read, as sent: 1 MiB."""

# RFC 9110, section 8.6: what would have a body says that it has none.
_WITH_CONTENT = ("POST", "PUT", "PATCH")
_TARGET = re.compile(rb"/[!-~]*")


@attrs.frozen
class Replayed:
    """
    What a version answered to a request that was sent again.

    Attributes:
        status: Of the answer; a redirect is not followed.
        headers: Names in lower case and values, in their order.
        body: Its bytes as they were sent, perhaps compressed; at most 1 MiB.
        elapsed_s: From connecting to the last byte that was read.
        is_whole: Whether that is all of the body.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    elapsed_s: float
    is_whole: bool = True


def replay(
    example: Kept,
    base_url: str,
    *,
    headers: Iterable[tuple[str, str]] = (),
    timeout: float = 30.0,
    transport: httpx.BaseTransport | None = None,
) -> Replayed:
    """
    Send the request of an example to one version again.

    Method, path, query, body and headers are those that were kept, byte for byte;
    headers of the connection are made anew and secret ones are missing. It is marked
    ``x-daeploy-role: shadow``: a service that mutes its side effects for copies does
    so for this one too. It blocks: on an event loop, call it in a thread.

    Args:
        example: Of ``Report``.
        base_url: Of the version itself, not of a router: nothing keeps that from
            copying the request to the shadows.
        headers: To send as well, or instead of kept ones of the same names, such as
            an ``authorization``, which is never kept.
        timeout: Seconds to wait for the connection, and for each part of the answer;
            the body is read for no longer than that in all.
        transport: Of httpx, for TLS, proxies or tests; it is not closed.

    Returns:
        The answer, whatever its status.

    Raises:
        ValueError: If the request is not known in full, for its body or query is
            redacted or too long to be kept; or if it, the address, a header or the
            timeout cannot be used. Nothing was sent.
        TimeoutError: If the version did not answer in time.
        ConnectionError: If it could not be reached, broke off, or did not speak HTTP.

    Example:
        >>> from daeploy_lib.evidence.examples import Example
        >>> def ask_again(example: Example) -> int:
        ...     return replay(example, "http://127.0.0.1:9001").status
    """
    again = repeated(example)
    if again.problems:
        reasons = ", ".join(again.problems)
        raise ValueError(f"The request cannot be sent again: {reasons}.")
    if not 0 < timeout < float("inf"):
        raise ValueError(f"timeout must be finite and above 0, not {timeout!r}.")
    request = _request(again, parse_endpoint(base_url, may_be_tls=True), headers)
    request.extensions["timeout"] = dict.fromkeys(
        ("connect", "read", "write", "pool"), timeout
    )
    if transport is not None:
        return _sent(request, transport, timeout)
    # A proxy of the environment would not reach what runs on this machine, and
    # certificates take longer to load than most answers to come.
    is_tls = request.url.scheme == "https"
    with httpx.HTTPTransport(trust_env=False, verify=is_tls) as own:
        return _sent(request, own, timeout)


def _request(
    again: Repeated, endpoint: Endpoint, more: Iterable[tuple[str, str]]
) -> httpx.Request:
    target = again.target.encode("latin-1")
    if not target.isascii():
        raise ValueError("The path or the query has bytes that no URL may have.")
    try:
        target = joined(endpoint.base, target)
        url = httpx.URL(
            scheme=endpoint.scheme,
            host=endpoint.host,
            port=endpoint.port,
            raw_path=target,
        )
    except (Refusal, httpx.InvalidURL) as error:
        raise ValueError(f"The address cannot be used: {error}") from None
    if not _TARGET.fullmatch(target):
        raise ValueError("The path of the address has bytes that no URL may have.")
    body = again.body or b""
    lines = [(b"host", url.netloc)]
    if body or again.method in _WITH_CONTENT:
        lines.append((b"content-length", b"%d" % len(body)))
    own = _checked(more)
    replaced = {name.lower() for name, _ in own}
    kept = [field for field in again.headers if field[0].lower() not in replaced]
    for name, value in (*kept, AS_SHADOW, *own):
        lines.append((name.encode("ascii"), value.encode("latin-1")))
    request = httpx.Request(
        again.method,
        url,
        headers=lines,
        stream=httpx.ByteStream(body),
        # httpx rewrites what it does not like in a path; "target" goes as it is.
        extensions={"target": target},
    )
    request.method = again.method  # not in upper case
    return request


def _checked(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    checked = []
    for name, value in headers:
        try:
            raw, content = name.encode("ascii"), value.encode("latin-1")
        except UnicodeEncodeError:
            raw = content = b""
        is_ours = name.lower() in NOT_REPEATED
        if is_ours or not TOKEN.fullmatch(raw) or BAD_VALUE.search(content):
            raise ValueError(f"The header {name!r} cannot be sent.")
        checked.append((name, value.strip(" \t")))
    return checked


def _sent(
    request: httpx.Request, transport: httpx.BaseTransport, timeout: float
) -> Replayed:
    """Send it, and map every error of httpx."""
    where = f"{request.url.host}:{request.url.port or ''}".rstrip(":")
    began = perf_counter()
    try:
        response = transport.handle_request(request)
        try:
            body, is_whole = _body(response, began + timeout)
        finally:
            response.close()
    except httpx.TimeoutException as error:
        raise TimeoutError(f"{where} did not answer within {timeout} s.") from error
    except (httpx.HTTPError, httpx.StreamError) as error:
        reason = str(error) or type(error).__name__
        raise ConnectionError(f"{where} gave no answer: {reason}") from error
    return Replayed(
        response.status_code,
        tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in response.headers.raw
        ),
        body,
        perf_counter() - began,
        is_whole,
    )


def _body(response: httpx.Response, end: float) -> tuple[bytes, bool]:
    """Read as much as is kept; return it, and whether it is all."""
    parts, size = [], 0
    if not isinstance(response.stream, httpx.SyncByteStream):
        raise TypeError("transport must be a httpx.BaseTransport, not an async one.")
    for part in response.stream:
        parts.append(part[: MAX_BODY - size])
        size += len(part)
        if size > MAX_BODY:
            return b"".join(parts), False
        if perf_counter() > end:
            raise httpx.ReadTimeout("The body did not end in time.")
    return b"".join(parts), True
