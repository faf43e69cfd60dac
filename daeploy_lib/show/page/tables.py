"""Tables that scroll in a box of their own where a screen is too narrow."""

from collections.abc import Iterable, Sequence

from daeploy_lib.show.markup import Markup, element


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str | Markup]],
    *,
    columns: Sequence[str | None],
    classes: Sequence[str | None] = (),
) -> Markup:
    """
    Return a table in its box.

    Args:
        head: Names of the columns.
        rows: Cells; texts are escaped.
        columns: The class of each column's cells, such as ``n`` for numbers.
        classes: Of each row.
    """
    heads = [element("th", h, class_=c) for h, c in zip(head, columns, strict=True)]
    lines = []
    for place, row in enumerate(rows):
        cells = [
            element("td", cell, class_=name)
            for cell, name in zip(row, columns, strict=True)
        ]
        of_row = classes[place] if place < len(classes) else None
        lines.append(element("tr", *cells, class_=of_row))
    whole = element(
        "table", element("thead", element("tr", *heads)), element("tbody", *lines)
    )
    return box(whole)


def box(whole: Markup) -> Markup:
    """Return what is wide in a box that scrolls, by keyboard as well."""
    return element("div", whole, class_="scroll", tabindex="0")


def code(text: str) -> Markup:
    """Return a path, a name or a value of a service."""
    return element("code", text)
