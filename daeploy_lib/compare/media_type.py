"""
What a body says it is: media type and charset of RFC 9110, section 8.3.

    >>> parse_media_type(b'Application/JSON; Charset="utf-8"')
    MediaType(name='application/json', parameters=(('charset', 'utf-8'),))
    >>> charset_codec("latin1")
    'iso8859-1'
"""

import functools
import re

import attrs

# A parameter's value, as a token or quoted.
_PARAMETER = re.compile(
    r';\s*(?P<name>[^\s;="]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<value>[^;"\s]*))\s*'
)
_MAX_LENGTH = 500
_UTF_8 = {"", "utf-8", "utf8", "ascii", "us-ascii"}
# Looked up here and not in Python's registry, which remembers every name it was
# ever asked for, and knows codecs that are slow or no charsets at all.
_SINGLE_BYTE = {
    **{f"iso-8859-{n}": f"iso8859-{n}" for n in (*range(1, 12), *range(13, 17))},
    **{f"windows-125{n}": f"cp125{n}" for n in range(9)},
    **{name: name for name in ("koi8-r", "koi8-u", "macintosh")},
    "latin1": "iso8859-1",
    "iso8859-1": "iso8859-1",
}
_WIDE = {
    **{name: name for name in ("utf-16", "utf-16le", "utf-16be", "utf-32")},
    **dict.fromkeys(("gb2312", "gbk", "gb18030"), "gb18030"),
    "shift_jis": "cp932",
    "euc-jp": "euc_jp",
    "euc-kr": "euc_kr",
    "big5": "big5",
}
_CODECS = {**dict.fromkeys(_UTF_8, "utf-8"), **_SINGLE_BYTE, **_WIDE}

_JSON_LINES = {
    *("application/x-ndjson", "application/ndjson", "application/jsonl"),
    *("application/jsonlines", "application/x-jsonlines", "application/x-jsonl"),
}
_TEXTUAL = {
    *("application/xml", "application/javascript", "application/x-javascript"),
    *("application/x-www-form-urlencoded", "application/yaml", "image/svg+xml"),
    *("application/graphql", "application/toml", "application/sql"),
}


@attrs.frozen
class MediaType:
    """
    A Content-Type, understood.

    Attributes:
        name: ``type/subtype`` in lower case; empty if there is none.
        parameters: Pairs of name and value, sorted; names and charsets in lower
            case, as both are case-insensitive.
    """

    name: str = ""
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def charset(self) -> str:
        """The charset that is named; empty if none is."""
        return dict(self.parameters).get("charset", "")

    @property
    def is_json(self) -> bool:
        """Whether it is JSON, RFC 8259, or a type on top of it."""
        return self.name.endswith(("/json", "+json"))

    @property
    def is_json_lines(self) -> bool:
        """Whether it is a sequence of JSON values, one a line."""
        return self.name in _JSON_LINES

    @property
    def is_events(self) -> bool:
        """Whether it is a stream of server-sent events."""
        return self.name == "text/event-stream"

    @property
    def is_text(self) -> bool:
        """Whether it is text of some other kind."""
        return (
            self.name.startswith("text/")
            or self.name in _TEXTUAL
            or self.name.endswith("+xml")
            # What claims to be JSON and is not is text to a reader.
            or self.is_json
            or self.is_json_lines
        )


def parse_media_type(value: bytes) -> MediaType:
    """Return what a Content-Type says; what is malformed in it is left out."""
    return _parse(value[:_MAX_LENGTH])


# Bounded, as types come from services; these have few.
@functools.lru_cache(maxsize=256)
def _parse(value: bytes) -> MediaType:
    text = value.decode("latin-1")
    name, semicolon, rest = text.partition(";")
    parameters: dict[str, str] = {}
    for match in _PARAMETER.finditer(f"{semicolon}{rest}"):
        found = match["value"]
        if match["quoted"] is not None:
            found = re.sub(r"\\(.)", r"\1", match["quoted"])
        key = match["name"].lower()
        # The first counts, as browsers have it: whatwg mimesniff, section 4.4.
        parameters.setdefault(key, found.lower() if key == "charset" else found)
    return MediaType(name.strip().lower(), tuple(sorted(parameters.items())))


def charset_codec(charset: str) -> str | None:
    """Return Python's codec for a charset; None for those that are not known."""
    return _CODECS.get(charset)
