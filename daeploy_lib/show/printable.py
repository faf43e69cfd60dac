"""Foreign text, such as a service's answer, made fit to be shown."""

_ELLIPSIS = "…"


def printable(text: str, limit: int = 200) -> str:
    r"""
    Return text on one line that does nothing to a terminal.

    Controls, among them those that change the direction of writing, and lone
    surrogates are written as escapes. HTML is escaped elsewhere.

    Args:
        text: Of any origin.
        limit: Characters at most; what is longer ends with an ellipsis.

    Example:
        >>> printable("a\x1b[2Jb\n")
        'a\\x1b[2Jb\\n'
    """
    if len(text) > limit:
        text = text[: limit - 1] + _ELLIPSIS
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
