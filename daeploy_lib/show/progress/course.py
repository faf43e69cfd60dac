"""How far one deployment has come: what every display of it shows."""

from typing import Protocol, Self

import attrs

from daeploy_lib.show.printable import printable

# The last lines that are remembered.
VISIBLE_LINES = 12
_LONGEST_LINE = 200
_MINUTE = 60


class Step(Protocol):
    """What is reported of a deployment; see ``runtimes.base.Event``."""

    @property
    def stage(self) -> str:
        """``source``, ``build``, ``start``, ``ready`` or ``done``."""
        ...

    @property
    def text(self) -> str:
        """One line for people."""
        ...

    @property
    def step(self) -> int | None:
        """Which step of the build this is, from 1; None if not known."""
        ...

    @property
    def steps(self) -> int | None:
        """How many there are; None if not known."""
        ...


@attrs.frozen
class Course:
    """
    How far a deployment has come; times are seconds of a clock that only grows.

    Attributes:
        title: Name and version.
        began: When it began.
        stage_began: When its stage began.
        stage: ``source``, ``build``, ``start``, ``ready`` or ``done``.
        lines: The last lines of that stage, oldest first, fit to be shown.
        step: Of the build, from 1; None if not known.
        steps: How many there are; None if not known.
        ended: When it ended; None if it has not.
        failure: How it failed; "" if it has not.

    Example:
        >>> course = Course("hello 1.0.0", 0.0, 0.0)
        >>> course.failed(KeyboardInterrupt(), 75.0).outcome
        'interrupted in source, after 1 min 15 s'
    """

    title: str
    began: float
    stage_began: float
    stage: str = "source"
    lines: tuple[str, ...] = ()
    step: int | None = None
    steps: int | None = None
    ended: float | None = None
    failure: str = ""

    def after(self, event: Step, now: float) -> Self:
        """Return the course after an event."""
        is_new = event.stage != self.stage
        earlier = () if is_new else self.lines
        text = printable(event.text, _LONGEST_LINE)
        return attrs.evolve(
            self,
            stage=event.stage,
            stage_began=now if is_new else self.stage_began,
            lines=(*earlier, text)[-VISIBLE_LINES:],
            # Not all who report steps know them; what is no step has none.
            step=getattr(event, "step", None),
            steps=getattr(event, "steps", None),
            ended=now if event.stage == "done" else None,
        )

    def failed(self, error: BaseException | None, now: float) -> Self:
        """
        Return the course after its failure.

        Lines that the error has in its message are dropped: shown there, they are
        not shown twice.
        """
        is_failure = error is None or isinstance(error, Exception)
        return attrs.evolve(
            self,
            failure="failed" if is_failure else "interrupted",
            lines=() if getattr(error, "log_lines", ()) else self.lines,
            ended=now,
        )

    @property
    def outcome(self) -> str:
        """How it ended, as one line without the title."""
        took = duration((self.ended or self.began) - self.began)
        if self.failure:
            return f"{self.failure} in {self.stage}, after {took}"
        return f"{self.lines[-1] if self.lines else self.stage} ({took})"

    @property
    def share(self) -> float | None:
        """How much of the build is done, from 0 to 1; None if not known."""
        if self.stage != "build" or not self.step or not self.steps:
            return None
        # The step itself is under way.
        return min(1.0, (self.step - 1) / self.steps)

    def words(self, now: float) -> str:
        """Return where it is, and for how long."""
        if self.stage == "ready":
            return f"{duration(now - self.stage_began)} of waiting"
        counted = "" if self.share is None else f"step {self.step} of {self.steps}, "
        return f"{counted}{duration(now - self.began)}"


def duration(seconds: float) -> str:
    """
    Return seconds in words.

    Example:
        >>> duration(0.24), duration(12.6), duration(125)
        ('0.2 s', '13 s', '2 min 5 s')
    """
    if seconds < 9.95:  # noqa: PLR2004 - what is shown with one decimal
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
