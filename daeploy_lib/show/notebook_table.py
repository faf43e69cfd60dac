"""Tables as a notebook shows them: those of values, and the report's."""

from collections.abc import Iterable, Sequence

from daeploy_lib.evidence.summary import Summary
from daeploy_lib.show import report_table
from daeploy_lib.show.markup import Markup, element

# In the elements, for notebooks that are not trusted drop style sheets; without
# colours of its own, so that it is as light or dark as the notebook.
_LINE = "border:0;border-bottom:1px solid rgba(128,128,128,.35);"
_CELL = f"{_LINE}background:none;padding:.4em 1.4em .4em 0;vertical-align:top;"
_NUMBER = f"{_CELL}text-align:right;white-space:nowrap;"
_TEXT = f"{_CELL}text-align:left;"
_HEAD = "font-weight:400;font-size:.85em;opacity:.7;white-space:nowrap;"
_TABLE = (
    "border-collapse:collapse;border:0;font-variant-numeric:tabular-nums;margin:0;"
    "color:inherit;"
)
_TITLE = (
    "text-align:left;caption-side:top;font-weight:600;padding:0 0 .4em;color:inherit;"
)
_NOTE = "margin:.5em 0 0;font-size:.9em;opacity:.75;"
_WHOLE = f"{_TEXT}white-space:nowrap;"
_STYLES = {
    **dict.fromkeys(("EXCHANGES", "DROPPED"), _NUMBER),
    **dict.fromkeys(("SHADOW", "AGREEMENT", "P50 RATIO", "P99 RATIO"), _WHOLE),
}


def html_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """
    Return a table of texts, which are escaped.

    Example:
        >>> "<td" in html_table(["NAME"], [["hello"]])
        True
    """
    return _boxed(_table(columns, rows, [_WHOLE] * len(columns)))


def snippet(summary: Summary) -> str:
    """Return the report's table, with the notes below it."""
    styles = [_STYLES.get(column, _TEXT) for column in report_table.COLUMNS]
    rows = [report_table.row(shadow) for shadow in summary.shadows]
    title = element("caption", report_table.title(summary), style=_TITLE)
    table = _table(report_table.COLUMNS if rows else (), rows, styles, title)
    notes = [element("p", n, style=_NOTE) for n in report_table.notes(summary)]
    return _boxed(table, *notes)


def _table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    styles: Sequence[str],
    *caption: Markup,
) -> Markup:
    if not columns:
        return element("table", *caption, style=_TABLE)
    pairs = zip(columns, styles, strict=True)
    head = [element("th", text, style=style + _HEAD) for text, style in pairs]
    body = [
        element(
            "tr",
            *(element("td", c, style=s) for c, s in zip(row, styles, strict=True)),
            style="background:none",
        )
        for row in rows
    ]
    parts = [element("thead", element("tr", *head)), element("tbody", *body)]
    return element("table", *caption, *parts, style=_TABLE)


def _boxed(*parts: Markup) -> Markup:
    return element(
        "div",
        *parts,
        # Notebooks take what stands between two dollars for a formula; paths have them.
        class_="mathjax_ignore tex2jax_ignore",
        style="overflow-x:auto",
    )
