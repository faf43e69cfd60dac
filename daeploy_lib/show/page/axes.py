"""The frame of a small chart: an area, ticks, and lines that they stand on."""

import math
from collections.abc import Iterable

import attrs

from daeploy_lib.show.markup import Markup, element, joined

WIDTH = 360.0
HEIGHT = 190.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 10.0, 10.0, 24.0


@attrs.frozen
class Axis:
    """
    Where values are on one side of a chart.

    Attributes:
        low: The value at the beginning.
        high: The value at the end; larger than ``low``.
        begin: Where the beginning is, in the chart's units.
        end: Where the end is.
        is_log: Whether equal ratios are equally far apart.
    """

    low: float
    high: float
    begin: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """Return where a value is; what is outside is at the nearer end."""
        low, high, value = self.low, self.high, max(self.low, min(self.high, value))
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.begin + (self.end - self.begin) * (value - low) / (high - low)


def across(low: float, high: float, *, is_log: bool = False) -> Axis:
    """Return the axis from left to right."""
    return Axis(low, high, LEFT, WIDTH - RIGHT, is_log)


def upwards(low: float, high: float) -> Axis:
    """Return the axis from bottom to top."""
    return Axis(low, high, HEIGHT - BOTTOM, TOP)


def frame(
    x: Axis,
    y: Axis,
    x_ticks: Iterable[tuple[float, str]],
    y_ticks: Iterable[tuple[float, str]],
) -> Markup:
    """Return the lines of y and the words of both."""
    parts = []
    for value, words in y_ticks:
        at = y.at(value)
        parts.append(element("line", x1=x.begin, x2=x.end, y1=at, y2=at, class_="grid"))
        parts.append(
            element("text", words, x=x.begin - 6, y=at + 3.5, text_anchor="end")
        )
    for value, words in x_ticks:
        at = x.at(value)
        nearness = (at - x.begin) / (x.end - x.begin)
        anchor = "middle"
        if nearness > 0.92:  # noqa: PLR2004 - its words would stick out
            anchor = "end"
        parts.append(element("text", words, x=at, y=HEIGHT - 8, text_anchor=anchor))
    return joined(*parts)


def chart(title: str, says: str, *parts: Markup, note: str = "") -> Markup:
    """
    Return a chart with its title.

    Args:
        title: Above it.
        says: For those who do not see it.
        parts: Of the drawing.
        note: Below it.
    """
    drawing = element(
        "svg",
        *parts,
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
        role="img",
        aria_label=says,
    )
    below = [element("p", note, class_="note")] if note else []
    caption = element("figcaption", title)
    return element("figure", caption, drawing, *below)


def path(points: Iterable[tuple[float, float]]) -> Markup:
    """Return the ``d`` of a line through points."""
    return Markup("M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points))
