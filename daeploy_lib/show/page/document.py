"""The whole page."""

from daeploy_lib.evidence.summary import ShadowSummary, Summary
from daeploy_lib.show import amounts
from daeploy_lib.show.markup import Markup, element, joined
from daeploy_lib.show.page.shadow import shadow_section
from daeploy_lib.show.page.style import STYLE
from daeploy_lib.show.page.tables import table
from daeploy_lib.show.report_table import COLUMNS, notes, row

# Nothing is loaded and nothing runs, whatever a service has answered.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


_CLASSES = {
    **dict.fromkeys(("EXCHANGES", "P50 RATIO", "P99 RATIO", "DROPPED"), "n"),
    **dict.fromkeys(("SHADOW", "AGREEMENT", "ERRORS MAIN / SHADOW"), "whole"),
    "DIFFERS IN": "many",
}


def document(summary: Summary, base_url: str) -> str:
    """
    Return a page that opens offline, as text that UTF-8 can encode.

    Args:
        summary: What it shows.
        base_url: Of the service, for the commands of examples.
    """
    head = joined(
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="referrer" content="no-referrer">'),
        element("title", f"{summary.name}: shadows of {summary.main}"),
        Markup(f"<style>{STYLE}</style>"),
    )
    since = f" since {amounts.moment(summary.since)}" if summary.since else ""
    body = joined(
        element(
            "header",
            element("h1", summary.name),
            element("p", f"Main is {summary.main}{since}."),
            *(element("p", note) for note in notes(summary)),
        ),
        element("main", _overview(summary), *_sections(summary, base_url)),
        element(
            "footer",
            "Intervals are always-valid: they hold however often they are looked at. "
            "Noise is what main also does when it is compared with itself.",
        )
        if summary.shadows
        else joined(),
    )
    page = element("html", element("head", head), element("body", body), lang="en")
    return f"<!doctype html>\n{page}\n"


def _overview(summary: Summary) -> Markup:
    if len(summary.shadows) <= 1:
        return joined()
    rows = [_row(shadow) for shadow in summary.shadows]
    head = [name.capitalize() for name in COLUMNS]
    columns = tuple(_CLASSES.get(name) for name in COLUMNS)
    return joined(element("h3", "All shadows"), table(head, rows, columns=columns))


def _row(shadow: ShadowSummary) -> tuple[str, ...]:
    # The intervals of the ratios stand below; fields need the room.
    ratios = [
        amounts.NOTHING if one.value is None else f"{one.value:.2f}"
        for one in (shadow.p50_ratio, shadow.p99_ratio)
    ]
    return *row(shadow)[:4], *ratios, *row(shadow)[6:]


def _sections(summary: Summary, base_url: str) -> list[Markup]:
    return [shadow_section(shadow, base_url) for shadow in summary.shadows]
