"""
What a body is, and how two bodies of the same kind are compared.

A body is what its Content-Type says if it is that; one that lies is the next
simpler thing: what claims to be JSON and is not is text, text that cannot be decoded
is bytes. JSON and event streams are compared by structure, everything else as a
whole.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from daeploy_lib.compare.answer import Answer
from daeploy_lib.compare.decoding import codings_of, undo_codings
from daeploy_lib.compare.difference import Kind
from daeploy_lib.compare.events import decode_events
from daeploy_lib.compare.findings import Findings
from daeploy_lib.compare.headers import values_of
from daeploy_lib.compare.json_text import ABSENT, parse_json, parse_json_lines
from daeploy_lib.compare.media_type import MediaType, charset_codec, parse_media_type
from daeploy_lib.compare.showing import show_bytes, show_texts

if TYPE_CHECKING:
    from collections.abc import Callable


_NO_TYPE = MediaType()


class Body(NamedTuple):
    """
    A body without its codings.

    Attributes:
        content: Its bytes.
        media: What it says it is.
        undecoded: Codings that could not be undone; *content* still has them.
    """

    content: bytes
    media: MediaType
    undecoded: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What it is, for a reader."""
        if self.undecoded:
            return f"not decoded from {', '.join(self.undecoded)}"[:60]
        return (self.media.name or "untyped")[:60]

    def text(self) -> str | None:
        """Return its text; None if it is none."""
        codec = charset_codec(self.media.charset)
        if codec is None or not (self.media.is_text or not self.media.name):
            return None
        try:
            return self.content.decode(codec)
        except UnicodeDecodeError:
            return None


def read_body(answer: Answer, limit: int) -> Body:
    """
    Return the body of an answer that was captured whole.

    Args:
        answer: Of a version.
        limit: Bytes that it may have once it is decoded.

    Raises:
        IncomparableError: If it has more.

    Example:
        >>> from daeploy_lib.compare.answer import answer
        >>> body = read_body(answer(200, b"{}", content_type="text/html"), 100)
        >>> body.text()
        '{}'
    """
    # The first counts of those that come twice.
    fields = dict(reversed(answer.headers))
    media_type = fields.get(b"content-type")
    media = _NO_TYPE if media_type is None else parse_media_type(media_type)
    if b"content-encoding" not in fields:
        return Body(answer.body, media)
    codings = codings_of(values_of(answer.headers, b"content-encoding"))
    if not codings:
        return Body(answer.body, media)
    content = undo_codings(answer.body, codings, limit=limit)
    if content is None:
        return Body(answer.body, media, tuple(codings))
    return Body(content, media)


def structures(main: Body, shadow: Body) -> tuple[Any, Any]:
    """
    Return the JSON values of two bodies, or lists of their events.

    Absent where a body has none, which is so for both if they do not claim the
    same kind.

    Raises:
        IncomparableError: If one is nested too deeply to be read.
    """
    if main.undecoded or shadow.undecoded:
        return ABSENT, ABSENT
    parse: Callable[[bytes], Any]
    if main.media.is_events and shadow.media.is_events:
        parse = decode_events
    elif main.media.is_json_lines and shadow.media.is_json_lines:
        parse = parse_json_lines
    # One that says it is JSON is enough: the other's type is a difference by itself.
    elif main.media.is_json or shadow.media.is_json or _say_nothing(main, shadow):
        parse = parse_json
    else:
        return ABSENT, ABSENT
    value = parse(main.content)
    if main.content == shadow.content:
        return value, value
    return value, parse(shadow.content)


def _say_nothing(main: Body, shadow: Body) -> bool:
    return not main.media.name and not shadow.media.name


def compare_wholes(main: Body, shadow: Body, findings: Findings) -> None:
    """Compare two bodies without a structure in common."""
    if not main.content or not shadow.content:
        kind = Kind.extra if not main.content else Kind.missing
        shown = [_words(body) if body.content else None for body in (main, shadow)]
        findings.add_shown("$", kind, *shown)
        return
    if main.undecoded or shadow.undecoded:
        _compare_bytes(main, shadow, findings)
        return
    one, other = main.text(), shadow.text()
    if one is None or other is None:
        _compare_bytes(main, shadow, findings)
    elif one != other:
        _add_texts(main, shadow, one, other, findings)


def add_types(
    main: Body, shadow: Body, *, main_is_json: bool, findings: Findings
) -> None:
    """Add that one body is JSON and the other is not."""
    shown = [
        show_bytes(body.content, "JSON" if is_it else f"not JSON ({body.words})")
        for body, is_it in ((main, main_is_json), (shadow, not main_is_json))
    ]
    findings.add_shown("$", Kind.type, *shown)


def _add_texts(
    main: Body, shadow: Body, one: str, other: str, findings: Findings
) -> None:
    # What should have had fields has secrets that no path leads to.
    has_fields = any(b.media.is_json or b.media.is_json_lines for b in (main, shadow))
    if has_fields or findings.show.redacted is not None:
        _compare_bytes(main, shadow, findings, Kind.value)
        return
    findings.add_shown("$", Kind.value, *show_texts(findings.show, one, other))


def _compare_bytes(
    main: Body, shadow: Body, findings: Findings, kind: Kind | None = None
) -> None:
    if kind is None:
        is_long = len(main.content) != len(shadow.content)
        kind = Kind.length if is_long else Kind.value
    findings.add_shown("$", kind, _words(main), _words(shadow))


def _words(body: Body) -> str:
    return show_bytes(body.content, body.words)
