"""What a figure is made of: each function draws into one of its axes."""

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from daeploy_lib.evidence.histogram import Histogram
from daeploy_lib.evidence.labels import LabelTotals
from daeploy_lib.evidence.numbers import NumberTotals
from daeploy_lib.evidence.summary import CONFIDENCE, ShadowSummary
from daeploy_lib.show import series
from daeploy_lib.show.confusion import matrix
from daeploy_lib.show.printable import printable
from daeploy_lib.show.ticks import labelled, log_ticks, round_seconds, time_ticks

# Of a brightness between black and white, to be seen on either.
SHADOW = "#3b7ddd"
MAIN = "#8a909a"
_TITLE = 48
_LABEL = 12
_LABELS = 8


def title(axes: Axes, text: str) -> None:
    """Write what is drawn; a path's dollars do not begin a formula."""
    axes.set_title(
        printable(text, _TITLE), loc="left", fontsize="medium", parse_math=False
    )
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def say(axes: Axes, text: str) -> None:
    """Write why nothing is drawn."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color=MAIN, parse_math=False)


def agreement(axes: Axes, shadow: ShadowSummary) -> None:
    """Draw how agreement went, with the interval of each span of time."""
    title(axes, "Agreement over time")
    spans = series.spans(shadow.totals.timeline, CONFIDENCE)
    if not spans:
        say(axes, "Nothing has been compared yet.")
        return
    for span in spans:
        ends = [span.begin, span.end]
        axes.fill_between(
            ends, span.low, span.high, color=SHADOW, alpha=0.2, linewidth=0
        )
        axes.plot(ends, [span.share, span.share], color=SHADOW, linewidth=2)
    ticks = time_ticks(spans[0].begin, spans[-1].end)
    axes.set_xticks(*zip(*ticks, strict=True))
    axes.set_xlabel("UTC")
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def latencies(axes: Axes, shadow: ShadowSummary) -> None:
    """Draw which share of the answers ended by when."""
    title(axes, "Time to the end of an answer")
    times = shadow.totals.latencies
    if not times.main_end.count:
        say(axes, "Nothing was timed yet.")
        return
    _curve(axes, times.main_end, "main", MAIN)
    _curve(axes, times.shadow_end, "shadow", SHADOW)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    ticks = labelled(log_ticks(low, high), round_seconds)
    axes.set_xticks(*zip(*ticks, strict=True))
    axes.minorticks_off()
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(frameon=False, loc="lower right")


def _curve(axes: Axes, histogram: Histogram, name: str, color: str) -> None:
    points = series.cumulative(histogram)
    values, shares = [p[0] for p in points], [p[1] for p in points]
    axes.plot(values, shares, color=color, linewidth=1.75, label=name)


def differences(axes: Axes, path: str, numbers: NumberTotals) -> None:
    """Draw how often the shadow's number differs by how much."""
    title(axes, f"{path}: shadow minus main")
    bars, _ = series.difference_bars(numbers)
    if not bars:
        say(axes, f"All {numbers.count:,} pairs are equal.")
        return
    axes.bar(
        [low for low, _, _ in bars],
        [n for _, _, n in bars],
        [high - low for low, high, _ in bars],
        align="edge",
        color=SHADOW,
    )
    axes.axvline(0, color=MAIN, linewidth=1)
    axes.set_xlabel(f"{numbers.equal:,} of {numbers.count:,} pairs are equal")
    axes.locator_params(axis="x", nbins=5)


def confusion(axes: Axes, path: str, labels: LabelTotals) -> None:
    """Draw which label of the shadow met which of main."""
    made = matrix(labels, _LABELS)
    title(axes, path)
    if not made.labels:
        say(axes, "No labels were compared yet.")
        return
    most = max(max(row) for row in made.counts) or 1
    axes.imshow(made.counts, cmap="Blues", vmin=0, vmax=most * 1.5, aspect="auto")
    for row, counts in enumerate(made.counts):
        for column, n in enumerate(counts):
            # The cells are light, whatever is around them.
            words = f"{n:,}" if n else ""
            axes.text(column, row, words, ha="center", va="center", color="#1b1d21")
    places = range(len(made.labels))
    names = [printable(printable(label), _LABEL) for label in made.labels]
    turned = 90 if len(names) > 3 else 0  # noqa: PLR2004 - fit beside one another
    axes.set_xticks(places, names, parse_math=False, rotation=turned)
    axes.set_yticks(places, names, parse_math=False)
    axes.set_xlabel("shadow")
    axes.set_ylabel("main")
