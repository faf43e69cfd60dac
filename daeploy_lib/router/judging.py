"""
Judging a pair of answers: at a glance, at once, or beside the event loop.

Most pairs are the same bytes, which is seen at a glance. Comparing small ones
takes less than handing them over to a thread would; the rest is compared in one
thread of its own, a few pairs at a time. What finds no place there is counted as
incomparable: a queue without end would be memory without end.
"""

import asyncio
import functools
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import time

from daeploy_lib.compare.comparing import compare, is_quick, is_same
from daeploy_lib.compare.comparison import MATCH, Agreement, Comparison, Reason
from daeploy_lib.compare.rules import ComparisonRules
from daeploy_lib.evidence.redaction import is_secret_header
from daeploy_lib.evidence.sample import Request, Sample
from daeploy_lib.router.outcome import Asked, Outcome, Pair, Settle

_log = logging.getLogger(__name__)

_NAMES = re.compile(rb"^([^:\r\n]+): ", re.MULTILINE)

_MAX_WAITING = 64

_SERVER_ERROR = 500

# Of as many fields numbers and labels are collected.
_MAX_FIELDS = 64

_OUTCOMES = {
    Agreement.match: Outcome.match,
    Agreement.differ: Outcome.differ,
    Agreement.incomparable: Outcome.incomparable,
}


class Comparing:
    """
    A judge that compares by rules.

    Args:
        rules_of: The rules of a service; None where nothing is compared.
    """

    def __init__(self, rules_of: Callable[[str], ComparisonRules | None]) -> None:
        self.rules_of = rules_of
        self._waiting = 0
        self._thread: ThreadPoolExecutor | None = None

    def compares(self, name: str) -> bool:
        """Return whether the answers of a service are compared."""
        return self.rules_of(name) is not None

    def __call__(self, pair: Pair, settle: Settle) -> None:
        """Call *settle* with the outcome of the pair."""
        rules = self.rules_of(pair.asked.name)
        main, shadow = pair.main.answer, pair.shadow.answer
        if rules is None or main is None or shadow is None:
            settle(Outcome.incomparable)
            return
        base, rules = rules, rules.for_path(pair.asked.path)
        if rules.redacted != base.redacted:
            # What is kept is redacted by the service's rules: these hide other fields.
            pair = pair._replace(may_be_kept=False)
        pairing = pair.pairing
        wants_fields = pairing is not None and pairing.wants_fields(len(main.body))
        # As often for pairs that differ: else the fields would seem to differ more.
        max_fields = _MAX_FIELDS if wants_fields else 0
        is_equal = is_same(main, shadow, rules)
        if is_equal and not wants_fields:
            self._found(pair, MATCH, settle)
        elif is_quick(main, shadow, rules):
            comparison, is_example = _compared(pair, rules, max_fields)
            self._found(pair, comparison, settle, is_example=is_example)
        elif self._waiting < _MAX_WAITING:
            self._hand_over(pair, rules, max_fields, settle)
        elif is_equal:
            self._found(pair, MATCH, settle)
        else:
            missed = Comparison(Agreement.incomparable, Reason.failed)
            self._found(pair, missed, settle)

    def close(self) -> None:
        """End the thread; pairs that wait for it are compared first."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    def _found(
        self,
        pair: Pair,
        comparison: Comparison,
        settle: Settle,
        *,
        is_example: bool = False,
    ) -> None:
        outcome = _OUTCOMES[comparison.agreement]
        pairing, main, shadow = pair.pairing, pair.main, pair.shadow
        # One that was given up meanwhile has been counted.
        if not settle(outcome) or pairing is None:
            return
        shape = comparison.shape
        is_plain = main.status < _SERVER_ERROR and shadow.status < _SERVER_ERROR
        has_more = is_example or comparison.fields or comparison.reason
        if not is_plain or has_more:
            pairing.add(_sample(pair, outcome, comparison, is_example=is_example))
            return
        pairing.add_compared(
            (
                *(time(), main.status, shadow.status),
                *(main.first_byte_s, main.elapsed_s),
                *(shadow.first_byte_s, shadow.elapsed_s),
                None if shape is None else shape.entries,
                comparison.is_all_counted,
            )
        )

    def _hand_over(
        self, pair: Pair, rules: ComparisonRules, max_fields: int, settle: Settle
    ) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="daeploy-compare")
        self._waiting += 1
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._thread, _compared, pair, rules, max_fields)

        def arrived(future: "asyncio.Future[tuple[Comparison, bool]]") -> None:
            self._waiting -= 1
            if future.cancelled():
                settle(Outcome.incomparable)
            else:
                comparison, is_example = future.result()
                self._found(pair, comparison, settle, is_example=is_example)

        done.add_done_callback(arrived)


def _sample(
    pair: Pair, outcome: Outcome, comparison: Comparison, *, is_example: bool
) -> Sample:
    main, shadow = pair.main, pair.shadow
    request = _request(pair.asked) if is_example else None
    return Sample(
        outcome,
        time(),
        main_status=main.status,
        shadow_status=shadow.status,
        main=main.timing,
        shadow=shadow.timing,
        comparison=comparison,
        request=request,
        main_answer=main.answer if request else None,
        shadow_answer=shadow.answer if request else None,
    )


def _request(asked: Asked) -> Request:
    lines = asked.lines.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in lines if line)
    return Request(
        asked.method.decode("ascii"),
        asked.path.decode("latin-1"),
        asked.query.decode("latin-1"),
        tuple((name, value) for name, _, value in pairs),
        asked.body,
        asked.body_bytes,
    )


def _compared(
    pair: Pair, rules: ComparisonRules, max_fields: int
) -> tuple[Comparison, bool]:
    """Return the comparison, and whether the pair is to be kept as an example."""
    main, shadow, pairing = pair.main.answer, pair.shadow.answer, pair.pairing
    assert main is not None  # noqa: S101 - the caller has looked
    assert shadow is not None  # noqa: S101
    secrets = secrets_of(pair.asked.lines)
    # Values cost as much to show as to compare, and few are ever looked at.
    comparison = compare(
        main, shadow, rules, secrets=secrets, max_fields=max_fields, is_shown=False
    )
    shape = comparison.shape
    if shape is None or pairing is None or not pair.may_be_kept:
        return comparison, False
    if not pairing.wants_example(shape.fingerprint):
        return comparison, False
    return compare(main, shadow, rules, secrets=secrets, max_fields=max_fields), True


def secrets_of(lines: bytes) -> list[str]:
    r"""
    Return the credentials in header lines, which must not be in what is kept.

    Example:
        >>> secrets_of(b"authorization: Bearer abcd\r\ncookie: s=123; t=4\r\n")
        ['Bearer abcd', 'Bearer', 'abcd', 's=123; t=4', '123', '4']
    """
    found: list[str] = []
    if not _has_secrets(tuple(_NAMES.findall(lines))):
        return found
    for line in lines.split(b"\r\n"):
        name, _, value = line.partition(b": ")
        if _is_secret(name):
            text = value.decode("latin-1")
            crumbs = (crumb.rpartition("=")[2] for crumb in text.split("; "))
            parts = crumbs if name == b"cookie" else text.split()
            found += [text, *parts]
    return found


# Bounded, as names come from clients; most send the same ones every time.
@functools.lru_cache(maxsize=64)
def _has_secrets(names: tuple[bytes, ...]) -> bool:
    return any(map(_is_secret, names))


@functools.lru_cache(maxsize=1024)
def _is_secret(name: bytes) -> bool:
    return is_secret_header(name.decode("latin-1"))
