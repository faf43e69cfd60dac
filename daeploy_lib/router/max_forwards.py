"""Max-Forwards: how far an OPTIONS request may still go (RFC 9110, section 7.6.2)."""

from collections.abc import Sequence

from daeploy_lib.router.framing import Header
from daeploy_lib.router.refusal import Refusal


def counted_down(headers: Sequence[Header]) -> list[Header]:
    """
    Return the headers of an OPTIONS request with one hop fewer to go.

    What is no number is left as it is: the field then means nothing.

    Raises:
        Refusal: 200 if no hop is left, for this router is then the one asked.

    Example:
        >>> counted_down([(b"max-forwards", b"3")])
        [(b'max-forwards', b'2')]
    """
    counted: list[Header] = []
    for name, value in headers:
        count = value.strip(b" \t")
        if name == b"max-forwards" and count.isdigit():
            if not int(count[:20]):
                raise Refusal(200, "The request goes no further: Max-Forwards is 0.")
            counted.append((name, b"%d" % (int(count[:20]) - 1)))
        else:
            counted.append((name, value))
    return counted
