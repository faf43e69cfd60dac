"""Answers and values of JSON for the tests of comparing."""

import json
from typing import Any

from hypothesis import strategies as st

from daeploy_lib.compare import Answer, Comparison, ComparisonRules, answer, compare

JSON = "application/json"


def json_answer(value: Any, content_type: str = JSON) -> Answer:
    """Return an answer with the JSON text of a value."""
    return answer(200, json.dumps(value).encode(), content_type=content_type)


def compare_values(
    main: Any, shadow: Any, rules: ComparisonRules | None = None
) -> Comparison:
    """Compare two values as JSON bodies; the bytes are never the same."""
    one = answer(200, json.dumps(main).encode(), content_type=JSON)
    other = answer(200, b" " + json.dumps(shadow).encode(), content_type=JSON)
    return compare(one, other, rules or ComparisonRules())


def found(comparison: Comparison) -> list[str]:
    """Return the differences as text."""
    return [str(difference) for difference in comparison.differences]


# Few of each, so that two draws have something in common.
NAMES = st.sampled_from(["a", "b", "id", "", "a.b", "*", "\u00e9", 'q"', "password"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 2**53 + 1, 2**64, 10**30]),
    st.sampled_from([0.0, 1.0, -0.0, 0.1, 1e300, float("nan"), float("inf")]),
    st.sampled_from(["", "a", "1", "true", "\ud800", "\u2028", "x" * 300]),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)
    ),
    max_leaves=12,
)
PATHS = st.lists(
    st.sampled_from(
        [".a", ".b", ".id", ".*", ".**", "[*]", "[0]", "[1]", '["a.b"]', ".i*"]
    ),
    max_size=4,
).map(lambda steps: "".join(["$", *steps]))
RULES = st.builds(
    ComparisonRules,
    ignored=st.lists(PATHS, max_size=2),
    included=st.lists(PATHS, max_size=2),
    unordered=st.lists(PATHS, max_size=2),
    redacted=st.lists(PATHS, max_size=2),
    absolute_tolerance=st.sampled_from([0.0, 0.5, 1e300]),
    relative_tolerance=st.sampled_from([0.0, 0.1, 3.0]),
    headers=st.sampled_from([(), ("content-type",), ("*",), ("*", "!server", "etag")]),
    equal_statuses=st.sampled_from([(), ((200, 201),), ("2xx", "5xx")]),
    max_depth=st.sampled_from([1, 2, 64, 100]),
    max_values=st.sampled_from([1, 10, 500_000]),
    max_decoded_bytes=st.sampled_from([1, 100, 10**6]),
    max_differences=st.sampled_from([1, 3, 50]),
)
