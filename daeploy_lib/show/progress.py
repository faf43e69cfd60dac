"""
Progress of a deployment for people: as lines, or as one display in a notebook.

Lines go to standard error, so that a script's own output stays its own.
"""

import html
import importlib
import sys
from collections.abc import Callable
from typing import Any, Protocol, TextIO

# Lines kept on display in a notebook.
_VISIBLE_LINES = 12


class _Step(Protocol):
    @property
    def stage(self) -> str: ...
    @property
    def text(self) -> str: ...


def progress(name: str, version: str) -> Callable[[_Step], None]:
    """
    Return what shows the events of one deployment where the caller looks.

    Example:
        >>> import attrs
        >>> Step = attrs.make_class("Step", ["stage", "text"])
        >>> progress("hello", "1.0.0")(Step("build", "Step 1/9"))
    """
    shell = _notebook_shell()
    if shell is not None:
        return _NotebookDisplay(f"{name} {version}")
    return _Lines(f"{name} {version}", sys.stderr)


class _Lines:
    """One line for each event, as it happens."""

    def __init__(self, title: str, stream: TextIO | None) -> None:
        self._title = title
        self._stream = stream

    def __call__(self, event: _Step) -> None:
        if self._stream is None:
            # A program without a console; print() would take standard output.
            return
        print(
            f"{self._title}  {event.stage:<6} {event.text}",
            file=self._stream,
            flush=True,
        )


class _NotebookDisplay:
    """The last lines of one deployment, in one display that updates in place."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._lines: list[str] = []
        self._display: Any = None

    def __call__(self, event: _Step) -> None:
        # A notebook runs in IPython, which is therefore installed.
        notebook: Any = importlib.import_module("IPython.display")

        self._lines = [*self._lines, f"{event.stage:<6} {event.text}"]
        self._lines = self._lines[-_VISIBLE_LINES:]
        if event.stage == "done":
            self._lines = self._lines[-1:]
        text = html.escape("\n".join(self._lines))
        shown = notebook.HTML(f"<b>{html.escape(self._title)}</b><pre>{text}</pre>")
        if self._display is None:
            self._display = notebook.display(shown, display_id=True)
        else:
            self._display.update(shown)


def _notebook_shell() -> Any:
    """Return IPython's shell if its front end is a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    # The terminal's shell has no kernel to send a display to.
    return shell if hasattr(shell, "kernel") else None
