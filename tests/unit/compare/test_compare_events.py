"""Server-sent events, one by one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers import found
from daeploy_lib import ComparisonRules
from daeploy_lib.compare import Comparison, answer, compare
from daeploy_lib.compare.events import decode_events, parse_events

EVENTS = "text/event-stream; charset=utf-8"


def message(data: Any, **more: str) -> dict[str, Any]:
    """Return a message event."""
    return {"event": "message", "data": data, **more}


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"", []),
        (b"data: a\n\n", [message("a")]),
        (b"data:a\r\rdata: b\r\n\r\n", [message("a"), message("b")]),
        (b"data: a\ndata:  b\n\n", [message("a\n b")]),
        (b"data\n\ndata\ndata\n\n", [message(""), message("\n")]),
        (b"data: a", []),
        (b"data: a\n", []),
        (b"event: add\n\ndata: a\n\n", [message("a")]),
        (b"event: add\ndata: a\n\n", [{"event": "add", "data": "a"}]),
        (b": alive\nretry: 10\n\ndata: a\n\n", [message("a")]),
        (
            b"id: 7\n\ndata: a\n\ndata: b\n\n",
            [message("a", id="7"), message("b", id="7")],
        ),
        (b"id: 7\ndata: a\nid: x\0y\n\n", [message("a", id="7")]),
        (b"id: 7\ndata: a\n\nid\ndata: b\n\n", [message("a", id="7"), message("b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [message("a")]),
        (b"data: \xff\n\n", [message("\ufffd")]),
        (b"DATA: a\n data: b\ndata : c\n\n", []),
        (b'data: {"a": [1]}\n\n', [message({"a": [1]})]),
        (b'data: {"a":\ndata: 1}\n\n', [message({"a": 1})]),
        (b'data: {"a": 1} \n\ndata: {]\n\n', [message({"a": 1}), message("{]")]),
        (b"data: [DONE]\n\ndata: 1\n\n", [message("[DONE]"), message(1)]),
        (b"data: a\x0bb\x85c\xe2\x80\xa8d\n\n", [message("a\x0bb\ufffdc\u2028d")]),
    ],
)
def test_events_are_read_as_browsers_do(
    stream: bytes, events: list[dict[str, Any]]
) -> None:
    """WHATWG HTML, section 9.2.6."""
    assert decode_events(stream) == events


def streams(main: str, shadow: str, **rules: Any) -> Comparison:
    """Compare two streams."""
    one = answer(200, main.encode(), content_type=EVENTS)
    other = answer(200, shadow.encode(), content_type=EVENTS)
    return compare(one, other, ComparisonRules(**rules))


def test_streams_are_compared_event_by_event() -> None:
    """Their data as JSON where it is JSON."""
    one = 'data: {"token": "a", "n": 1}\n\ndata: [DONE]\n\n'
    assert streams(
        one, 'data:{"n":1.0,"token":"a"}\n\n: x\n\ndata: [DONE]\n\n'
    ).is_match
    other = 'data: {"token": "b", "n": 1}\n\ndata: [DONE]\n\ndata: x\n\n'
    assert found(streams(one, other)) == [
        "$ length: 2 -> 3",
        '$[0].data.token value: "a" -> "b"',
    ]
    assert streams(one, other.replace("b", "a", 1), ignored=["$"]).is_match


def test_paths_lead_into_events() -> None:
    """Into their ids, and into their data."""
    one = 'id: 1\ndata: {"created": 1, "x": 1}\n\n'
    other = 'id: 2\ndata: {"created": 2, "x": 1}\n\n'
    assert streams(one, other, ignored=["$[*].id", "$[*].data.created"]).is_match
    assert found(streams(one, other)) == [
        "$[0].data.created value: 1 -> 2",
        '$[0].id value: "1" -> "2"',
    ]


def test_a_stream_against_text() -> None:
    """They are texts."""
    one = answer(200, b"data: a\n\n", content_type=EVENTS)
    other = answer(200, b"data: b\n\n", content_type="text/plain")
    [_, difference] = compare(one, other, ComparisonRules()).differences
    assert str(difference) == '$ value: "data: a\\n\\n" -> "data: b\\n\\n"'


@given(
    st.lists(
        st.tuples(st.text("ab:\u2028 ", max_size=3), st.text("xy: ", max_size=5)),
        max_size=5,
    ),
    st.sampled_from(["\n", "\r", "\r\n"]),
)
def test_what_is_written_is_read(events: list[tuple[str, str]], end: str) -> None:
    """With any line end."""
    text = "".join(f"event: {name}{end}data: {data}{end}{end}" for name, data in events)
    expected = [{"event": name or "message", "data": data} for name, data in events]
    assert parse_events(text) == expected
