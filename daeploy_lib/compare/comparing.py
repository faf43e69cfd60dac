"""
Two answers in, one comparison out.

A pure function, for any bytes: nothing is read, waited for or remembered, and no
answer makes it raise. The cheapest question is asked first; nearly all answers of
equal services end there.
"""

from collections.abc import Iterable

from daeploy_lib.compare.answer import Answer
from daeploy_lib.compare.bodies import (
    Body,
    add_types,
    compare_wholes,
    read_body,
    structures,
)
from daeploy_lib.compare.comparison import (
    MATCH,
    Agreement,
    Comparison,
    FieldPair,
    IncomparableError,
    Reason,
)
from daeploy_lib.compare.decoding import codings_of
from daeploy_lib.compare.difference import Kind
from daeploy_lib.compare.fields import pair_fields
from daeploy_lib.compare.findings import Findings
from daeploy_lib.compare.headers import values_of
from daeploy_lib.compare.json_diff import JsonDiff
from daeploy_lib.compare.json_text import ABSENT
from daeploy_lib.compare.nesting import is_shallow, is_shallow_text
from daeploy_lib.compare.rules import ComparisonRules
from daeploy_lib.compare.secret_names import (
    REDACTED,
    SECRET_HEADERS,
    is_secret_name,
)
from daeploy_lib.compare.showing import Show

_MAX_HEADER_NAME = 64
# Of both bodies: below it, the worst that a body can do takes some milliseconds, and
# what services answer less than one.
_QUICK_BYTES = 8 * 1024
# A kilobyte can hold a megabyte.
_QUICK_ENCODED_BYTES = 2 * 1024
# What is within one another is written again for each of those around it.
_QUICK_UNORDERED_BYTES = 1024


def compare(
    main: Answer,
    shadow: Answer,
    rules: ComparisonRules,
    *,
    secrets: Iterable[str] = (),
    max_fields: int = 0,
    is_shown: bool = True,
) -> Comparison:
    """
    Compare a shadow's answer with main's.

    The same answers give the same result, in every process. Swapped, they match if
    and only if they matched before. An answer matches itself, unless it is
    incomparable. It never raises, and what it gives is bounded whatever the answers.

    Where the status differs, the body is not looked at.

    Args:
        main: Main's answer.
        shadow: The shadow's.
        rules: For this request: see ``ComparisonRules.for_path``.
        secrets: Texts that must not be in the result, such as the request's
            credentials; those under four characters are passed over.
        max_fields: How many fields with numbers or labels to collect from two
            answers with equal statuses. With 0, equal bytes are not parsed.
        is_shown: Whether to return differences; without, they are only counted and
            have a shape.

    Example:
        >>> from daeploy_lib.compare.answer import answer
        >>> main = answer(200, b'{"a": 1, "b": 2}', content_type="application/json")
        >>> shadow = answer(200, b'{"b": 3, "a": 1}', content_type="application/json")
        >>> [difference] = compare(main, shadow, ComparisonRules()).differences
        >>> print(difference)
        $.b value: 2 -> 3
    """
    if not max_fields and is_same(main, shadow, rules):
        return MATCH
    known = tuple(secrets)
    show = Show(rules.hidden, known) if known else rules.show
    findings = Findings(show, rules.max_differences if is_shown else 0)
    fields: tuple[FieldPair, ...] = ()
    reason = Reason.none
    try:
        fields = _find(main, shadow, rules, findings, max_fields)
    except IncomparableError as error:
        reason = error.reason
    except RecursionError:
        # Called from deep within a program, with little of its stack left.
        reason = Reason.too_deep
    except Exception:  # noqa: BLE001 - a boundary: answers are anybody's bytes
        reason = Reason.failed
    # One difference is enough, whatever could not be looked at.
    if reason and not findings.count:
        return Comparison(Agreement.incomparable, reason)
    return findings.result(fields)


def is_same(main: Answer, shadow: Answer, rules: ComparisonRules) -> bool:
    """
    Return whether two answers agree at a glance: the same bytes.

    It takes about a microsecond. A False says nothing.
    """
    status, headers, body, length, digest, is_whole = main
    # All but status and headers at once: what costs most is Python, not the bytes.
    if main[2:] != shadow[2:] or status != shadow.status or not is_whole:
        return False
    if length != len(body) and not digest:
        return False
    return headers == shadow.headers or rules.choice.is_same(headers, shadow.headers)


def is_quick(main: Answer, shadow: Answer, rules: ComparisonRules) -> bool:
    """
    Return whether comparing takes a few milliseconds at most.

    Where it may take longer, it belongs into a thread.
    """
    size = len(main.body) + len(shadow.body)
    if size > _QUICK_ENCODED_BYTES and (_is_encoded(main) or _is_encoded(shadow)):
        return False
    if rules.unordered:
        # Elements are tried against one another, and those in them again.
        return rules.tolerance.is_none and size <= _QUICK_UNORDERED_BYTES
    return size <= _QUICK_BYTES


def _find(
    main: Answer,
    shadow: Answer,
    rules: ComparisonRules,
    findings: Findings,
    max_fields: int,
) -> tuple[FieldPair, ...]:
    if not rules.is_equal_status(main.status, shadow.status):
        findings.add_shown("status", Kind.status, str(main.status), str(shadow.status))
        return ()
    if main.headers != shadow.headers:
        _find_headers(main, shadow, rules, findings)
    if rules.paths is not None and rules.paths.is_ignored:
        return ()
    if not (main.is_whole and shadow.is_whole):
        _find_unfinished(main, shadow, findings)
        return ()
    if main.is_cut or shadow.is_cut:
        _find_cut(main, shadow, findings)
        return ()
    return _find_whole(main, shadow, rules, findings, max_fields)


def _find_headers(
    main: Answer, shadow: Answer, rules: ComparisonRules, findings: Findings
) -> None:
    show = findings.show
    differing = rules.choice.differing(main.headers, shadow.headers)
    for name, one, other in differing:
        shown_name = show.mask(name.decode("latin-1"))[:_MAX_HEADER_NAME]
        is_secret = name in SECRET_HEADERS or is_secret_name(name.decode("latin-1"))
        shown = [
            REDACTED if is_secret else show.text(b", ".join(v).decode("latin-1"), 0)
            for v in (one, other)
        ]
        findings.add_shown(
            f"header:{shown_name}",
            Kind.header,
            shown[0] if one else None,
            shown[1] if other else None,
        )


def _find_unfinished(main: Answer, shadow: Answer, findings: Findings) -> None:
    """Compare answers of which one was not read to its end: is it too long already?"""
    is_longer = (shadow.is_whole and main.length > shadow.length) or (
        main.is_whole and shadow.length > main.length
    )
    if not is_longer:
        raise IncomparableError(Reason.not_whole)
    findings.add_shown("$", Kind.length, _length(main), _length(shadow))


def _length(answer: Answer) -> str:
    return f"{answer.length} bytes{'' if answer.is_whole else ' or more'}"


def _find_cut(main: Answer, shadow: Answer, findings: Findings) -> None:
    """Compare bodies that were too long to be kept: the same bytes or not."""
    if main.length != shadow.length:
        findings.add_shown("$", Kind.length, _length(main), _length(shadow))
        return
    if not (main.digest and shadow.digest):
        raise IncomparableError(Reason.no_digest)
    if main.digest != shadow.digest or _codings(main) != _codings(shadow):
        words = [f"{_length(a)}, digest {a.digest.hex()[:12]}" for a in (main, shadow)]
        findings.add_shown("$", Kind.value, *words)


def _is_encoded(answer: Answer) -> bool:
    return b"content-encoding" in dict(answer.headers)


def _codings(answer: Answer) -> list[str]:
    return codings_of(values_of(answer.headers, b"content-encoding"))


def _find_whole(
    main: Answer,
    shadow: Answer,
    rules: ComparisonRules,
    findings: Findings,
    max_fields: int,
) -> tuple[FieldPair, ...]:
    """Compare bodies that were kept whole; return their fields."""
    if main.body == shadow.body and _codings(main) == _codings(shadow):
        return _own_fields(main, rules, findings.show, max_fields)
    one = read_body(main, rules.max_decoded_bytes)
    other = read_body(shadow, rules.max_decoded_bytes)
    if one.content == other.content and one.undecoded == other.undecoded:
        return _own_fields(main, rules, findings.show, max_fields)
    left, right = structures(one, other)
    if left is ABSENT and right is ABSENT:
        compare_wholes(one, other, findings)
    elif left is not ABSENT and right is not ABSENT:
        diff = JsonDiff(
            rules.tolerance,
            rules.max_depth,
            rules.max_values,
            # Where "==" would go too deep depends on the version of Python.
            may_glance=not _may_have_booleans(one.content, other.content)
            and _is_shallow(one, left, rules.max_depth),
        )
        diff.walk(left, right, findings, rules.paths)
        return _fields(left, right, rules, findings.show, max_fields)
    elif one.content and other.content:
        add_types(one, other, main_is_json=right is ABSENT, findings=findings)
    else:
        compare_wholes(one, other, findings)
    return ()


def _own_fields(
    answer: Answer, rules: ComparisonRules, show: Show, max_fields: int
) -> tuple[FieldPair, ...]:
    """Return the fields of an answer whose twin has the same; none if they cannot."""
    if not max_fields:
        return ()
    try:
        body = read_body(answer, rules.max_decoded_bytes)
        value, _ = structures(body, body)
    except IncomparableError:
        return ()
    return _fields(value, value, rules, show, max_fields)


def _fields(
    main: object, shadow: object, rules: ComparisonRules, show: Show, limit: int
) -> tuple[FieldPair, ...]:
    if not limit:
        return ()
    return pair_fields(main, shadow, limit, state=rules.paths, show=show)


def _is_shallow(body: Body, value: object, max_depth: int) -> bool:
    is_one_text = not (body.media.is_events or body.media.is_json_lines)
    told = is_shallow_text(body.content, max_depth) if is_one_text else None
    return is_shallow(value, max_depth) if told is None else told


def _may_have_booleans(one: bytes, other: bytes) -> bool:
    return _has_booleans(one) or _has_booleans(other)


def _has_booleans(content: bytes) -> bool:
    return b"true" in content or b"false" in content
