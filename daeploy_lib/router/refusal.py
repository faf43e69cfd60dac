"""Answers that the router gives by itself: a status and one sentence."""

import json
from collections.abc import Mapping


class Refusal(Exception):  # noqa: N818 - an answer, not an error of the program
    """
    The request is not answered by a version; the client gets this instead.

    Attributes:
        status: From 400 to 599; 200 for an OPTIONS request that ends here.
        detail: One sentence for people. It names no address.
        is_final: Whether the connection must not carry another request, because
            its framing cannot be trusted (RFC 9112, section 6.3).
    """

    def __init__(self, status: int, detail: str, *, is_final: bool = False) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.is_final = is_final

    def __str__(self) -> str:
        return f"{self.status}: {self.detail}"


def refusal_events(
    refusal: Refusal, *, has_body: bool, can_close: bool
) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """
    Return the two ASGI events of a refusal.

    Args:
        refusal: What to say.
        has_body: False for HEAD, which gets the length only.
        can_close: Whether ``connection: close`` may be sent; not in HTTP/2.

    Example:
        >>> refusal_events(Refusal(404, "No."), has_body=True, can_close=True)[1]
        {'type': 'http.response.body', 'body': b'{"detail":"No."}'}
    """
    body = json.dumps({"detail": refusal.detail}, separators=(",", ":")).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    if refusal.status in (200, 405):  # RFC 9110, sections 9.3.7 and 15.5.6
        headers.append((b"allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"))
    if refusal.is_final and can_close:
        headers.append((b"connection", b"close"))
    start = {
        "type": "http.response.start",
        "status": refusal.status,
        "headers": headers,
    }
    return start, {"type": "http.response.body", "body": body if has_body else b""}
