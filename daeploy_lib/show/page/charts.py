"""Agreement over time, latencies of both, and differences of numbers, as SVG."""

from daeploy_lib.evidence.histogram import Histogram
from daeploy_lib.evidence.numbers import NumberTotals
from daeploy_lib.evidence.summary import CONFIDENCE, ShadowSummary
from daeploy_lib.show import amounts, series
from daeploy_lib.show.markup import Markup, element, joined
from daeploy_lib.show.page.axes import (
    BOTTOM,
    HEIGHT,
    TOP,
    Axis,
    across,
    chart,
    frame,
    path,
    upwards,
)
from daeploy_lib.show.ticks import (
    labelled,
    log_ticks,
    round_seconds,
    round_ticks,
    time_ticks,
)


def agreement_chart(shadow: ShadowSummary) -> Markup:
    """Return how agreement went; nothing if nothing was compared."""
    spans = series.spans(shadow.totals.timeline, CONFIDENCE)
    if not spans:
        return joined()
    begin, end = spans[0].begin, spans[-1].end
    x, y = across(begin, end), upwards(0, 1)
    bands, steps = [], []
    for span in spans:
        left, width = x.at(span.begin), x.at(span.end) - x.at(span.begin)
        top, bottom = y.at(span.high), y.at(span.low)
        height = max(bottom - top, 0.5)
        bands.append(
            element("rect", x=left, y=top, width=width, height=height, class_="band")
        )
        at = y.at(span.share)
        steps.append(
            element("line", x1=left, x2=left + width, y1=at, y2=at, class_="shadow")
        )
    shares = labelled([0, 0.25, 0.5, 0.75, 1], lambda share: f"{100 * share:.0f} %")
    excused = any(one.is_excused for one in shadow.differences)
    return chart(
        "Agreement over time",
        f"Agreement in {len(spans)} spans of time",
        frame(x, y, time_ticks(begin, end), shares),
        *bands,
        *steps,
        note="UTC; the band is each span's interval."
        + (" Noise counts as differing here." if excused else ""),
    )


def latency_chart(shadow: ShadowSummary) -> Markup:
    """Return which share of answers ended by when; nothing without answers."""
    times = shadow.totals.latencies
    main, other = (series.cumulative(h) for h in (times.main_end, times.shadow_end))
    values = [value for value, _ in (*main, *other)]
    if not values:
        return joined()
    low, high = min(values) / 1.1, max(values) * 1.1
    x, y = across(low, high, is_log=True), upwards(0, 1)
    shares = labelled([0, 0.5, 0.9, 1], lambda share: f"{100 * share:.0f} %")
    ticks = labelled(log_ticks(low, high), round_seconds)
    late = _beyond(times.shadow_end)
    return chart(
        joined(
            element("span", "Time to the end of an answer"),
            element("span", "main", class_="key main"),
            element("span", "shadow", class_="key shadow"),
        ),
        "Share of answers that ended by a time, of main and of the shadow",
        frame(x, y, ticks, shares),
        _curve(main, x, y, "main"),
        _curve(other, x, y, "shadow"),
        note=f"{late:,} answers of the shadow did not end in time." if late else "",
    )


def _curve(points: list[tuple[float, float]], x: Axis, y: Axis, name: str) -> Markup:
    if not points:
        return joined()
    found = [(x.at(value), y.at(share)) for value, share in points]
    found = [(x.begin, found[0][1]), *found, (x.end, found[-1][1])]
    return element("path", d=path(found), class_=name)


def _beyond(histogram: Histogram) -> int:
    points = series.cumulative(histogram)
    share = points[-1][1] if points else 0.0
    return round(histogram.count * (1 - share))


def difference_chart(numbers: NumberTotals) -> Markup:
    """Return a histogram of shadow minus main, where these differ."""
    bars, beyond = series.difference_bars(numbers)
    most = max((n for _, _, n in bars), default=0)
    if not most:
        return joined()
    low, high = bars[0][0], bars[-1][1]
    x, y = across(low, high), upwards(0, most)
    zero = x.at(0)
    drawn = [
        element(
            "rect",
            x=x.at(begin) + 0.5,
            width=max(x.at(end) - x.at(begin) - 1, 0.5),
            y=y.at(n),
            height=y.at(0) - y.at(n),
            class_="bar",
        )
        for begin, end, n in bars
        if n
    ]
    counts = [0.0, float(most)]
    note = f"{numbers.equal:,} equal ones are left out"
    note += f", and {beyond:,} that are farther off." if beyond else "."
    return chart(
        "Shadow minus main",
        "How often the shadow's number differs by how much",
        frame(
            *(x, y),
            labelled(round_ticks(low, high), amounts.number),
            labelled(counts, lambda n: f"{n:,.0f}"),
        ),
        element("line", x1=zero, x2=zero, y1=TOP, y2=HEIGHT - BOTTOM, class_="zero"),
        *drawn,
        note=note,
    )
