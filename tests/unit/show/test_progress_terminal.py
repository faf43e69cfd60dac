"""Deployments as a person at a terminal sees them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte
import pytest

from daeploy_lib.show.progress.course import Course
from daeploy_lib.show.progress.terminal import picture
from terminal import Terminal

PROGRAM = Path(__file__).parents[2] / "progress_program.py"
WITHOUT_RICH = (
    "import runpy, sys; sys.modules['rich'] = None; del sys.argv[0];"
    " runpy.run_path(sys.argv[0], run_name='__main__')"
)


def environment(**variables: str) -> dict[str, str]:
    """Return the tests' own variables, with those of a common terminal."""
    ours = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    return {**ours, "TERM": "xterm-256color", "PYTHONUTF8": "1"} | variables


@contextmanager
def running(
    folder: Path,
    *names: str,
    columns: int = 100,
    before: tuple[str, ...] = (),
    **variables: str,
) -> Iterator[Terminal]:
    """Run the program in a terminal."""
    words: list[str | Path] = [sys.executable, *before, PROGRAM, folder, *names]
    with Terminal(
        words, environment=environment(**variables), cwd=folder, columns=columns
    ) as terminal:
        yield terminal


class Seen:
    """What is on the screen of a terminal."""

    def __init__(self, terminal: Terminal, columns: int = 100) -> None:
        screen = pyte.Screen(columns, 40)
        pyte.Stream(screen).feed(terminal.text.replace("\n", "\r\n"))
        self.lines = [line.rstrip() for line in screen.display]
        while self.lines and not self.lines[-1]:
            self.lines.pop()
        self.has_cursor = not screen.cursor.hidden


def go_on(folder: Path) -> None:
    """Let the builds end."""
    (folder / "go").touch()


def timeless(lines: list[str]) -> list[str]:
    """Return lines without their durations."""
    return [re.sub(r"\d+\.\d s", "T", line) for line in lines]


def test_one_display_that_ends_as_one_line(tmp_path: Path) -> None:
    """Two lines change in place while it is built; one stays."""
    with running(tmp_path, "hello") as terminal:
        terminal.expect("step 2 of 3, ", times=3)
        under_way = Seen(terminal)
        go_on(tmp_path)
        assert terminal.end() == 0
        after = Seen(terminal)
    bar = "━" * 24
    assert timeless(under_way.lines)[0] == f"hello 1.0.0  build  {bar}  step 2 of 3, T"
    assert under_way.lines[1].startswith("  Step 2/3 : RUN pip install package0 ")
    assert under_way.lines[1].endswith("…")
    assert len(under_way.lines[1]) == 97
    assert timeless(after.lines) == [
        "hello 1.0.0  Service deployed successfully (T)",
        "over",
    ]
    assert after.has_cursor


def test_several_at_once(tmp_path: Path) -> None:
    """All are in one display; each ends as a line of its own, above it."""
    names = ("one", "two", "fails")
    with running(tmp_path, *names) as terminal:
        for name in names:
            terminal.expect(f"{name} 1.0.0")
        terminal.expect("step 2 of 3, ", times=9)
        under_way = Seen(terminal)
        go_on(tmp_path)
        assert terminal.end() == 0
        after = Seen(terminal)
    titles = {line.split("  ")[0] for line in under_way.lines if "step 2" in line}
    assert titles == {f"{name} 1.0.0" for name in names}
    assert len(under_way.lines) == 6
    lines = timeless(after.lines)
    for name in ("one", "two"):
        assert lines.count(f"{name} 1.0.0  Service deployed successfully (T)") == 1
    assert lines.count("fails 1.0.0  failed in build, after T") == 1
    # The error says it; the display does not say it again.
    assert lines.count("  the last line") == 1
    assert not any("step" in line for line in lines)
    assert after.has_cursor


def test_interrupted_in_the_middle(tmp_path: Path) -> None:
    """Ctrl-C leaves how far it had come, its last lines, and a cursor."""
    with running(tmp_path, "hello") as terminal:
        terminal.expect("step 2 of 3, ", times=3)
        terminal.type("\x03")
        assert terminal.end() != 0
        after = Seen(terminal)
    lines = timeless(after.lines)
    begin = next(i for i, line in enumerate(lines) if "interrupted" in line)
    assert lines[begin].endswith("hello 1.0.0  interrupted in build, after T")
    assert lines[begin + 1] == "  Building on threads of this process"
    assert lines[begin + 2].startswith("  Step 1/3 : RUN")
    assert lines[-1] == "KeyboardInterrupt"
    assert "step 2 of 3" not in "\n".join(lines)
    assert after.has_cursor


def test_a_warning_stands_above_the_display(tmp_path: Path) -> None:
    """It is neither torn nor written over."""
    with running(tmp_path, "hello", "warns") as terminal:
        terminal.expect("step 2 of 3, ", times=6)
        go_on(tmp_path)
        assert terminal.end() == 0
        after = Seen(terminal)
    assert sum("UserWarning: something is odd" in line for line in after.lines) == 1
    assert after.lines[-1] == "over"


def test_without_colours(tmp_path: Path) -> None:
    """NO_COLOR keeps the display, and has no colour in it."""
    with running(tmp_path, "hello", NO_COLOR="1") as terminal:
        terminal.expect("step 2 of 3, ", times=3)
        go_on(tmp_path)
        assert terminal.end() == 0
        shown = terminal.text
    styles = {code for codes in re.findall(r"\x1b\[([\d;]*)m", shown) for code in codes}
    assert styles <= set("01")


@pytest.mark.parametrize("columns", [20, 60])
def test_a_narrow_terminal(tmp_path: Path, columns: int) -> None:
    """No line of the display is broken, so that all of it goes away again."""
    with running(tmp_path, "hello", columns=columns) as terminal:
        terminal.expect("Step 2/3", times=3)
        under_way = Seen(terminal, columns)
        go_on(tmp_path)
        assert terminal.end() == 0
        after = Seen(terminal, columns)
    assert len(under_way.lines) == 2
    assert max(map(len, under_way.lines)) < columns
    assert after.lines[0].startswith("hello 1.0.0  Service")
    assert after.lines[-1] == "over"


@pytest.mark.parametrize(
    ("before", "term"),
    [((), "dumb"), (("-c", WITHOUT_RICH), "xterm")],
    ids=["dumb", "without rich"],
)
def test_lines_where_nothing_can_move(
    tmp_path: Path, before: tuple[str, ...], term: str
) -> None:
    """A terminal that cannot, or a user without the extra, has plain lines."""
    go_on(tmp_path)
    with running(tmp_path, "hello", before=before, columns=300, TERM=term) as terminal:
        assert terminal.end() == 0
        shown = terminal.text
    assert "\x1b" not in shown
    first, *_, last, over = shown.splitlines()
    assert first == "hello 1.0.0  build  Building on threads of this process"
    assert last == "hello 1.0.0  done   Service deployed successfully"
    assert over == "over"


def test_lines_in_a_pipe(tmp_path: Path) -> None:
    """Whoever keeps standard error has lines, and nothing that moves."""
    go_on(tmp_path)
    done = subprocess.run(
        [sys.executable, PROGRAM, tmp_path, "hello"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert done.stdout == "over\n"
    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == 8


def test_a_terminal_that_only_knows_ascii() -> None:
    """The bar is drawn of what it has."""
    course = Course("hello 1.0.0", 0.0, 0.0, "build", ("Step 2/3",), 2, 3)
    first, second = picture(course, 61.0, 80, is_plain=True)
    assert first.plain == (
        "hello 1.0.0  build  ########----------------  step 2 of 3, 1 min 1 s"
    )
    assert second.plain == "  Step 2/3"


def test_waiting_for_an_answer() -> None:
    """How long it waits is counted from when it began to."""
    course = Course("hello 1.0.0", 0.0, 50.0, "ready", ("Waiting for an answer on /",))
    first, second = picture(course, 62.0, 80)
    assert first.plain == "hello 1.0.0  ready  12 s of waiting"
    assert second.plain == "  Waiting for an answer on /"
