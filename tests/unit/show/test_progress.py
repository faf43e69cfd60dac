"""Progress: lines on standard error, or one display in a notebook."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from daeploy_lib import Deployer, Event
from daeploy_lib.runtimes.memory import Behaviour, MemoryRuntime
from daeploy_lib.show.progress import progress

EVENTS = [
    Event("build", "Building on an engine"),
    Event("build", "Step 1/2 : FROM <base>", 1, 2),
    Event("start", "Starting"),
    Event("done", "Service deployed successfully"),
]


def test_lines_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    """One line for each event, as it happens; nothing on standard output."""
    show = progress("hello", "1.0.0")
    for number, event in enumerate(EVENTS, 1):
        show(event)
        out, err = capfd.readouterr()
        assert out == ""
        assert err == f"hello 1.0.0  {event.stage:<6} {event.text}\n", number


def test_without_a_standard_error(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that has none, as a daemon may, is shown nothing anywhere."""
    monkeypatch.setattr(sys, "stderr", None)
    progress("hello", "1.0.0")(EVENTS[0])
    assert capfd.readouterr() == ("", "")


def test_a_scripts_output_stays_its_own(tmp_path: Path) -> None:
    """In a plain process, progress is on standard error only."""
    code = """
import sys
from daeploy_lib import Deployer
from daeploy_lib.runtimes.memory import MemoryRuntime
deployer = Deployer(MemoryRuntime(), state=sys.argv[1])
deployer.deploy("hello", "1.0.0", deployer.init("hello", sys.argv[1]))
print("mine")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "mine\n"
    assert [line.split()[2] for line in done.stderr.splitlines()] == [
        "build",
        "build",
        "start",
        "ready",
        "done",
    ]


def test_on_event_takes_the_place_of_the_display(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whoever asks for the events is given all of them, and nothing is shown."""
    events: list[Event] = []
    with Deployer(MemoryRuntime(), state=tmp_path) as deployer:
        source = deployer.init("hello", tmp_path)
        deployer.deploy("hello", "1.0.0", source, on_event=events.append)
        with pytest.raises(TypeError, match="on_event must be callable"):
            deployer.deploy("hello", "2.0.0", source, on_event="print")  # type: ignore[arg-type]
    assert [e.stage for e in events] == ["build", "build", "start", "ready", "done"]
    assert (events[1].step, events[1].steps) == (1, 1)
    assert capfd.readouterr() == ("", "")


def test_a_failure_is_an_error_and_no_event(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The lines end with the last thing that was tried."""
    runtime = MemoryRuntime({"hello": Behaviour(exit_code=1)})
    with Deployer(runtime, state=tmp_path) as deployer:
        source = deployer.init("hello", tmp_path)
        with pytest.raises(Exception, match="exit code 1"):
            deployer.deploy("hello", "1.0.0", source)
    assert "successfully" not in capfd.readouterr().err


class _Handle:
    """A display that updates in place."""

    def __init__(self, shown: list[str]) -> None:
        self.shown = shown

    def update(self, content: str) -> None:
        self.shown.append(content)


class _Notebook:
    """Stands in for IPython: the real one is used by the notebook's test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, shell: object) -> None:
        self.displays: list[list[str]] = []
        ipython: Any = ModuleType("IPython")
        ipython.get_ipython = lambda: shell
        display: Any = ModuleType("IPython.display")
        display.HTML = str
        display.display = self._display
        ipython.display = display
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        monkeypatch.setitem(sys.modules, "IPython.display", display)

    def _display(self, content: str, *, display_id: bool) -> _Handle:
        assert display_id
        self.displays.append([content])
        return _Handle(self.displays[-1])


def test_one_display_in_a_notebook(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is updated in place with the last lines, and ends with the last one."""
    notebook = _Notebook(monkeypatch, SimpleNamespace(kernel=object()))
    show = progress("hello", "1.0.0<b>")
    shown = []
    for event in [EVENTS[0], *[EVENTS[1]] * 30, *EVENTS[2:]]:
        show(event)
        shown.append(notebook.displays[0][-1])
    assert len(notebook.displays) == 1
    assert shown[0] == (
        "<b>hello 1.0.0&lt;b&gt;</b><pre>build  Building on an engine</pre>"
    )
    assert max(text.count("\n") for text in shown) == 11
    assert "FROM &lt;base&gt;" in shown[20]
    assert shown[-1] == (
        "<b>hello 1.0.0&lt;b&gt;</b><pre>done   Service deployed successfully</pre>"
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shell", [None, SimpleNamespace()], ids=["none", "terminal"])
def test_ipython_without_a_kernel(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], shell: object
) -> None:
    """IPython in a terminal, or only imported, is given lines."""
    notebook = _Notebook(monkeypatch, shell)
    progress("hello", "1.0.0")(EVENTS[0])
    assert notebook.displays == []
    assert "Building on an engine" in capfd.readouterr().err
