r"""
Server-sent events, read as a browser reads them.

Each becomes an object with ``event``, ``data`` (its JSON value if it is JSON, else
text) and, if one was given, ``id``, so that ``$[*].data.token`` is a path. Comments,
which keep connections open, and retry times are no events; nor is an event at the
end without its empty line.

    >>> parse_events("event: add\ndata: {}\n\n: alive\n\ndata: [DONE]\n\n")
    [{'event': 'add', 'data': {}}, {'event': 'message', 'data': '[DONE]'}]

Source:
    WHATWG HTML, section 9.2.6, "Interpreting an event stream".
"""

import re
from typing import Any

from daeploy_lib.compare.json_text import ABSENT, parse_json

# str.splitlines would split at more than these.
_LINE_END = re.compile("\r\n|\n|\r")
# How a JSON text begins, and then ends: most data that is none is told by it.
_ENDS = {"{": "}", "[": "]", '"': '"', **dict.fromkeys("-0123456789tfnNI", "")}


def decode_events(content: bytes) -> list[dict[str, Any]]:
    """Return the events of a body, always UTF-8, malformed or not."""
    return parse_events(content.decode("utf-8", "replace").removeprefix("\ufeff"))


def parse_events(text: str) -> list[dict[str, Any]]:
    """Return the events of a text."""
    events: list[dict[str, Any]] = []
    name, last_id = "", ""
    lines: list[str] = []
    # What follows the last line end is no line: more of it may have been to come.
    for line in _LINE_END.split(text)[:-1]:
        if not line:
            if lines:
                events.append(_event(name, "\n".join(lines), last_id))
            name, lines = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            lines.append(value)
        elif field == "id" and "\0" not in value:
            last_id = value
    return events


def _event(name: str, text: str, last_id: str) -> dict[str, Any]:
    value: Any = ABSENT
    end = _ENDS.get(text[:1])
    if end is not None and text.rstrip().endswith(end):
        value = parse_json(text.encode())
    event = {"event": name or "message", "data": text if value is ABSENT else value}
    return {**event, "id": last_id} if last_id else event
