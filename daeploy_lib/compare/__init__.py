"""
What an answer was, whether two agree, and why not. Pure.

>>> rules = ComparisonRules(ignored=["took_ms"], relative_tolerance=1e-3)
>>> json = "application/json"
>>> main = answer(200, b'{"score": 1, "took_ms": 4}', content_type=json)
>>> shadow = answer(200, b'{"took_ms": 9, "score": 1.0001}', content_type=json)
>>> compare(main, shadow, rules).is_match
True
>>> shadow = answer(200, b'{"score": null}', content_type=json)
>>> print(compare(main, shadow, rules).shape)
type $.score
"""

from daeploy_lib.compare.answer import Answer, answer
from daeploy_lib.compare.comparing import compare, is_quick, is_same
from daeploy_lib.compare.comparison import Agreement, Comparison, FieldPair, Reason
from daeploy_lib.compare.difference import Difference, Kind, Shape
from daeploy_lib.compare.rules import ComparisonRules

__all__ = [
    "Agreement",
    "Answer",
    "Comparison",
    "ComparisonRules",
    "Difference",
    "FieldPair",
    "Kind",
    "Reason",
    "Shape",
    "answer",
    "compare",
    "is_quick",
    "is_same",
]
