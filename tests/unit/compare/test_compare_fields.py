"""Numbers and labels of both answers."""

from typing import Any

from hypothesis import given

from answers import JSON, VALUES, json_answer
from daeploy_lib import ComparisonRules
from daeploy_lib.compare import FieldPair, answer, compare


def pairs(
    main: Any, shadow: Any, rules: ComparisonRules | None = None, limit: int = 50
) -> list[tuple[str, Any, Any]]:
    """Return the fields of two values, as tuples."""
    comparison = compare(
        json_answer(main),
        json_answer(shadow),
        rules or ComparisonRules(),
        max_fields=limit,
    )
    return [(field.path, field.main, field.shadow) for field in comparison.fields]


def test_numbers_and_labels() -> None:
    """Equal or not, at generalised paths, in main's order."""
    one = {"label": "cat", "scores": [0.5, 1], "ok": True, "9": {"n": 1}}
    other = {"9": {"n": 1}, "ok": False, "scores": [0.25, 2, 3], "label": "dog"}
    assert pairs(one, other) == [
        ("$.label", "cat", "dog"),
        ("$.scores[*]", 0.5, 0.25),
        ("$.scores[*]", 1, 2),
        ("$.ok", True, False),
        ("$.*.n", 1, 1),
    ]


def test_what_is_no_number_or_label_is_left_out() -> None:
    """Texts, nothing, other types, and numbers without statistics."""
    one = {
        "text": "x" * 65,
        "none": None,
        "type": 1,
        "bool": True,
        "big": 2**63,
        "nan": float("nan"),
        "missing": 1,
    }
    other = {**one, "type": "1", "bool": 1}
    del other["missing"]
    assert pairs(one, other) == []


def test_rules_apply() -> None:
    """Ignored, not included, redacted, unordered and secret fields are left out."""
    one = {"a": 1, "id": 2, "mail": "x", "tags": [3, 4], "password": "y", "b": {"c": 5}}
    rules = ComparisonRules(ignored=["id"], redacted=["mail"], unordered=["tags"])
    assert pairs(one, one, rules) == [("$.a", 1, 1), ("$.b.c", 5, 5)]
    assert pairs(one, one, ComparisonRules(included=["b"])) == [("$.b.c", 5, 5)]


def test_the_number_of_fields_is_bounded() -> None:
    """And so is what is looked at for them."""
    one = [0] * 100_000
    assert len(pairs(one, one, limit=7)) == 7
    deep: Any = [[None] * 1000] * 100 + [1]
    assert pairs(deep, deep, limit=2) == []


def test_other_answers_have_none() -> None:
    """Those with different statuses, without a structure, or incomparable."""
    rules = ComparisonRules()
    one = json_answer({"a": 1})
    assert not compare(one, one._replace(status=500), rules, max_fields=5).fields
    text = answer(200, b"5", content_type="text/plain")
    assert compare(text, text, rules, max_fields=5).is_match
    assert not compare(text, text, rules, max_fields=5).fields
    broken = answer(200, b"{", content_type=JSON)
    assert not compare(one, broken, rules, max_fields=5).fields
    assert compare(broken, broken, rules, max_fields=5).is_match


@given(VALUES, VALUES)
def test_asking_for_fields_changes_nothing_else(one: Any, other: Any) -> None:
    """The verdict is the same, and a value has its own fields."""
    rules = ComparisonRules()
    left, right = json_answer(one), json_answer(other)
    with_fields = compare(left, right, rules, max_fields=9)
    without = compare(left, right, rules)
    assert with_fields.agreement == without.agreement
    assert with_fields.differences == without.differences
    assert with_fields.shape == without.shape
    for field in compare(left, left, rules, max_fields=9).fields:
        assert field == FieldPair(field.path, field.main, field.main)
