"""Deployments in a terminal: one display for all that are under way."""

import atexit
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from daeploy_lib.show.progress.course import Course, Step
from daeploy_lib.show.progress.ticking import Ticker

# Seconds between two pictures; fast enough for an eye.
_INTERVAL_S = 0.125
_BAR_WIDTH = 24
# The bar is left out where the words would not fit beside it.
_BAR_FROM_WIDTH = 70
# Columns left free: a terminal shows ^C behind the last line, and some begin a new
# line after their last column. What has become longer is not wiped out as a whole.
_FREE = 3
# Lines of one that failed, that stay.
_LAST_LINES = 5


class Terminal:
    """
    One deployment of those in the display.

    Args:
        stream: The terminal.
        has_end: Whether a line stays when it has succeeded.
    """

    def __init__(self, stream: TextIO, *, has_end: bool = True) -> None:
        self._stream = stream
        self._has_end = has_end
        self._has_begun = False

    def begin(self, course: Course) -> None:
        """Have it in the display from its next picture on."""
        _SCREEN.put(self, course, self._stream)

    def show(self, course: Course, event: Step) -> None:
        """Have it in the display from its next picture on."""
        del event
        self._has_begun = True
        _SCREEN.put(self, course, self._stream)

    def end(self, course: Course) -> None:
        """Take it out of the display; how it ended stays, above it."""
        is_success = not course.failure
        # A mistake that is found at once leaves nothing but its error.
        is_said = self._has_begun and (self._has_end or not is_success)
        _SCREEN.remove(self, ending(course) if is_said else None)


class _Screen:
    """
    The display of this process, there while a deployment is under way.

    A terminal has one place at its end where lines can change. Two displays
    would write over each other.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._courses: dict[Terminal, Course] = {}
        self._live: Live | None = None
        self._ticker: Ticker | None = None

    def put(self, row: Terminal, course: Course, stream: TextIO) -> None:
        """Show a course, in place of what was shown of it."""
        with self._lock:
            self._courses[row] = course
            if self._live is None:
                self._open(stream)

    def remove(self, row: Terminal, last: Text | None) -> None:
        """Show it no more, but for some last words."""
        ticker = None
        with self._lock:
            if self._courses.pop(row, None) is None or self._live is None:
                return
            live = self._live
            if not self._courses:
                ticker, self._ticker, self._live = self._ticker, None, None
                self._close(live)
            elif live.is_started:
                live.refresh()
            if last is not None:
                live.console.print(last, soft_wrap=True)
        if ticker is not None:
            # Not under the lock, which its thread may be waiting for.
            ticker.stop()

    def close(self) -> None:
        """Leave the terminal as it was, with whatever is under way."""
        with self._lock:
            live, self._live = self._live, None
            self._courses.clear()
            if live is not None:
                self._close(live)

    def _open(self, stream: TextIO) -> None:
        live = Live(
            console=Console(file=stream),
            get_renderable=self._picture,
            auto_refresh=False,
            transient=True,
            # What is printed comes above the display. Where standard output is
            # something else, nothing of it must come here.
            redirect_stdout=_is_same(sys.stdout, stream),
            redirect_stderr=True,
        )
        self._live = live
        self._ticker = Ticker(_INTERVAL_S, self._tick)
        atexit.unregister(self.close)
        atexit.register(self.close)
        self._ticker.start()

    def _close(self, live: Live) -> None:
        if not live.is_started:
            return
        try:
            live.stop()
        finally:
            # Also when that was interrupted.
            live.console.show_cursor(show=True)

    def _tick(self) -> None:
        # A terminal that has gone away is no reason to stop.
        with self._lock, contextlib.suppress(Exception):
            live = self._live
            if live is None:
                return
            if not live.is_started:
                live.start()
            live.refresh()

    def _picture(self) -> Group:
        console = self._live.console if self._live is not None else None
        width = 0 if console is None else console.width
        is_plain = console is not None and console.options.ascii_only
        now = self._clock()
        lines: list[Text] = []
        for course in list(self._courses.values()):
            lines += picture(course, now, width, is_plain=is_plain)
        return Group(*lines)


def _is_same(one: TextIO | None, other: TextIO) -> bool:
    """Return whether two streams write to the same terminal."""
    try:
        return one is not None and os.path.sameopenfile(one.fileno(), other.fileno())
    except (OSError, ValueError, AttributeError):
        return False


def picture(
    course: Course, now: float, width: int, *, is_plain: bool = False
) -> list[Text]:
    """
    Return the lines that show a course, none of them longer than a width.

    Args:
        course: How far a deployment has come.
        now: The time.
        width: In columns.
        is_plain: Whether only ASCII can be shown.
    """
    first = Text.assemble((course.title, "bold"), "  ", (course.stage, "cyan"), "  ")
    if course.share is not None and width >= _BAR_FROM_WIDTH:
        line = "-" if is_plain else "━"
        full = round(course.share * _BAR_WIDTH)
        first.append(("#" if is_plain else line) * full, "cyan")
        first.append(line * (_BAR_WIDTH - full), "bright_black")
        first.append("  ")
    first.append(course.words(now))
    shown = [first]
    if course.lines:
        shown.append(Text(f"  {course.lines[-1]}", "bright_black"))
    for text in shown:
        text.no_wrap = True
        text.truncate(
            max(1, width - _FREE), overflow="crop" if is_plain else "ellipsis"
        )
    return shown


def ending(course: Course) -> Text:
    """Return what stays of a course."""
    style = "bold red" if course.failure else "green"
    said = Text.assemble((course.title, "bold"), "  ", (course.outcome, style))
    if course.failure:
        for line in course.lines[-_LAST_LINES:]:
            said.append(f"\n  {line}", "bright_black")
    return said


_SCREEN = _Screen()
