"""One shadow on the page: the figures first, what they rest on below."""

from daeploy_lib.evidence import estimates
from daeploy_lib.evidence.estimates import Estimate
from daeploy_lib.evidence.histogram import Histogram
from daeploy_lib.evidence.summary import CONFIDENCE, ShadowSummary
from daeploy_lib.show import amounts
from daeploy_lib.show.markup import Markup, element, joined
from daeploy_lib.show.page.charts import agreement_chart, latency_chart
from daeploy_lib.show.page.examples import examples
from daeploy_lib.show.page.fields import differing, labels, numbers
from daeploy_lib.show.page.tables import table
from daeploy_lib.show.report_table import percent, points

_MEANING = {
    "match": "both answered alike",
    "differ": "the answers differ",
    "shadow_error": "the shadow's answer failed",
    "timeout": "the shadow did not answer in time",
    "refused": "the shadow could not be reached",
    "dropped_in_flight": "not copied: too many copies were under way",
    "dropped_bytes": "not copied: copies held too many bytes",
    "not_ready": "not copied: the shadow was not ready",
    "incomparable": "both answered, and could not be compared",
    "not_sampled": "not copied, by the sample rate",
    "excluded": "not copied, by the policy",
    "main_failed": "main gave no whole answer",
    "client_gone": "the client left before main's answer ended",
}
_STATUSES = 12


def shadow_section(shadow: ShadowSummary, base_url: str) -> Markup:
    """Return all that is shown of a shadow."""
    times = shadow.totals
    seen = ""
    if times.first_seen is not None:
        first, last = amounts.moment(times.first_seen), amounts.moment(times.last_seen)
        seen = f"{first} to {last}"
    head = element(
        "div",
        element("h2", shadow.version),
        element("span", "control: runs what main runs", class_="note")
        if shadow.is_control
        else joined(),
        element("span", seen, class_="note"),
        class_="head",
    )
    if not times.seen:
        nothing = element("p", "Nothing has been compared yet.", class_="soft")
        return element("section", head, nothing, class_="version")
    charts = joined(agreement_chart(shadow), latency_chart(shadow))
    return element(
        "section",
        head,
        _figures(shadow),
        element("div", charts, class_="charts") if charts else joined(),
        _latencies(shadow),
        differing(shadow),
        labels(shadow),
        numbers(shadow),
        examples(shadow, base_url),
        _outcomes(shadow),
        class_="version",
    )


def _figures(shadow: ShadowSummary) -> Markup:
    agreement = shadow.agreement
    main, other = shadow.main_errors, shadow.shadow_errors
    return element(
        "dl",
        element(
            "div",
            element("dt", "Agreement"),
            element("dd", percent(agreement.value), class_="agreement"),
            element("dd", _bar(agreement)),
        ),
        _figure("Exchanges", f"{shadow.exchanges:,}"),
        _figure("Errors of the shadow", percent(other.value), _ends(other)),
        _figure("Errors of main", percent(main.value), _ends(main)),
        _ratio("Median time, ratio", shadow.p50_ratio),
        _ratio("99th percentile, ratio", shadow.p99_ratio),
        _figure("Dropped", f"{shadow.dropped:,}"),
        class_="figures",
    )


def _figure(name: str, value: str, more: str = "") -> Markup:
    below = [element("small", more)] if more else []
    return element("div", element("dt", name), element("dd", value, *below))


def _ratio(name: str, estimate: Estimate) -> Markup:
    if estimate.value is None:
        return _figure(name, amounts.NOTHING)
    ends = amounts.interval(estimate)
    value = f"{estimate.value:.2f}"
    return _figure(name, value, "" if ends == amounts.NOTHING else ends)


def _ends(estimate: Estimate) -> str:
    if estimate.value is None:
        return ""
    return f"{points(estimate.low)} to {points(estimate.high)} %"


def _bar(estimate: Estimate) -> Markup:
    """Return the interval, and the measured share in it, between 0 and 100 %."""
    if estimate.value is None:
        return joined()
    low, high, at = (
        100 * part for part in (estimate.low, estimate.high, estimate.value)
    )
    drawing = element(
        "svg",
        element("rect", x=0, y=4, width=100, height=2, class_="track"),
        element(
            "rect", x=low, y=2, width=max(high - low, 0.4), height=6, class_="interval"
        ),
        element("rect", x=min(at, 99.6), y=0, width=0.4, height=10, class_="mark"),
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"Interval from {_ends(estimate)}",
        class_="bar-of",
    )
    words = f"{_ends(estimate)}, with {CONFIDENCE:.0%} confidence at any time"
    return joined(drawing, element("small", words))


def _latencies(shadow: ShadowSummary) -> Markup:
    times, alpha = shadow.totals.latencies, 1 - CONFIDENCE
    if not times.main_end.count:
        return joined()

    first = times.main_first_byte, times.shadow_first_byte
    end = times.main_end, times.shadow_end
    rows = [
        _latency_row(
            "First byte, p50",
            0.5,
            first,
            estimates.median(times.ratio_first_byte, alpha),
        ),
        _latency_row(
            "First byte, p99",
            0.99,
            first,
            estimates.tail_ratio(*first, alpha),
        ),
        _latency_row("End, p50", 0.5, end, shadow.p50_ratio),
        _latency_row("End, p99", 0.99, end, shadow.p99_ratio),
    ]
    head = ("", "Main", "Shadow", "Ratio", "Interval")
    return joined(
        element("h3", "Latency"),
        table(head, rows, columns=("whole", "n", "n", "n", "n")),
        element(
            "p",
            "Shadow over main; the ratio of p50 is the median of all requests' ratios.",
            class_="note",
        ),
    )


def _latency_row(
    name: str, q: float, sides: tuple[Histogram, Histogram], ratio: Estimate
) -> tuple[str, ...]:
    main, other = (amounts.seconds(side.quantile(q)) for side in sides)
    value = amounts.NOTHING if ratio.value is None else f"{ratio.value:.2f}"
    return name, main, other, value, amounts.interval(ratio)


def _outcomes(shadow: ShadowSummary) -> Markup:
    seen = [(name, n) for name, n in shadow.outcomes.items() if n]
    rows = [(name, f"{n:,}", _MEANING.get(name, "")) for name, n in seen]
    outcomes = table(("", "Count", ""), rows, columns=(None, "n", "why"))
    sides = [element("div", element("h3", "Outcomes"), outcomes)]
    counts = shadow.totals.statuses
    if counts.total:
        pairs = [(*pair.split(" ", 1), f"{n:,}") for pair, n in counts.most(_STATUSES)]
        rest = counts.total - sum(n for _, n in counts.most(_STATUSES))
        if rest:
            pairs.append(("others", "", f"{rest:,}"))
        head = ("Main", "Shadow", "Count")
        statuses = table(head, pairs, columns=(None, None, "n"))
        sides.append(element("div", element("h3", "Statuses"), statuses))
    return element("div", *sides, class_="pair")
