"""
Progress of a deployment for people: in a terminal, in a notebook, or as lines.

It goes to standard error, so that a script's own output stays its own.
"""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

from daeploy_lib.show.progress.course import Course, Step
from daeploy_lib.show.progress.lines import Lines
from daeploy_lib.show.progress.notebook import Notebook

_log = logging.getLogger(__name__)

# Terminals that cannot move the cursor.
_DUMB = ("dumb", "unknown")


class _Display(Protocol):
    """Where the course of one deployment is seen."""

    def begin(self, course: Course) -> None:
        """Begin to show it; nothing has happened yet."""
        ...

    def show(self, course: Course, event: Step) -> None:
        """Show it after an event."""
        ...

    def end(self, course: Course) -> None:
        """Show how it ended; nothing is shown later, and nothing is left behind."""
        ...


def progress(name: str, version: str, *, has_end: bool = True) -> "Progress":
    """
    Return what shows the events of one deployment where the caller looks.

    In a terminal that is one display that updates in place, if ``rich`` is
    installed (extra ``cli``); in a notebook too; elsewhere a line for each event.

    Args:
        name: The service.
        version: Its version.
        has_end: Whether a line stays when it has succeeded.

    Example:
        >>> import attrs
        >>> Step = attrs.make_class("Step", ["stage", "text"])
        >>> with progress("hello", "1.0.0") as show:
        ...     show(Step("build", "Step 1/9"))
    """
    return Progress(f"{name} {version}", _display, has_end=has_end)


class Progress:
    """
    Shows the events of one deployment; a failure of the display fails nothing.

    A context manager: what an exception leaves behind is how far it had come.

    Args:
        title: Name and version.
        display_of: Makes the display, given the title and whether a line stays.
        has_end: Whether a line stays when it has succeeded.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        title: str,
        display_of: Callable[[str, bool], _Display],
        *,
        has_end: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        now = clock()
        self._course = Course(title, now, now)
        self._display: _Display | None = None
        self._attempt(lambda: self._begin(display_of(title, has_end)))

    def __enter__(self) -> Self:
        return self

    def __call__(self, event: Step) -> None:
        """Show an event."""
        course = self._course = self._course.after(event, self._clock())
        display = self._display
        if display is not None:
            self._attempt(lambda: display.show(course, event))
        if course.ended is not None:
            self._end()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._course.ended is None:
            self._course = self._course.failed(error, self._clock())
        self._end()

    def _begin(self, display: _Display) -> None:
        self._display = display
        display.begin(self._course)

    def _end(self) -> None:
        display, self._display = self._display, None
        if display is not None:
            self._attempt(lambda: display.end(self._course))

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception:  # noqa: BLE001 - a terminal or a kernel may be gone
            _log.warning(
                "The progress of %s cannot be shown", self._course.title, exc_info=True
            )
            display, self._display = self._display, None
            if display is not None and self._course.ended is None:
                self._attempt(lambda: display.end(self._course))


def _display(title: str, has_end: bool) -> _Display:
    stream = sys.stderr
    if _is_notebook():
        return Notebook(has_end=has_end)
    if stream is not None and _is_terminal(stream):
        # Rich is optional.
        with contextlib.suppress(ImportError):
            from daeploy_lib.show.progress.terminal import Terminal  # noqa: PLC0415

            return Terminal(stream, has_end=has_end)
    return Lines(title, stream, has_end=has_end)


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM", "").lower() not in _DUMB


def _is_notebook() -> bool:
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    # The terminal's shell has no kernel to send a display to.
    return hasattr(shell, "kernel")
