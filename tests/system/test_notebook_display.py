"""What a person sees in a notebook, with a real kernel and without an engine."""

import re
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode

from notebooks import Ran, content, kernel, of_cells

DOCUMENT = Path(__file__).parents[2] / "docs" / "notebooks.md"
GIVEN = "Deployer(MemoryRuntime(), state=tempfile.mkdtemp())"
PREPARE = """
import tempfile
from daeploy_lib import Deployer
from daeploy_lib.testing import Behaviour, MemoryRuntime
folder = tempfile.mkdtemp()
runtime = MemoryRuntime({"broken": Behaviour(exit_code=3, lines=("no <module>",))})
deployer = Deployer(runtime, state=folder)
hello = deployer.init("hello", folder)
"""
CELLS = (
    PREPARE,
    'deployer.deploy("hello", "1.0.0", hello).is_main',
    'deployer.deploy(\n    "broken",\n    "1.0.0",\n    hello,\n)',
    "%tb Plain",
    'deployer.deploy("hello", "1.0.0", hello)',
    'deployer.deploy("hello", "2.0.0", hello, port=0)',
    "deployer.ls()",
    'deployer.history("hello")',
    'await asyncio.to_thread(deployer.deploy, "hello", "2.0.0", hello); 1',
    "deployer.cleanup()",
    "deployer.kill_all()",
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """All cells, run by one kernel; those that fail are no hindrance to the rest."""
    notebook = of_cells("import asyncio", *CELLS)
    folder = tmp_path_factory.mktemp("notebook")
    with kernel(notebook, folder) as client:
        client.allow_errors = True
        for number, cell in enumerate(notebook.cells):
            client.execute_cell(cell, number)
    return Ran(notebook)


def cell(ran: Ran, code: str) -> list[Any]:
    """Return the outputs of the cell with this code."""
    [found] = [cell.outputs for cell in ran.cells if cell.source == code]
    return list(found)


def kinds(outputs: list[NotebookNode]) -> list[str]:
    """Return what the outputs are."""
    return [output.output_type for output in outputs]


def test_a_deployment_is_one_line(ran: Ran) -> None:
    """One display, which ends with how long it took; nothing on standard error."""
    shown, result = cell(ran, CELLS[1])
    assert kinds([shown, result]) == ["display_data", "execute_result"]
    said = r"hello 1\.0\.0  Service deployed successfully \([0-9.]+ s\)"
    assert re.fullmatch(said, content(shown))
    assert content(shown, "text/html").count("<div") == 2
    assert content(result) == "True"
    assert ran.streams() <= {"stdout"}


def test_from_a_thread_of_a_cell_that_awaits(ran: Ran) -> None:
    """It is shown below that cell, once."""
    outputs = cell(ran, CELLS[8])
    assert kinds(outputs) == ["display_data", "execute_result"]
    assert "hello 2.0.0" in content(outputs[0])


def test_a_failure_says_everything_once(ran: Ran) -> None:
    """The display ends as one line; the output of the service is in the error."""
    shown, error = cell(ran, CELLS[2])
    assert kinds([shown, error]) == ["display_data", "error"]
    assert content(shown).startswith("broken 1.0.0  failed in ready, after ")
    assert "no <module>" not in content(shown)
    assert (error.ename, str(error.evalue).count("no <module>")) == ("StartError", 1)


def test_a_traceback_begins_with_the_message(ran: Ran) -> None:
    """Then come the lines of the cell, and no others."""
    _, error = cell(ran, CELLS[2])
    text = re.sub("\x1b\\[[0-9;]*m", "", "\n".join(error.traceback))
    first, *_ = text.splitlines()
    assert first.startswith("StartError: broken 1.0.0: It ended before it was ready")
    assert "Cell In[4], line 1\n-->    1 deployer.deploy(\n" in text
    assert text.splitlines()[-1].endswith("left out; %tb Plain shows all.")
    assert "deployer.py" not in text
    assert len(text.splitlines()) < 15


def test_the_whole_traceback_is_there(ran: Ran) -> None:
    """The magic that the short one names shows it."""
    [shown] = cell(ran, CELLS[3])
    text = "".join(shown.get("traceback", ())) or shown.text
    assert "deployer.py" in text
    assert "readiness.py" in text


@pytest.mark.parametrize(
    ("code", "name"), [(CELLS[4], "VersionExistsError"), (CELLS[5], "ValueError")]
)
def test_a_mistake_that_is_found_at_once(ran: Ran, code: str, name: str) -> None:
    """Nothing but its error is shown."""
    [error] = cell(ran, code)
    assert (error.output_type, error.ename) == ("error", name)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (CELLS[6], ">RUNNING</th>"),
        (CELLS[7], ">BEFORE</th>"),
        (CELLS[9], ">REASON</th>"),
        (CELLS[10], ">exited</td>"),
    ],
)
def test_tables_are_html(ran: Ran, code: str, words: str) -> None:
    """And text, where HTML cannot be shown."""
    result = cell(ran, code)[-1]
    assert words in content(result, "text/html")
    assert content(result).splitlines()[1].startswith("----")


def test_interrupted_in_the_middle(tmp_path: Path) -> None:
    """No error of ours says how far it had come: the display does."""
    code = (
        "def interrupt(*words, **more):\n"
        "    raise KeyboardInterrupt\n"
        "runtime.start = interrupt\n"
        'deployer.deploy("hello", "3.0.0", hello)'
    )
    notebook = of_cells(PREPARE, code)
    with kernel(notebook, tmp_path) as client:
        client.allow_errors = True
        for number, one in enumerate(notebook.cells):
            client.execute_cell(one, number)
    shown, error = notebook.cells[1].outputs
    assert error.ename == "KeyboardInterrupt"
    said, *lines = content(shown).splitlines()
    assert said.startswith("hello 3.0.0  interrupted in start, after ")
    assert lines == ["Starting"]


def test_the_documents_code(tmp_path: Path) -> None:
    """Its cells run in order, and their last one gives what it deployed."""
    text = DOCUMENT.read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    codes = [block.replace("Deployer()", GIVEN) for block in blocks]
    notebook = of_cells(PREPARE, *codes)
    with kernel(notebook, tmp_path) as client:
        for number, one in enumerate(notebook.cells):
            client.execute_cell(one, number)
    ran = Ran(notebook)
    assert ran.streams() <= {"stdout"}
    assert ran.result("deployer.ls") == "['1.0.0', '2.0.0']"
    shown, _ = ran.outputs("def predict")
    assert content(shown).startswith("hello 1.0.0  Service deployed successfully (")
    assert "hello 1.0.0  Service deployed successfully (" in text
    [said] = ran.outputs("on_event")
    assert said.text == "Service deployed successfully\n"
    assert f"# {said.text}" in text
