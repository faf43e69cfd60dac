"""The two notebooks to start from, run by a real kernel."""

import json
import re
from ast import literal_eval
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daeploy_lib import Deployer, ProcessRuntime
from notebooks import Ran, content, kernel, made_of

EXAMPLES = Path(__file__).parents[2] / "examples"

# Installing the packages takes what the network takes.
pytestmark = [pytest.mark.once, pytest.mark.timeout(300)]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Ran]]:
    """What runs a notebook's cells; what they deploy has a state of its own."""
    monkeypatch.setenv("DAEPLOY_STATE", str(tmp_path / "state"))
    yield lambda name: _run(name, tmp_path)
    for project in ("compare", "promote"):  # what a cell that failed has left
        with Deployer(ProcessRuntime(), project=project) as deployer:
            deployer.kill_all(grace=0.0)


def _run(name: str, folder: Path) -> Ran:
    notebook = made_of((EXAMPLES / name).read_text("utf-8"))
    with kernel(notebook, folder) as client:
        for number, cell in enumerate(notebook.cells):
            client.execute_cell(cell, number)
    ran = Ran(notebook)
    assert ran.streams() <= {"stdout"}
    return ran


def cells(page: str) -> list[str]:
    """Return the cells of an HTML table's body."""
    return re.findall(r"<td[^>]*>(.*?)</td>", page)


def test_deploy_and_compare(run: Callable[[str], Ran]) -> None:
    """Ten cells: two versions, their traffic, their report; nothing is left."""
    ran = run("compare.ipynb")
    assert len(ran.cells) == 10
    for version in ("1.0.0", "2.0.0"):
        [shown] = ran.outputs(f'deploy("taxi", "{version}"')
        assert content(shown).startswith(f"taxi {version}  Service deployed success")
    assert literal_eval(ran.result("import httpx")) == {"euros": 92.0, "trip": "long"}
    row = cells(ran.result('report = deployer.report("taxi")', "text/html"))
    assert row[:2] == ["2.0.0", "201"]
    assert row[-1].startswith("$.euros ")
    [example] = ran.outputs("example.curl")
    assert "$.euros value: 92.0 -> 89.0" in example.text
    removed = cells(ran.result("should_exit", "text/html"))
    assert removed.count("exited") == 2


def test_promote_with_a_gate(run: Callable[[str], Ran]) -> None:
    """The gate refuses the tree and lets the support vectors pass."""
    ran = run("promote.ipynb")
    *shown, _ = ran.outputs("model.fit(known")
    assert [content(one).split("  ")[0] for one in shown] == [
        f"digits {version}" for version in ("1.0.0", "2.0.0", "3.0.0")
    ]
    table = ran.result('deployer.report("digits")', "text/html")
    assert cells(table)[:2] == ["2.0.0", "450"]
    assert ran.result("report.judge").startswith("Fail after 4")
    [refusal] = ran.outputs("GateNotPassedError as error")
    assert "Did not assign 'digits' '2.0.0'" in refusal.text
    row = cells(ran.result("deployer.history", "text/html"))[-5:]
    assert row[1:] == ["digits", "3.0.0", "1.0.0", "pass"]
    right = literal_eval(ran.result("model.score"))
    assert right["2.0.0"] < right["1.0.0"] < right["3.0.0"]
    assert cells(ran.result("should_exit", "text/html")).count("exited") == 3


@pytest.mark.parametrize("name", ["compare.ipynb", "promote.ipynb"])
def test_a_committed_notebook_has_no_outputs(name: str) -> None:
    """It holds code and words only, and no trace of who ran it."""
    for cell in json.loads((EXAMPLES / name).read_text("utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert cell["metadata"] == {}
