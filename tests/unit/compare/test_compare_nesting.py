"""How deep JSON is nested: by its text as by its value."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib.compare.nesting import is_shallow, is_shallow_text

TEXTS = st.text(st.sampled_from('[]{}"\\,:a é\0'), max_size=6)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES, st.integers(0, 6), st.booleans())
def test_text_and_value_tell_the_same(value: Any, depth: int, is_ascii: bool) -> None:
    """Where the text tells anything, brackets in strings and all."""
    content = json.dumps(value, ensure_ascii=is_ascii).encode()
    told = is_shallow_text(content, depth)
    assert told in (None, is_shallow(value, depth))


@given(st.lists(st.dictionaries(st.text("abc", max_size=3), st.floats(), max_size=3)))
def test_plain_text_always_tells(value: Any) -> None:
    """Nearly all that services answer has no brackets in strings."""
    content = json.dumps(value).encode()
    assert is_shallow_text(content, 2) is True
    assert is_shallow_text(content, 64) is True


def test_other_encodings_do_not_tell() -> None:
    """Their characters may have bytes that look like brackets."""
    assert is_shallow_text('["嬀"]'.encode("utf-16"), 5) is None
