"""Which fields differ, and how: numbers and labels."""

from daeploy_lib.evidence.labels import LabelTotals
from daeploy_lib.evidence.noise import Weighed
from daeploy_lib.evidence.numbers import NumberTotals
from daeploy_lib.evidence.summary import QUANTILES, ShadowSummary
from daeploy_lib.show.amounts import NOTHING, number
from daeploy_lib.show.confusion import Matrix, matrix
from daeploy_lib.show.markup import Markup, element, joined
from daeploy_lib.show.page.charts import difference_chart
from daeploy_lib.show.page.tables import box, code, table
from daeploy_lib.show.printable import printable
from daeploy_lib.show.ranking import differing_labels, differing_numbers
from daeploy_lib.show.report_table import percent, points

_FIELDS = 40
_DETAILED = 12
_LABEL = 24
# As many columns have room beside the text.
_BESIDE = 5


def differing(shadow: ShadowSummary) -> Markup:
    """Return what differs how often, and whether it is noise."""
    found = sorted(shadow.differences, key=lambda one: one.is_excused)
    if not found:
        return joined()
    shown = found[:_FIELDS]
    rows = [_row(one) for one in shown]
    more = len(found) - len(shown)
    head = ("Field", "Kind", "Share", "Interval", "Noise", "Because")
    return joined(
        element("h3", "What differs"),
        table(
            head,
            rows,
            columns=("path", None, "n", "n", None, "why"),
            classes=["noise" if one.is_excused else None for one in shown],
        ),
        element("p", f"{more:,} more are not shown.", class_="note")
        if more
        else joined(),
    )


def _row(one: Weighed) -> tuple[str | Markup, ...]:
    kind, _, path = one.entry.partition(" ")
    return (
        code(path),
        kind,
        percent(one.rate),
        f"{points(one.interval.low)} to {points(one.interval.high)} %",
        "yes" if one.is_excused else "no",
        one.reason,
    )


def labels(shadow: ShadowSummary) -> Markup:
    """Return how labels differ, field by field."""
    off = differing_labels(shadow)
    shown = [_label_field(path, shadow.labels[path]) for path in off[:_DETAILED]]
    return _section("Labels", shown, len(off), len(shadow.labels))


def numbers(shadow: ShadowSummary) -> Markup:
    """Return how numbers differ, field by field."""
    off = differing_numbers(shadow)
    shown = [_number_field(path, shadow.numbers[path]) for path in off[:_DETAILED]]
    return _section("Numbers", shown, len(off), len(shadow.numbers))


def _section(name: str, shown: list[Markup], differ: int, known: int) -> Markup:
    if not known:
        return joined()
    notes = []
    if known > differ:
        notes.append(f"Always equal: {known - differ} of {known} fields.")
    if differ > len(shown):
        notes.append(f"Of those that differ, {differ - len(shown)} are not shown.")
    words = [element("p", " ".join(notes), class_="note")] if notes else []
    return joined(element("h3", name), *shown, *words)


def _number_field(path: str, totals: NumberTotals) -> Markup:
    facts = [
        ("Pairs", f"{totals.count:,}"),
        ("Equal", f"{totals.equal:,}"),
        ("Mean of main", number(totals.mean_main)),
        ("Mean of the shadow", number(totals.mean_shadow)),
        ("Bias", number(totals.mean_difference)),
        ("Deviation of the difference", number(totals.deviation)),
        ("Correlation", number(totals.correlation)),
    ]
    quantiles = table(
        [f"{100 * q:.0f} %" for q in QUANTILES],
        [[number(totals.quantile(q)) for q in QUANTILES]],
        columns=["n"] * len(QUANTILES),
    )
    rows = [
        element("tr", element("th", n), element("td", v, class_="n")) for n, v in facts
    ]
    return element(
        "div",
        element(
            "div",
            element("h4", code(path)),
            box(element("table", element("tbody", *rows))),
        ),
        element(
            "div",
            difference_chart(totals),
            element("p", "Quantiles of the difference", class_="label"),
            quantiles,
        ),
        class_="field",
    )


def _label_field(path: str, totals: LabelTotals) -> Markup:
    made = matrix(totals)
    notes = [element("p", f"{percent(totals.agreement)} of {totals.count:,} agree.")]
    if made.rest:
        words = f"{made.rest:,} pairs of less frequent labels are not shown."
        notes.append(element("p", words, class_="note"))
    return element(
        "div",
        element("div", element("h4", code(path)), *notes),
        element("div", _matrix(made)),
        class_="field" if len(made.labels) <= _BESIDE else "field stacked",
    )


def _matrix(made: Matrix) -> Markup:
    most = max((max(row) for row in made.counts), default=0) or 1
    rows = []
    for place, (label, counts) in enumerate(zip(made.labels, made.counts, strict=True)):
        cells = [
            element(
                "td",
                f"{n:,}" if n else "",
                class_="hit" if place == column else "off",
                style=f"--a:{n / most:.2f}",
            )
            for column, n in enumerate(counts)
        ]
        rows.append(element("tr", _label(label), *cells))
    corner = element("th", "main ↓ shadow →", class_="corner")
    head = element("tr", corner, *map(_label, made.labels))
    return box(
        element(
            "table",
            element("thead", head),
            element("tbody", *rows),
            class_="matrix",
        )
    )


def _label(label: str) -> Markup:
    return element("th", printable(label, _LABEL) or NOTHING, title=label)
