"""WebSocket frames without I/O."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib.router.websocket.codec import Close, Codec, code_to_send

STREAM = (
    b"\x01\x03ab\xc3\x89\x01p\x80\x01\xa9"  # "abé" in two fragments, a ping between
    b"\x82\x02\x00\xff\x81\x00\x02\x00\x00\x00\x80\x00"  # bytes, "", b"" in three
    b"\x88\x05\x0f\xa0bye"
)


@given(st.lists(st.integers(1, 7), min_size=40, max_size=40))
def test_however_frames_are_cut_the_messages_are_the_same(steps: list[int]) -> None:
    """Messages, answers and the end depend on no boundary of reads."""
    codec = Codec(100)
    messages: list[str | bytes] = []
    replies = b""
    ends: list[Close] = []
    position = 0
    for step in steps:
        got, reply, close = codec.feed(STREAM[position : position + step])
        position += step
        messages += got
        replies += reply
        ends += [close] if close is not None else []
    assert messages == ["ab\u00e9", b"\x00\xff", "", b""]
    assert ends == [Close(4000, "bye")]
    pong, goodbye = replies[:7], replies[7:]
    assert pong[:2] == b"\x8a\x81"
    assert pong[6] ^ pong[2] == ord("p")
    assert goodbye[:2] == b"\x88\x82"


@given(st.integers(0, 65535))
def test_no_code_is_sent_that_may_not_be(code: int) -> None:
    """1005 becomes none, 1006 and 1015 an internal error, others a protocol error."""
    sent = code_to_send(code)
    if code == 1005:
        assert sent is None
    elif code in (1006, 1015):
        assert sent == 1011
    else:
        assert sent in (code, 1002)
        assert sent not in (1004, *range(1015, 3000), *range(1000), *range(5000, 65536))


def test_a_reason_is_cut_at_a_character() -> None:
    """A control frame has room for 123 bytes of it (RFC 6455, section 5.5)."""
    sent = Codec(100).close(1000, "\u00e9" * 100)
    mask = sent[2:6]
    content = bytes(byte ^ mask[i % 4] for i, byte in enumerate(sent[6:]))
    assert content[2:].decode() == "\u00e9" * 61


@pytest.mark.parametrize("keeps", [True, False])
def test_a_limit_holds_only_for_what_is_kept(keeps: bool) -> None:
    """A shadow's messages are thrown away however long they are."""
    _, _, close = Codec(10, keeps=keeps).feed(b"\x82\x0b" + b"x" * 11)
    assert (close is not None and close.code == 1009) is keeps
