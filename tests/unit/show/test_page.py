"""The page of a report: its structure, its numbers, and what stays text."""

import math
import re
import stat
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from daeploy_lib import Report
from daeploy_lib.compare.difference import Difference, Kind
from daeploy_lib.evidence.examples import Example
from daeploy_lib.evidence.latencies import Timing
from daeploy_lib.evidence.redaction import Body
from daeploy_lib.evidence.summary import ShadowSummary, summarise
from daeploy_lib.evidence.totals import Totals

SINCE = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)
HOSTILE = [
    "<script>document.title='evil'</script>",
    "\"><img src=x onerror=document.title='evil'>",
    "'; --a:url(http://evil.example/x)",
    "</style><style>*{display:none}</style>",
    "]]><!-- -->",
    "\u202egnp.exe\u2066",
    "\ud800\udfff\ud912",
    "\x00\x1b[2J\x85\u2028",
    "&lt;b&gt; &amp; <b>",
    "x" * 2**20,
    "e\u0301" * 2**10,
]
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Pair:
    """One field in both answers."""

    def __init__(self, path: str, main: object, shadow: object) -> None:
        self.path, self.main, self.shadow = path, main, shadow


def example(text: str = "x", **more: object) -> Example:
    """Return an example that holds a text wherever there may be one."""
    body = Body(text, len(text.encode("utf-8", "replace")), text)
    fields: dict[str, object] = {
        "fingerprint": "0123456789abcdef",
        "entries": (f"value $.{text}"[:512],),
        "at": 1.7e9,
        "method": "POST",
        "path": "/predict",
        "query": "n=1",
        "headers": (("accept", "*/*"), (text, text)),
        "left_out": (text,),
        "body": body,
        "main_status": 200,
        "shadow_status": 500,
        "differences": (Difference(f"$.{text}", Kind.value, text, text),),
        "main_body": body,
        "shadow_body": body,
    }
    return Example(**(fields | more))  # type: ignore[arg-type]


def totals(text: str = "field") -> Totals:
    """Return 20 exchanges of all kinds, with names that hold a text."""
    made = Totals()
    for n in range(20):
        differs = n % 4 == 0
        made.add(
            "differ" if differs else "match",
            at=1.7e9 + 7 * n,
            main_status=200,
            shadow_status=500 if differs else 200,
            main=Timing(0.010 + n / 1e4, 0.020 + n / 1e4),
            shadow=Timing(0.011, 0.040),
            differences=[(f"$.{text}", "value")] if differs else [],
            fields=[
                Pair(f"$.n{text}"[:199], n, n + differs),
                Pair(f"$.l{text}"[:199], "cat" + text[:60], "dog" + text[:60]),
            ],
        )
    made.add("timeout", at=1.7e9, main_status=200, main=Timing(0.01, 0.02))
    made.add("dropped_bytes")
    return made


def shadow(text: str = "field", version: str = "2.0.0") -> ShadowSummary:
    """Return a shadow of which everything is known."""
    return summarise(version, totals(text), examples=[example(text)])


def page(tmp_path: Path, *shadows: ShadowSummary, **more: object) -> str:
    """Return the page of a report."""
    made = Report("hello", "1.0.0", SINCE, shadows, **more)  # type: ignore[arg-type]
    return made.to_html(tmp_path / "report.html").read_text("utf-8")


class Reader(HTMLParser):
    """Checks that elements are closed in order; collects what is there."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Refuse one that is not open."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note what is read."""
        if self.open and self.open[-1] not in ("style", "title"):
            self.words.append(data)

    @property
    def text(self) -> str:
        """What is read."""
        return " ".join(" ".join(self.words).split())


def read(text: str) -> Reader:
    """Read a page that is whole."""
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_all_of_the_evidence_is_there(tmp_path: Path) -> None:
    """As text, not only as a drawing."""
    text = read(page(tmp_path, shadow())).text
    for words in (
        *("hello", "Main is 1.0.0 since 2026-11-22 11:30:00 UTC.", "2.0.0"),
        *("71.4 %", "Agreement", "Exchanges 21", "dropped_bytes", "timeout"),
        *("First byte, p50", "End, p99", "Latency", "ms"),
        *("$.field", "25.0 %", "main was never compared with itself"),
        *("Bias 0.25", "Correlation", "Shadow minus main", "catfield"),
        *("Agreement over time", "POST /predict?n=1", "curl", "Statuses"),
        "Main answered 200",
    ):
        assert words in text, words


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    """No script, nothing that is loaded, and a policy that would forbid both."""
    text = page(tmp_path, shadow())
    reader = read(text)
    assert reader.tags.isdisjoint(
        {"script", "link", "img", "iframe", "object", "embed", "base", "form", "use"}
    )
    names = {name for name, _ in reader.attributes}
    assert names.isdisjoint({"src", "href", "srcset", "action", "data", "background"})
    assert not any(name.startswith("on") for name in names)
    assert "url(" not in text
    assert "@import" not in text
    assert (
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\""
    ) in text
    assert (
        '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    )
    assert "prefers-color-scheme: dark" in text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_a_service_answers_is_only_text(tmp_path: Path, text: str) -> None:
    """Names, labels, bodies, headers and paths are escaped and cut."""
    safe = read(page(tmp_path, shadow("safe", "2")))
    written = page(tmp_path, shadow(text, text[:100]), problem=text)
    reader = read(written)
    assert reader.tags == safe.tags
    assert {n for n, _ in reader.attributes} == {n for n, _ in safe.attributes}
    assert all(c.isprintable() or c == "\n" for c in written)
    assert len(written) < 300_000
    styles = {value for name, value in reader.attributes if name == "style"}
    assert all(re.fullmatch(r"--a:[01]\.\d\d", style) for style in styles)


def test_a_name_that_html_takes_for_markup(tmp_path: Path) -> None:
    """Also of the service and of versions, though the registry refuses these."""
    evil = "</title><script>1</script>"
    made = Report(evil, evil, None, (shadow(version=evil),))
    text = made.to_html(tmp_path / "a.html", base_url=evil).read_text("utf-8")
    assert "script" not in read(text).tags


def test_reports_of_nothing(tmp_path: Path) -> None:
    """No shadow, or one that has seen nothing, is said in words."""
    assert "There is no shadow" in read(page(tmp_path)).text
    empty = page(tmp_path, summarise("2.0.0", Totals()))
    assert "Nothing has been compared yet" in read(empty).text
    assert "nan" not in read(empty).text
    only = Totals()
    only.add("not_sampled")
    assert "not_sampled" in read(page(tmp_path, summarise("2.0.0", only))).text


def test_several_shadows(tmp_path: Path) -> None:
    """A table of all of them stands above."""
    text = read(page(tmp_path, shadow(), shadow("other", "3.0.0"))).text
    assert "All shadows" in text
    assert text.count("Agreement over time") == 2


def test_numbers_of_all_sizes(tmp_path: Path) -> None:
    """From the smallest to the largest, one side only, and constant ones."""
    made = Totals()
    for n, size in enumerate((1e-300, 1e-12, 1.0, 1e15, 1e99)):
        for sign in (-1, 1):
            pair = Pair(f"$.n{n}", 0, sign * size)
            made.add("differ", at=1.0, differences=[("$.n", "value")], fields=[pair])
        made.add("match", at=1.0, fields=[Pair("$.all", 0.0, size)])
    for n in range(10):
        made.add("match", at=1e11 - 1 + n, fields=[Pair("$.const", 1, 1.1)])
    made.latencies.add(Timing(0, 0), None)
    made.latencies.add(Timing(1e-9, 1e-9), Timing(math.inf, 1e9))
    text = page(tmp_path, summarise("2.0.0", made))
    assert "nan" not in read(text).text
    drawn = re.findall(r' (?:x|y|width|height|x1|x2|y1|y2)="([^"]*)"', text)
    assert drawn
    assert all(-1 <= float(at) <= 1000 for at in drawn)


def test_an_example_that_cannot_be_asked_again(tmp_path: Path) -> None:
    """It is shown all the same."""
    broken = example(method="BAD METHOD", path="no/slash")
    body = Body(None, 5000, "abc")
    large = example(fingerprint="1", main_body=body, shadow_body=Body("", 0, ""))
    made = summarise("2.0.0", totals(), examples=[broken, large])
    text = read(page(tmp_path, made)).text
    assert "# The method that was kept is none that can be sent." in text
    assert "5,000 bytes, not kept; digest abc" in text
    assert "Empty." in text


def test_the_commands_name_the_service(tmp_path: Path) -> None:
    """Where the router is, only the caller knows."""
    made = Report("hello", "1.0.0", SINCE, (shadow(),))
    file = tmp_path / "a.html"
    assert (
        "http://localhost:8080/services/hello/predict?n=1"
        in read(made.to_html(file).read_text("utf-8")).text
    )
    made.to_html(str(file), base_url="https://x.example/s/")
    assert "https://x.example/s/predict?n=1" in read(file.read_text("utf-8")).text


def test_a_file_is_written_as_a_whole(tmp_path: Path) -> None:
    """Nothing is left beside it, and what cannot be written leaves the old one."""
    made = Report("hello", "1.0.0", SINCE, ())
    file = tmp_path / ("x" * 250 + ".html")
    assert made.to_html(file) == file
    assert stat.S_IMODE(file.stat().st_mode) & 0o600 == 0o600
    with pytest.raises(FileNotFoundError):
        made.to_html(tmp_path / "missing" / "a.html")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        made.to_html(tmp_path / "folder")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", file.name]


def test_noise_stands_last_and_says_why(tmp_path: Path) -> None:
    """However often it is seen."""
    made, control = Totals(), Totals()
    for n in range(300):
        fields = [("$.at", "value"), *([("$.bug", "value")] if n % 9 == 0 else [])]
        made.add("differ", at=1.7e9, differences=fields)
        control.add("differ", at=1.7e9, differences=[("$.at", "value")])
    found = summarise("2.0.0", made, control=control)
    text = read(page(tmp_path, found)).text
    assert "yes main differs from itself in the same way" in text
    assert "no main never differs from itself there" in text
    assert text.index("$.bug value") < text.index("$.at value")
    assert "Noise counts as differing here." in text


def test_many_fields_labels_and_shapes_are_bounded(tmp_path: Path) -> None:
    """Of too many the first are shown, and the number of the others is said."""
    made = Totals()
    for n in range(60):
        fields = [Pair(f"$.n{n}", 0, 1), Pair("$.label", f"l{n}", f"l{n + 1}")]
        made.add("differ", differences=[(f"$.n{n}", "value")], fields=fields)
        made.statuses.add(f"2{n:02} 500")
    shapes = [
        example(f"e{n}", fingerprint=f"{n}", entries=("a b",) * 9) for n in range(50)
    ]
    found = summarise("2.0.0", made, examples=shapes)
    text = read(page(tmp_path, found)).text
    assert "20 more are not shown." in text
    assert "Of those that differ, 48 are not shown." in text
    assert "pairs of less frequent labels are not shown." in text
    assert "10 more kinds are not shown." in text
    assert "5 more" in text
    assert "others" in text


@pytest.mark.parametrize("hours", [0.1, 2, 30, 300])
def test_times_are_written_as_the_span_needs(tmp_path: Path, hours: float) -> None:
    """Seconds, minutes, or days."""
    made = Totals()
    for part in range(11):
        made.add("match", at=1.7e9 + part * hours * 360)
    text = read(page(tmp_path, summarise("2.0.0", made))).text
    words = {0.1: r"22:1\d:\d\d", 2: "22:2", 30: "15 Nov 0", 300: "16 Nov"}[hours]
    assert re.search(words, text)
