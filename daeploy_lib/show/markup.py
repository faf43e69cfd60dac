"""HTML and SVG of which every text is escaped, because nothing else can be made."""

import html

from daeploy_lib.show.printable import printable

# Characters of one text: values are looked at, not read to their end.
_LONGEST = 500


class Markup(str):
    """Text that is markup already; only ``element`` and ``joined`` make it."""

    __slots__ = ()


def element(
    name: str, *children: str | Markup, **attributes: str | float | None
) -> Markup:
    """
    Return an element; children that are no markup are escaped and cut.

    Args:
        name: Of the element.
        children: Texts and other elements.
        attributes: Underscores become hyphens, one at the end is dropped; None is
            left out.

    Example:
        >>> element("td", "1 < 2", class_="number")
        '<td class="number">1 &lt; 2</td>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children: str | Markup) -> Markup:
    """Return markup one after another; texts in it are escaped and cut."""
    return Markup("".join(_escaped(child) for child in children))


def lines(text: str, limit: int) -> Markup:
    r"""
    Return text that keeps its line breaks, and no other control.

    Example:
        >>> lines("a\n\x1b[2J<b>", 100)
        'a\n\\x1b[2J&lt;b&gt;'
    """
    cut = text if len(text) <= limit else f"{text[: limit - 1]}…"
    shown = "\n".join(printable(line, len(line)) for line in cut.split("\n"))
    return Markup(html.escape(shown))


def _escaped(child: str | Markup) -> str:
    if isinstance(child, Markup):
        return child
    return html.escape(printable(child, _LONGEST))


def _attribute(value: str | float) -> str:
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return html.escape(printable(value, _LONGEST))
    # Coordinates; more digits than a screen has points are waste.
    return f"{value:.2f}".rstrip("0").rstrip(".")
