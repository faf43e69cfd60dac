"""The examples' notebooks, run by a real kernel on a real engine."""

import re
from ast import literal_eval
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode

from notebooks import Ran, content, kernel, made_of, of_cells

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = ("session.ipynb", "report.ipynb")

# Installing the service's packages takes what the network takes.
pytestmark = [
    pytest.mark.docker,
    pytest.mark.usefixtures("base_image"),
    pytest.mark.timeout(300),
]


@pytest.fixture
def folder(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the notebook runs; its kernel's state directory is the test's own."""
    monkeypatch.setenv("DAEPLOY_STATE", str(state))
    folder = tmp_path / "notebook"
    folder.mkdir()
    return folder


def the_notebook(name: str, project: str | None = None) -> NotebookNode:
    """Read an example; its Deployer gets a project of the test's own."""
    notebook = made_of((EXAMPLES / name).read_text("utf-8"))
    for cell in notebook.cells:
        if project is not None:
            cell.source = re.sub(r'(project=)"\w+"', rf'\1"{project}"', cell.source)
    return notebook


def plain(table: str) -> str:
    """Return a table without its times."""
    return re.sub(r"[-\d]{10} [:\d]{8}", "T", table)


def test_the_session_cell_by_cell(project: str, folder: Path) -> None:
    """All cells run; the tables are HTML, progress is one display, stderr is empty."""
    notebook = the_notebook("session.ipynb", project)
    with kernel(notebook, folder) as client:
        # A run that is cut short is no hindrance to the next one.
        for number, cell in enumerate(notebook.cells[:6]):
            client.execute_cell(cell, number)
    with kernel(notebook, folder) as client:
        for number, cell in enumerate(notebook.cells):
            client.execute_cell(cell, number)
    ran = Ran(notebook)
    assert ran.streams() <= {"stdout"}
    assert literal_eval(ran.result("deployer.init")) == [
        ".dockerignore",
        "README.md",
        "requirements.txt",
        "service.py",
        "test_service.py",
    ]
    for version, is_main in (("1.0.0", True), ("2.0.0", False)):
        shown, result = ran.outputs(f'deploy("hello", "{version}"')
        assert shown.output_type == "display_data"
        assert re.fullmatch(
            rf"hello {version}  Service deployed successfully \([^)]* s\)",
            content(shown),
        )
        assert "<pre" not in content(shown, "text/html")
        assert content(result) == str(is_main)
    # ls() alone is the cell with nothing else in it.
    [listing] = [c for c in ran.cells if c.source == "deployer.ls()"]
    [table] = listing.outputs
    page = content(table, "text/html")
    assert re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", plain(page)) == [
        *("MAIN", "NAME", "VERSION", "STATUS", "RUNNING"),
        *("*", "hello", "1.0.0", "running", "Running (since T)"),
        *("", "hello", "2.0.0", "running", "Running (since T)"),
    ]
    assert content(table).startswith("MAIN    NAME ")
    assert "Hello" in ran.result("import httpx")
    assert "Good morning" in ran.result("hello_2.0.0/hello")
    assert "Good morning" in ran.result("assign(")
    assert "Hello" in ran.result("rollback(")
    [log] = ran.outputs("deployer.logs")
    assert "POST /hello" in log.text
    # It is kept when a service is killed: the run that was cut short is in it.
    assert literal_eval(ran.result("history(")) == [
        ("1.0.0", None),
        ("1.0.0", None),
        ("2.0.0", "1.0.0"),
        ("1.0.0", "2.0.0"),
    ]
    assert "2.0.0" not in ran.result('kill("hello"', "text/html")
    assert "<td" not in ran.result("should_exit", "text/html")


def test_a_report_cell_by_cell(project: str, folder: Path) -> None:
    """A gate cannot tell after forty exchanges, and refuses after four hundred."""
    notebook = the_notebook("report.ipynb", project)
    with kernel(notebook, folder) as client:
        for number, cell in enumerate(notebook.cells):
            client.execute_cell(cell, number)
    ran = Ran(notebook)
    assert ran.streams() <= {"stdout"}
    for words, count in (("travel(40)", 40), ("travel(360)", 400)):
        table = ran.result(words, "text/html")
        assert ">2.0.0</td>" in table
        assert f">{count}</td>" in table
        assert "$.euros" in table
    [first] = ran.outputs("report.judge(gate)")
    assert first.text.startswith("Inconclusive after 40 exchanges")
    [mean] = [o for o in ran.outputs("euros.mean_main") if o.output_type == "stream"]
    assert mean.text == "33.88 euros on average, and -0.36\n"
    assert literal_eval(ran.result("euros.mean_main"))[0.01] < -5
    assert literal_eval(ran.result("confusion")) == {
        ("short", "short"): 338,
        ("long", "long"): 36,
        ("long", "short"): 26,
    }
    [example] = ran.outputs("example.curl")
    assert "$.euros value: 69.12 -> 68.2\n" in example.text
    assert "/services/taxi/fare?km=29.6' " in example.text
    assert ran.result("report.plot()", "image/png")
    [page] = re.findall(r"'(.*)'", ran.result("to_html"))
    assert "/services/taxi/fare?km=29.6" in Path(page).read_text("utf-8")
    [refusal] = ran.outputs("GateNotPassedError as error")
    assert "Fail after 400 exchanges" in refusal.text
    assert "agreement is 0.845 " in refusal.text
    assert "<td" not in ran.result("should_exit", "text/html")


def test_progress_is_one_display_that_updates_in_place(
    project: str, folder: Path, echo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each event is shown while it happens, in the display that the first one made."""
    code = (
        "from daeploy_lib import Deployer\n"
        f"deployer = Deployer(project={project!r})\n"
        f"deployer.deploy('hello', '1', {str(echo)!r}).version"
    )
    notebook = of_cells(code)
    messages: list[Any] = []
    with kernel(notebook, folder) as client:
        process = client.process_message

        def process_and_keep(message: Any, *where: Any) -> NotebookNode | None:
            messages.append(message)
            return process(message, *where)

        monkeypatch.setattr(client, "process_message", process_and_keep)
        client.execute_cell(notebook.cells[0], 0)
    kinds = [message["msg_type"] for message in messages]
    assert kinds.count("display_data") == 1
    assert kinds.count("update_display_data") >= 5
    ids = {
        message["content"]["transient"]["display_id"]
        for message in messages
        if message["msg_type"] in ("display_data", "update_display_data")
    }
    assert len(ids) == 1
    assert [output.output_type for output in notebook.cells[0].outputs] == [
        "display_data",
        "execute_result",
    ]


def test_verbs_in_a_cell_that_awaits(project: str, folder: Path, echo: Path) -> None:
    """The kernel's event loop runs while they are called, also from other threads."""
    code = (
        "import asyncio\n"
        "from daeploy_lib import Deployer\n"
        f"deployer = Deployer(project={project!r})\n"
        "assert asyncio.get_running_loop().is_running()\n"
        f"await asyncio.to_thread(deployer.deploy, 'hello', '1', {str(echo)!r})\n"
        f"deployer.deploy('hello', '2', {str(echo)!r})\n"
        "deployer.assign('hello', '2')\n"
        "[s.version for s in await asyncio.to_thread(deployer.kill, 'hello')]"
    )
    notebook = of_cells(code)
    with kernel(notebook, folder) as client:
        client.execute_cell(notebook.cells[0], 0)
    *shown, result = notebook.cells[0].outputs
    assert [output.output_type for output in shown] == ["display_data"] * 2
    assert content(result) == "['1', '2']"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_committed_notebook_has_no_outputs(name: str) -> None:
    """It holds code and words only, and no trace of who ran it."""
    for cell in the_notebook(name).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert cell.metadata == {}
