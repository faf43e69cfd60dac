"""The words of options, read as the values that the verbs take."""

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from daeploy_lib.domain.spec import Mount
from daeploy_lib.evidence.gate import Gate

_SPAN = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PARTS = 2


def environment_of(pairs: Iterable[str], file: Path | None) -> Mapping[str, str]:
    """
    Return the variables of ``--env`` and ``--env-file``; the former win.

    A name without a value takes it from this process, so that a secret is not
    written into a shell's history.

    Raises:
        ValueError: If one is neither; what was written is not repeated.
        OSError: If the file cannot be read.
    """
    found: dict[str, str] = {}
    if file is not None:
        for number, line in enumerate(_lines(file), 1):
            text = line.strip().removeprefix("export ")
            if text and not text.startswith("#"):
                found.update([_pair(text, f"{file}, line {number}")])
    found.update(_pair(text, "--env") for text in pairs)
    return found


def _lines(file: Path) -> Sequence[str]:
    try:
        return file.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not UTF-8 text, and so no --env-file.") from None


def _pair(text: str, where: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    name = name.strip()
    if equals:
        return name, value
    if name not in os.environ:
        raise ValueError(
            f"{where}: expected NAME=VALUE, or the NAME of a variable that is set "
            f"here. It is neither, and is not repeated, for it may be a secret."
        )
    return name, os.environ[name]


def mounts_of(words: Iterable[str]) -> Sequence[Mount]:
    """
    Return the mounts of ``SOURCE:TARGET`` or ``SOURCE:TARGET:rw``.

    Raises:
        ValueError: If one is something else.
    """
    return [_mount(word) for word in words]


def _mount(word: str) -> Mount:
    source, *rest = word.split(":")
    mode = rest[1] if len(rest) == _PARTS else "ro"
    if not source or not rest or len(rest) > _PARTS or mode not in {"ro", "rw"}:
        raise ValueError(
            f"Invalid --mount {word!r}. Allowed: SOURCE:TARGET, read-only, or "
            f"SOURCE:TARGET:rw."
        )
    path = Path(source).expanduser().absolute()
    return Mount(os.path.normpath(path), rest[0], read_only=mode == "ro")


def command_of(text: str | None) -> Sequence[str] | None:
    """
    Return the words of ``--command``, as a shell would split them.

    Raises:
        ValueError: If a quotation is not closed.
    """
    if text is None:
        return None
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"--command cannot be split into words: {error}.") from None


def gpus_of(text: str) -> int | str:
    """Return a count, or ``all``; ``Resources`` refuses what is neither."""
    return int(text) if text.isdecimal() else text


def tail_of(text: str) -> int | None:
    """
    Return how many lines; None for ``all``.

    Raises:
        ValueError: If it is neither.
    """
    if text == "all":
        return None
    if not text.isdecimal():
        raise ValueError(f"--tail is a number of lines or 'all', not {text!r}.")
    return int(text)


def since_of(text: str | None) -> datetime | None:
    """
    Return the time that ``10m``, ``2h`` ago or ``2026-11-23 11:30`` means.

    Raises:
        ValueError: If it is none.
    """
    if text is None:
        return None
    span = _SPAN.fullmatch(text)
    try:
        if span is not None:
            seconds = int(span[1]) * _SECONDS[span[2]]
            return datetime.now().astimezone() - timedelta(seconds=seconds)
        return datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(
            f"--since is a span such as 90s, 10m, 2h or 1d, or a time such as "
            f"'2026-11-23 11:30:00', not {text!r}."
        ) from None


def gate_of(thresholds: Mapping[str, str | None]) -> Gate:
    """
    Return the gate of the options that were given; ``none`` leaves one out.

    Raises:
        ValueError, TypeError: If one is no number, or not in its range.
    """
    given = {name: text for name, text in thresholds.items() if text is not None}
    return Gate(**{name: _number(name, text) for name, text in given.items()})


def _number(name: str, text: str) -> float | int | None:
    if text.lower() == "none":
        return None
    try:
        return int(text) if name == "min_exchanges" else float(text)
    except ValueError:
        option = "--" + name.replace("_", "-")
        raise ValueError(f"{option} is a number, not {text!r}.") from None
