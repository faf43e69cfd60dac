"""A deployment as plain lines, for whatever is neither terminal nor notebook."""

from typing import TextIO

from daeploy_lib.show.progress.course import Course, Step


class Lines:
    """
    One line for each event, as it happens.

    Args:
        title: Name and version.
        stream: Where to; None: a program without a console, which is shown nothing.
        has_end: Whether the last event, ``done``, has a line.
    """

    def __init__(
        self, title: str, stream: TextIO | None, *, has_end: bool = True
    ) -> None:
        self._title = title
        self._stream = stream
        self._has_end = has_end

    def begin(self, course: Course) -> None:
        """Do nothing: there is no event yet."""

    def show(self, course: Course, event: Step) -> None:
        """Print the line of an event."""
        if self._stream is None or (course.ended is not None and not self._has_end):
            return
        print(
            f"{self._title}  {event.stage:<6} {event.text}",
            file=self._stream,
            flush=True,
        )

    def end(self, course: Course) -> None:
        """Do nothing: the error says what happened."""
