"""The report, as it prints and as programs read it."""

import json
import pickle
from datetime import UTC, datetime

import pytest

from daeploy_lib import Gate, Report
from daeploy_lib.evidence.estimates import Estimate
from daeploy_lib.evidence.latencies import Timing
from daeploy_lib.evidence.summary import summarise
from daeploy_lib.evidence.totals import Totals
from daeploy_lib.show.printable import printable
from daeploy_lib.show.report_table import COLUMNS, ratio, share

SINCE = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)


def totals(match: int = 0, differ: int = 0, field: str = "$.score") -> Totals:
    """Return so many outcomes, with times."""
    made = Totals()
    for n in range(match + differ):
        is_match = n < match
        made.add(
            "match" if is_match else "differ",
            at=1.7e9 + n,
            main_status=200,
            shadow_status=200,
            main=Timing(0.010, 0.020),
            shadow=Timing(0.011, 0.022),
            differences=[] if is_match else [(field, "value")],
        )
    return made


def report(*shadows: Totals, **more: object) -> Report:
    """Return a report of shadows 2.0.0, 3.0.0 and so on."""
    made = [summarise(f"{n}.0.0", one) for n, one in enumerate(shadows, 2)]
    return Report("hello", "1.0.0", SINCE, tuple(made), **more)  # type: ignore[arg-type]


def test_it_prints_one_line_for_each_shadow() -> None:
    """Below a title and the names of the columns."""
    title, head, _, one, two = str(report(totals(990, 10), totals(5))).splitlines()
    assert title.startswith("hello: main is 1.0.0 since 2026-11-22")
    assert [word for word in COLUMNS if word in head] == list(COLUMNS)
    assert one.split("  ")[0] == "2.0.0"
    assert "99.0 % (" in one
    assert "0.0 % / 0.0 %" in one
    assert "$.score 1.0 %" in one
    assert "1.10 (" in one
    assert two.startswith("3.0.0")


def test_numbers_are_attributes() -> None:
    """With their intervals."""
    shadow = report(totals(990, 10))["2.0.0"]
    assert shadow.exchanges == 1000
    assert shadow.agreement.value == pytest.approx(0.99)
    assert shadow.agreement.low < 0.99 < shadow.agreement.high
    assert shadow.p50_ratio.value == pytest.approx(1.1, rel=0.03)
    assert shadow.outcomes["differ"] == 10
    assert [d.entry for d in shadow.differences] == ["value $.score"]


def test_a_version_that_is_no_shadow_is_refused() -> None:
    """The message names those that are."""
    with pytest.raises(KeyError, match=r"2\.0\.0"):
        report(totals(1))["1.0.0"]


def test_noise_is_not_counted_against_a_shadow() -> None:
    """It is named below the table."""
    made = totals(500, 500)
    summary = summarise("2.0.0", made, control=totals(500, 500))
    text = str(Report("hello", "1.0.0", SINCE, (summary,)))
    assert summary.agreement.value == 1.0
    assert "Noise, not counted: $.score." in text


def test_errors_of_main_and_shadow_stand_side_by_side() -> None:
    """Where main broke off nothing is known of the shadow."""
    made = Totals()
    for _ in range(95):
        made.add("match", main_status=200, shadow_status=200)
    for _ in range(3):
        made.add("differ", main_status=200, shadow_status=503)
    made.add("timeout", main_status=200)
    made.add("main_failed")
    summary = summarise("2.0.0", made)
    assert summary.main_errors.value == pytest.approx(1 / 100)
    assert summary.shadow_errors.value == pytest.approx(4 / 99)


def test_nothing_seen_is_said() -> None:
    """Neither numbers nor errors stand for it."""
    text = str(report(Totals()))
    assert "Nothing has been compared yet" in text
    assert "nan" not in text
    assert "There is no shadow" in str(report())


def test_what_hinders_the_recording_is_said() -> None:
    """And files that could not be read."""
    text = str(report(totals(1), unreadable=2, problem="The disk is full."))
    assert "2 files of evidence could not be read." in text
    assert "The disk is full." in text


@pytest.mark.parametrize(
    "field", ["\x1b[2J", "a\nb", "\u202eevil", "\ud800", "<script>alert(1)</script>"]
)
def test_hostile_names_of_fields_do_nothing(field: str) -> None:
    """A service's answer names its fields; a terminal or a browser shows them."""
    made = report(totals(1, 1, field))
    text, page = str(made), made._repr_html_()
    assert all(c.isprintable() for line in text.splitlines() for c in line)
    assert len(text.splitlines()) == 4
    assert "<script" not in page
    (page + text).encode()


def test_a_notebook_takes_no_path_for_a_formula() -> None:
    """Two paths in a line are text between two dollars; this class keeps them."""
    page = report(totals(1, 1, "$.euros"))._repr_html_()
    assert page.startswith('<div class="mathjax_ignore ')
    assert page.endswith("</div>")


def test_a_judgement_rests_on_the_report() -> None:
    """Without a version if there is one shadow only."""
    gate = Gate(agreement=0.9, error_rate=0.05)
    made = report(totals(1000))
    assert made.judge(gate).is_pass
    assert made.judge(gate, "2.0.0") == made["2.0.0"].judge(gate)
    with pytest.raises(LookupError, match="Name one"):
        report(totals(1), totals(1)).judge(gate)
    with pytest.raises(LookupError, match="none"):
        report().judge(gate)


def test_it_is_a_plain_value() -> None:
    """JSON holds it without infinities, and so does a pickle."""
    made = report(totals(3, 1), Totals())
    plain = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    assert plain["shadows"][0]["agreement"]["value"] == 0.75
    assert plain["shadows"][0]["differences"][0]["path"] == "$.score"
    assert plain["shadows"][1]["p50_ratio"]["high"] is None
    assert str(pickle.loads(pickle.dumps(made))) == str(made)  # noqa: S301 - our own


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(None, 0, 1), "-"),
        (Estimate(0.9999, 0.99, 0.99999), "99.9 % (99.0 to 99.9)"),
        (Estimate(1, 0.995, 1), "100.0 % (99.5 to 100.0)"),
        (Estimate(0.0001, 0, 0.004), "0.1 % (0.0 to 0.4)"),
    ],
)
def test_a_share_never_looks_whole_that_is_not(estimate: Estimate, text: str) -> None:
    """Rounding says neither all nor nothing."""
    assert share(estimate) == text


def test_a_ratio_without_an_interval_stands_alone() -> None:
    """As long as there are too few exchanges for one."""
    assert ratio(Estimate(1.5, 0, float("inf"))) == "1.50"
    assert ratio(Estimate(1.5, 1.25, 2)) == "1.50 (1.25 to 2.00)"


def test_what_is_too_long_ends_with_an_ellipsis() -> None:
    """At the limit, not beyond."""
    assert printable("a" * 10, 10) == "a" * 10
    assert printable("a" * 11, 10) == "a" * 9 + "…"


def test_a_notebook_shows_it_by_day_and_by_night() -> None:
    """Styled without a sheet, which some notebooks drop, or colours of its own."""
    page = report(totals(1, 1))._repr_html_()
    assert "<style" not in page
    assert 'style="' in page
    assert "#" not in page
    assert "overflow-x:auto" in page
