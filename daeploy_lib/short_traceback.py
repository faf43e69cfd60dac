"""Tracebacks short enough to read, for IPython; scripts keep the plain ones."""

import linecache
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

# A statement may be long; which one it is, its first lines say.
_LINES = 5

_RED, _SOFT, _GREEN, _PLAIN = "\x1b[31m", "\x1b[2m", "\x1b[32m", "\x1b[0m"

_OWN = str(Path(__file__).parent)
_LIBRARIES = (
    _OWN,
    *(sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")),
)
_SITE = ("site-packages", "dist-packages")

# IPython's usual way to show a traceback; whoever chose another one is given it.
_USUAL_MODE = "Context"


def short_traceback(error: BaseException) -> list[str]:
    r"""
    Return an error as IPython shows it: its message, then the caller's own lines.

    Lines of libraries, this one among them, are left out. The whole traceback is
    in ``error.__traceback__``; ``%tb Plain`` shows it, or ``%xmode Plain`` for good.

    Args:
        error: That was raised.

    Example:
        >>> [text] = short_traceback(LookupError("No service 'x'.\x1b[2J"))
        >>> text
        "\x1b[31mLookupError\x1b[0m: No service 'x'.\\x1b[2J"
    """
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    usual: Any = getattr(shell, "InteractiveTB", None)
    if getattr(usual, "mode", _USUAL_MODE) != _USUAL_MODE:
        kind, trace = type(error), error.__traceback__
        shown: list[str] = usual.structured_traceback(kind, error, trace)
        return shown
    text = "\n".join(_parts(error, shell))
    if str(getattr(shell, "colors", "")).lower() == "nocolor":
        for colour in (_RED, _SOFT, _GREEN, _PLAIN):
            text = text.replace(colour, "")
    return [text]


def _parts(error: BaseException, shell: Any) -> Iterator[str]:
    yield f"{_RED}{type(error).__name__}{_PLAIN}: {_printable(str(error))}"
    hidden = 0
    trace = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if _is_library(name):
            hidden += 1
        else:
            yield f"\n{_place(name, trace.tb_lineno, shell)}"
            yield from _source(name, trace.tb_lineno, _last_line(trace))
        trace = trace.tb_next
    if hidden:
        lines = f"{hidden} line{'s' if hidden > 1 else ''} of libraries"
        yield f"\n{_SOFT}{lines} left out; %tb Plain shows all.{_PLAIN}"


def _is_library(name: str) -> bool:
    if name.startswith("<frozen "):
        return True
    return name.startswith(_LIBRARIES) or any(f"/{site}/" in name for site in _SITE)


def _place(name: str, line: int, shell: Any) -> str:
    """Return a cell as IPython calls it, and a file by its path."""
    try:
        label, short = shell.compile.format_code_name(name)
    except (AttributeError, TypeError):
        label, short = "File", name
    return f"{label} {_GREEN}{short}{_PLAIN}, line {line}"


def _source(name: str, first: int, last: int) -> Iterator[str]:
    for line in range(first, min(last, first + _LINES - 1) + 1):
        text = linecache.getline(name, line).rstrip("\n")
        if text:
            arrow = "-->" if line == first else "   "
            yield f"{_GREEN}{arrow}{_PLAIN} {line:>4} {text}"


def _last_line(trace: TracebackType) -> int:
    """Return where the statement ends that a line of a traceback is about."""
    positions = list(trace.tb_frame.f_code.co_positions())
    # An instruction has two bytes.
    place = trace.tb_lasti // 2
    _, last, _, _ = positions[place] if 0 <= place < len(positions) else (None,) * 4
    return last or trace.tb_lineno


def _printable(text: str) -> str:
    """Return text in which only ends of lines are controls."""
    return "\n".join(
        "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
        for line in text.split("\n")
    )
