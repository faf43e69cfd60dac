"""Questions before what cannot be taken back; never where nobody can answer."""

import sys
from collections.abc import Callable
from typing import TypeVar

import typer

from daeploy_lib.cli.failing import DeclinedError, RefusedError

_T = TypeVar("_T")


def confirm(question: str, *, is_sure: bool, refusal: str) -> None:
    """
    Ask, unless ``--yes`` was given; return if the answer is yes.

    Raises:
        DeclinedError: If it is no.
        RefusedError: If there is no terminal to ask on.
        KeyboardInterrupt: If it is Ctrl-C.
    """
    if is_sure:
        return
    if not sys.stdin.isatty():
        raise RefusedError(
            f"{refusal}: there is no terminal to ask on; --yes answers beforehand."
        )
    if not _answered(lambda: typer.confirm(question, err=_goes_to_errors())):
        raise DeclinedError(refusal)


def ask(question: str, default: str, *, option: str) -> str:
    """
    Ask for a word.

    Raises:
        ValueError: If there is no terminal to ask on.
        KeyboardInterrupt: If the answer is Ctrl-C.
    """
    if not sys.stdin.isatty():
        raise ValueError(f"There is no terminal to ask on: name it with {option}.")
    return str(
        _answered(lambda: typer.prompt(question, default, err=_goes_to_errors()))
    )


def _answered(asked: Callable[[], _T]) -> _T:
    try:
        return asked()
    except typer.Abort as error:
        print(file=sys.stderr)
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise DeclinedError("There was no answer; nothing was changed.") from None


def _goes_to_errors() -> bool:
    """Keep a question out of what a program reads."""
    return not sys.stdout.isatty()
