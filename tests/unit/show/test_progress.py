"""Progress: lines on standard error, or one display in a notebook."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from daeploy_lib import Deployer, Event
from daeploy_lib.errors import BuildError
from daeploy_lib.runtimes.memory import Behaviour, MemoryRuntime
from daeploy_lib.show.progress import progress

EVENTS = [
    Event("build", "Building on an engine"),
    Event("build", "Step 1/2 : FROM <base>", 1, 2),
    Event("start", "Starting"),
    Event("done", "Service deployed successfully"),
]


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


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

    def __init__(self, shown: list[dict[str, str]]) -> None:
        self.shown = shown

    def update(self, content: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(content)


class _Notebook:
    """Stands in for IPython: the real one is used by the notebooks' tests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, shell: object) -> None:
        self.displays: list[list[dict[str, str]]] = []
        self.is_broken = False
        ipython: Any = ModuleType("IPython")
        ipython.get_ipython = lambda: shell
        display: Any = ModuleType("IPython.display")
        display.display = self._display
        ipython.display = display
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        monkeypatch.setitem(sys.modules, "IPython.display", display)

    def _display(
        self, content: dict[str, str], *, raw: bool, display_id: bool
    ) -> _Handle:
        if self.is_broken:
            raise RuntimeError("the kernel is gone")
        assert raw
        assert display_id
        self.displays.append([content])
        return _Handle(self.displays[-1])


KERNEL = SimpleNamespace(kernel=object())


def test_one_display_in_a_notebook(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is updated in place, and ends as one line."""
    notebook = _Notebook(monkeypatch, KERNEL)
    with progress("hello", "1.0.0<b>") as show:
        for event in EVENTS:
            show(event)
    [shown] = notebook.displays
    assert "Building on an engine" in shown[0]["text/html"]
    assert "step 1 of 2" in shown[1]["text/html"]
    assert "FROM &lt;base&gt;" in shown[1]["text/html"]
    assert "1.0.0<b>  start" in shown[2]["text/plain"]
    assert "1.0.0&lt;b&gt;" in shown[-1]["text/html"]
    assert shown[-1]["text/plain"] == (
        "hello 1.0.0<b>  Service deployed successfully (0.0 s)"
    )
    assert "<pre" not in shown[-1]["text/html"]
    assert capfd.readouterr() == ("", "")


def test_what_fails_at_once_leaves_nothing_in_a_notebook(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mistake that is found before anything happens is an error only."""
    notebook = _Notebook(monkeypatch, KERNEL)
    with pytest.raises(LookupError), progress("hello", "1.0.0"):
        raise LookupError
    assert notebook.displays == []


def test_waiting_is_shown_before_the_first_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A source that takes long to read is seen to be read."""
    notebook = _Notebook(monkeypatch, KERNEL)
    with progress("hello", "1.0.0"):
        eventually(lambda: bool(notebook.displays))
        assert notebook.displays[0][0]["text/plain"].startswith("hello 1.0.0  source,")


def break_off(failure: BaseException) -> None:
    """Fail in the middle of a build."""
    with progress("hello", "1.0.0") as show:
        show(EVENTS[1])
        raise failure


def test_a_failure_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the error does not say stays below how far it had come."""
    notebook = _Notebook(monkeypatch, KERNEL)
    error = BuildError("It fails.", log_lines=("Step 1/2",))
    for failure in (error, KeyboardInterrupt()):
        with pytest.raises(type(failure)):
            break_off(failure)
    said, cut = (shown[-1]["text/plain"] for shown in notebook.displays)
    assert said == "hello 1.0.0  failed in build, after 0.0 s"
    assert cut == (
        "hello 1.0.0  interrupted in build, after 0.0 s\nStep 1/2 : FROM <base>"
    )


def test_a_broken_display_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, and the deployment goes on."""
    _Notebook(monkeypatch, KERNEL).is_broken = True
    with Deployer(MemoryRuntime(), state=tmp_path, ephemeral=True) as deployer:
        source = deployer.init("hello", tmp_path)
        assert deployer.deploy("hello", "1.0.0", source).is_main
    assert caplog.text.count("progress of hello 1.0.0 cannot be shown") == 1


@pytest.mark.parametrize("shell", [None, SimpleNamespace()], ids=["none", "terminal"])
def test_ipython_without_a_kernel(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], shell: object
) -> None:
    """IPython in a terminal, or only imported, is given lines."""
    notebook = _Notebook(monkeypatch, shell)
    progress("hello", "1.0.0")(EVENTS[0])
    assert notebook.displays == []
    assert "Building on an engine" in capfd.readouterr().err
