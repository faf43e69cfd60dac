"""A deployment in a notebook: HTML that updates in place, and ends as one line."""

import importlib
import threading
import time
from collections.abc import Callable
from typing import Any

from daeploy_lib.show.markup import Markup, element, joined
from daeploy_lib.show.progress.course import Course, Step
from daeploy_lib.show.progress.ticking import Ticker

# Seconds between two looks at the clock; a notebook's messages are kept for each.
_INTERVAL_S = 0.5

# Without colours of text and ground: as light or dark as the notebook is. In the
# elements, for notebooks that are not trusted drop style sheets.
_SOFT = "opacity:.7;"
_BAR = (
    "display:inline-block;width:12em;max-width:30%;height:.5em;margin:0 .8em 0 0;"
    "border-radius:.25em;overflow:hidden;background:rgba(128,128,128,.3);"
)
_PRE = (
    "margin:.3em 0 0;padding:0;background:none;color:inherit;font-size:.85em;"
    "line-height:1.4;white-space:pre-wrap;overflow-wrap:anywhere;opacity:.75;"
)
_FAILED = "color:#d1495b;font-weight:600;"


class Notebook:
    """
    One display of one deployment.

    It appears with the first event, or when that lets one wait: a mistake that is
    found at once leaves nothing but its error.

    Args:
        has_end: Whether a line stays when it has succeeded.
        clock: Seconds that only grow.
    """

    def __init__(
        self, *, has_end: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._has_end = has_end
        self._clock = clock
        # A notebook runs in IPython, which is therefore installed.
        self._ipython: Any = importlib.import_module("IPython.display")
        self._lock = threading.Lock()
        self._ticker = Ticker(_INTERVAL_S, self._tick)
        self._course: Course | None = None
        self._handle: Any = None
        self._shown: object = None

    def begin(self, course: Course) -> None:
        """Begin to look at the clock."""
        self._course = course
        self._ticker.start()

    def show(self, course: Course, event: Step) -> None:
        """Show a new stage or step at once, a line with the next look at the clock."""
        del event
        with self._lock:
            before, self._course = self._course, course
            is_same = before is not None and (before.stage, before.step) == (
                course.stage,
                course.step,
            )
            if not is_same or self._handle is None:
                self._send(course)

    def end(self, course: Course) -> None:
        """Show how it ended."""
        self._ticker.stop()
        with self._lock:
            self._course = course
            if self._handle is not None:
                self._send(course)

    def _tick(self) -> None:
        with self._lock:
            try:
                if self._course is not None and self._course.ended is None:
                    self._send(self._course)
            except Exception:  # noqa: BLE001 - the next event says so, or works
                return

    def _send(self, course: Course) -> None:
        content = representations(course, self._clock(), has_end=self._has_end)
        if content == self._shown:
            return
        if self._handle is None:
            self._handle = self._ipython.display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
        self._shown = content


def representations(
    course: Course, now: float, *, has_end: bool = True
) -> dict[str, str]:
    """
    Return a course as HTML and as text, by media type.

    Args:
        course: How far a deployment has come.
        now: The time, for what is under way.
        has_end: Whether something is shown of one that has succeeded.
    """
    if course.ended is not None and not course.failure:
        line = course.outcome if has_end else ""
        text = f"{course.title}  {line}" if has_end else ""
        parts = [_line(course, line)] if has_end else []
    elif course.failure:
        text = "\n".join([f"{course.title}  {course.outcome}", *course.lines])
        parts = [_line(course, course.outcome, _FAILED), *_lines(course)]
    else:
        words = f"{course.stage}, {course.words(now)}"
        text = "\n".join([f"{course.title}  {words}", *course.lines])
        parts = [_line(course, words, bar=_bar(course)), *_lines(course)]
    # Notebooks take what stands between two dollars for a formula.
    html = element("div", *parts, class_="mathjax_ignore tex2jax_ignore")
    return {"text/html": html, "text/plain": text}


def _line(
    course: Course, words: str, style: str = _SOFT, bar: Markup | None = None
) -> Markup:
    title = element("b", course.title, style="margin-right:.8em")
    said = element("span", words, style=style)
    return element("div", joined(title, bar or joined(), said))


def _lines(course: Course) -> list[Markup]:
    if not course.lines:
        return []
    text = Markup("\n".join(joined(line) for line in course.lines))
    return [element("pre", text, style=_PRE)]


def _bar(course: Course) -> Markup | None:
    if course.share is None:
        return None
    style = f"height:100%;width:{100 * course.share:.0f}%;background:#3f7fd9"
    return element("span", element("div", joined(), style=style), style=_BAR)
