"""Questions before what cannot be taken back; never where nobody can answer."""

import io
import select
import sys
from collections.abc import Callable
from typing import TypeVar

import typer

from daeploy_lib.cli.failing import DeclinedError, RefusedError

_T = TypeVar("_T")

# Seconds that a pipe has to hold an answer, such as that of yes(1).
_PIPED_S = 2.0


def confirm(question: str, *, is_sure: bool, refusal: str) -> None:
    """
    Ask, unless ``--yes`` was given; return if the answer is yes.

    Raises:
        DeclinedError: If it is no.
        RefusedError: If there is no terminal to ask on, and no answer in a pipe.
        KeyboardInterrupt: If it is Ctrl-C.
    """
    if is_sure:
        return
    nobody = RefusedError(
        f"{refusal}: there is no terminal to ask on; --yes answers beforehand."
    )
    if not _answered(lambda: typer.confirm(question, err=_goes_to_errors()), nobody):
        raise DeclinedError(refusal)


def ask(question: str, default: str, *, option: str) -> str:
    """
    Ask for a word.

    Raises:
        ValueError: If there is no terminal to ask on, and no answer in a pipe.
        KeyboardInterrupt: If the answer is Ctrl-C.
    """
    nobody = ValueError(f"There is no terminal to ask on: name it with {option}.")
    return str(
        _answered(
            lambda: typer.prompt(question, default, err=_goes_to_errors()), nobody
        )
    )


def _answered(asked: Callable[[], _T], nobody: Exception) -> _T:
    if not _may_be_answered():
        raise nobody
    try:
        return asked()
    except typer.Abort as error:
        print(file=sys.stderr)
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        if not sys.stdin.isatty():
            raise nobody from None
        raise DeclinedError("There was no answer; nothing was changed.") from None


def _may_be_answered() -> bool:
    """Return whether an answer can come: a pipe that stays silent has none."""
    if sys.stdin is None or sys.stdin.closed:
        return False
    if sys.stdin.isatty():
        return True
    try:
        return bool(select.select([sys.stdin], [], [], _PIPED_S)[0])
    except (io.UnsupportedOperation, OSError, ValueError):
        return True  # no pipe: it ends at once, or has what is asked for


def _goes_to_errors() -> bool:
    """Keep a question out of what a program reads."""
    return not sys.stdout.isatty()
