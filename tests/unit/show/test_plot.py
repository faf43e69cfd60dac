"""The figure of a report; Matplotlib draws it for real."""

import subprocess
import sys

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from daeploy_lib import Report
from daeploy_lib.evidence.latencies import Timing
from daeploy_lib.evidence.summary import ShadowSummary, summarise
from daeploy_lib.evidence.totals import Totals

PNG = b"\x89PNG\r\n"


class Pair:
    """One field in both answers."""

    def __init__(self, path: str, main: object, shadow: object) -> None:
        self.path, self.main, self.shadow = path, main, shadow


def shadow(
    *differing: str, version: str = "2.0.0", label: str = "cat"
) -> ShadowSummary:
    """Return a shadow with $.score, $.label and $.same; the last never differs."""
    made = Totals()
    for n in range(40):
        made.add(
            "differ" if n % 2 else "match",
            at=1.7e9 + n,
            main=Timing(0.01, 0.02),
            shadow=Timing(0.01, 0.02 + n / 1000),
            differences=[(path, "value") for path in differing] if n % 2 else [],
            fields=[
                Pair("$.score", n, n + n % 2),
                Pair("$.label", label, label if n % 3 else "dog"),
                Pair("$.same", 1, 1),
            ],
        )
    return summarise(version, made)


def report(*shadows: ShadowSummary) -> Report:
    """Return a report of them."""
    return Report("hello", "1.0.0", None, shadows)


def image(figure: Figure) -> bytes:
    """Return what a notebook shows."""
    shown: bytes = figure._repr_png_()  # type: ignore[attr-defined]
    return shown


def titles(figure: Figure) -> list[str]:
    """Return what stands above the three drawings."""
    return [axes.get_title(loc="left") for axes in figure.axes]


def words(figure: Figure) -> list[str]:
    """Return the texts in the drawings."""
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_three_drawings() -> None:
    """Agreement, latencies of both, and the labels as a matrix of counts."""
    figure = report(shadow("$.label")).plot()
    assert titles(figure) == [
        "Agreement over time",
        "Time to the end of an answer",
        "$.label",
    ]
    assert {"26", "14"} <= set(words(figure))
    legend = figure.axes[1].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["main", "shadow"]
    assert image(figure).startswith(PNG)


def test_the_field_that_differs_most() -> None:
    """Or the one that is named; equal numbers are said in words."""
    assert titles(report(shadow("$.score")).plot())[2] == "$.score: shadow minus main"
    made = report(shadow("$.score"))
    assert titles(made.plot(field="$.label"))[2] == "$.label"
    same = made.plot("2.0.0", "$.same")
    assert words(same) == ["All 40 pairs are equal."]
    assert image(same).startswith(PNG)


def test_unknown_names_are_refused_by_those_that_are_known() -> None:
    """A version, none of several, and a field."""
    both = report(shadow(), shadow(version="3.0.0"))
    with pytest.raises(LookupError, match=r"these are: 2\.0\.0, 3\.0\.0"):
        both.plot("4.0.0")
    with pytest.raises(LookupError, match=r"Name one.*2\.0\.0, 3\.0\.0"):
        both.plot()
    with pytest.raises(LookupError, match=r"there are: \$\.label, \$\.same, \$\.score"):
        both.plot("3.0.0", "$.other")
    with pytest.raises(LookupError, match="none"):
        report(summarise("2.0.0", Totals())).plot(field="$.x")


def test_without_evidence_the_figure_says_so() -> None:
    """It is a figure all the same."""
    figure = report(summarise("2.0.0", Totals())).plot()
    assert words(figure) == [
        "Nothing has been compared yet.",
        "Nothing was timed yet.",
        "No field holds numbers or labels.",
    ]
    assert image(figure).startswith(PNG)


@pytest.mark.parametrize(
    "text", ["$x$ ${", r"$\frac{", "\x00\x1b", "\ud800", "\u202e", "a\nb", "%s {0}"]
)
def test_what_a_service_answers_is_no_formula(text: str) -> None:
    """Matplotlib would take what is between two dollars for one."""
    made = Report(text, "1", None, (shadow(version=text, label=text),))
    assert image(made.plot(text, "$.label")).startswith(PNG)


def test_nothing_global_changes() -> None:
    """Neither settings nor pyplot, which would show the figure a second time."""
    before = dict(mpl.rcParams)
    image(report(shadow()).plot())
    assert dict(mpl.rcParams) == before
    script = (
        "import sys\n"
        "from daeploy_lib import Report\n"
        "from daeploy_lib.evidence.summary import summarise\n"
        "from daeploy_lib.evidence.totals import Totals\n"
        "assert 'matplotlib' not in sys.modules\n"
        "report = Report('hello', '1', None, (summarise('2', Totals()),))\n"
        "report.plot()._repr_png_()\n"
        "assert 'matplotlib' in sys.modules\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_without_matplotlib_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The names of version and field are looked at before."""
    for name in [*sys.modules]:
        if name.startswith(("matplotlib", "daeploy_lib.show.figure.")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'daeploy-lib\[plot\]'"):
        report(shadow()).plot()


def test_numbers_of_all_sizes_can_be_drawn() -> None:
    """From the smallest to the largest, and times that nobody waited for."""
    made = Totals()
    for size in (1e-300, 1e-12, 1.0, -1e15, 1e99, -1e99):
        pair = Pair("$.n", 0, size)
        made.add("differ", at=1e11 - 1, fields=[pair], differences=[("$.n", "value")])
    made.latencies.add(Timing(0, 0), None)
    made.latencies.add(Timing(1e-9, 1e9), Timing(1e9, 1e-9))
    figure = report(summarise("2.0.0", made)).plot()
    assert titles(figure)[2] == "$.n: shadow minus main"
    assert image(figure).startswith(PNG)
