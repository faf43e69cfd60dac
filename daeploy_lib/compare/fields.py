"""
Fields that hold a number or a label in both answers, for statistics.

They are found whether or not they differ: how often two models agree is told by
both kinds.

    >>> pair_fields({"label": "cat", "score": 0.9}, {"label": "dog", "score": 1}, 10)
    ... # doctest: +NORMALIZE_WHITESPACE
    (FieldPair(path='$.label', main='cat', shadow='dog'),
     FieldPair(path='$.score', main=0.9, shadow=1))
"""

import math
from typing import Any

from daeploy_lib.compare.comparison import FieldPair
from daeploy_lib.compare.json_diff import members
from daeploy_lib.compare.path_matching import State
from daeploy_lib.compare.path_syntax import Generaliser, Link
from daeploy_lib.compare.secret_names import is_secret
from daeploy_lib.compare.showing import Show

# Longer strings are texts, not labels.
_MAX_LABEL = 64
# Beyond it a double cannot count, so that no statistic can either.
_MAX_INTEGER = 2**63
# Values that are looked at for every field that is wanted.
_STEPS_PER_FIELD = 20

# Both values, where they are, the compared paths' state there, the redacted ones'.
_Pair = tuple[Any, Any, Link, State | None, State | None]


def pair_fields(
    main: Any,
    shadow: Any,
    limit: int,
    *,
    state: State | None = None,
    show: Show = Show(),  # noqa: B008 - frozen
) -> tuple[FieldPair, ...]:
    """
    Return the numbers and labels that two values of JSON have at the same paths.

    Those in unordered lists, ignored and redacted ones are left out, and so are
    those that are a number in one answer and a label in the other.

    Args:
        main: Main's value.
        shadow: The shadow's.
        limit: How many pairs at most, in main's order.
        state: Of the compared paths, at the root.
        show: What is secret.
    """
    pairs: list[FieldPair] = []
    general = Generaliser()
    left = limit * _STEPS_PER_FIELD
    stack: list[_Pair] = [(main, shadow, None, state, show.redacted)]
    while stack and left > 0 and len(pairs) < limit:
        left -= 1
        pair = stack.pop()
        one, other, path, state, hidden = pair
        is_left_out = state is not None and state.is_ignored
        if is_left_out or (hidden is not None and hidden.is_included):
            continue
        if type(one) is type(other) and type(one) in (dict, list):
            if state is None or not state.is_unordered:
                stack += _inner(pair, left)
        elif (state is None or state.is_included) and _are_alike(one, other, show):
            shown = show.path(path) if show.secrets else path
            pairs.append(FieldPair(general.general(shown), one, other))
    return tuple(pairs)


def _inner(pair: _Pair, limit: int) -> list[_Pair]:
    """Return what both have, but for what is secret by its name."""
    one, other, path, state, hidden = pair
    found: list[_Pair] = []
    others = members(other)
    for step, value in members(one).items():
        if len(found) == limit:
            break
        if step in others and not _is_secret(step, value, others[step]):
            below, hidden_below = (
                state and state.step(step),
                hidden and hidden.step(step),
            )
            found.append((value, others[step], (path, step), below, hidden_below))
    return found[::-1]


def _is_secret(step: str | int, *values: Any) -> bool:
    return isinstance(step, str) and any(is_secret(step, value) for value in values)


def _are_alike(one: Any, other: Any, show: Show) -> bool:
    if _is_number(one):
        return _is_number(other)
    is_label = type(one) is type(other) and _is_label(one, show)
    return is_label and _is_label(other, show)


def _is_number(value: Any) -> bool:
    if type(value) is int:
        return abs(value) < _MAX_INTEGER
    return type(value) is float and math.isfinite(value)


def _is_label(value: Any, show: Show) -> bool:
    if type(value) is bool:
        return True
    return type(value) is str and len(value) <= _MAX_LABEL and show.mask(value) == value
