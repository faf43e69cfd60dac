"""The documents: their code runs, and what they name exists."""

import ast
import contextlib
import doctest
import importlib
import inspect
import pkgutil
import re
import runpy
import shlex
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import uvicorn

import daeploy_lib
import daeploy_lib.testing
from daeploy_lib import AsyncDeployer, Deployer, ShadowRouter
from daeploy_lib.evidence import Timing
from daeploy_lib.evidence.recorder import Recorder
from daeploy_lib.evidence.sample import Sample
from daeploy_lib.runtimes.memory import MemoryRuntime

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the blocks of code of one language; "" for those of none."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for name, block in found if name == language]


MODULES = [
    "daeploy_lib",
    *(m.name for m in pkgutil.walk_packages(daeploy_lib.__path__, "daeploy_lib.")),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    """Each runs, and gives what it says."""
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_there_are_examples_in_docstrings() -> None:
    """The test above has something to run."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [t for n in MODULES for t in finder.find(importlib.import_module(n))]
    assert sum(bool(test.examples) for test in found) >= 30


DEPLOY, APP, ASSIGN, UNDO, *LATER = blocks(README, "python")
SOURCES, PROCESSES, AWAITED, RELAX, REPORT, GATE, ADDRESSES, POLICY = LATER
CURLS = [b for b in blocks(README, "console") if b.startswith("$ curl")]


@pytest.mark.parametrize("code", blocks(README, "python"))
def test_the_readmes_code_compiles(code: str) -> None:
    """As modules of its own."""
    compile(code, "README.md", "exec")


@pytest.mark.docker
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("base_image")
def test_the_readmes_session(
    project: str,
    state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its lines run as they are, save for a project of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAEPLOY_STATE", str(state))
    run(DEPLOY, project)
    table = without_times(capsys.readouterr().out.strip())
    [promised] = [b for b in blocks(README, "") if b.startswith("MAIN")]
    assert table == without_times(promised.strip())
    serving = runpy.run_path(str(ROOT / "examples" / "serving.py"))["serving"]
    # An application may start as often as it likes.
    app = [run(APP, project)["app"] for _ in range(2)][-1]
    before, after = CURLS
    with serving(app) as address:
        check_answers(before, address)
        names = run(ASSIGN, project)
        check_answers(after, address)
        deployer: Deployer = names["deployer"]
        with deployer:
            back, kill_shadow, kill_all = UNDO.splitlines()
            run(back, project, **names)
            check_answers(before, address)
            run(kill_shadow, project, **names)
            assert [(s.version, s.is_main) for s in deployer.ls()] == [("1.0.0", True)]
            run(RELAX, project)
            assert [s.version for s in deployer.ls()] == ["1.0.0", "3.0.0"]
            run(kill_all, project, **names)
            assert not deployer.ls()


def run(code: str, project: str, **names: Any) -> dict[str, Any]:
    """Run the README's code in a project of the test's own; return its names."""
    code = code.replace("Deployer()", f"Deployer(project={project!r})")
    exec(code, names)  # noqa: S102 - the README's words
    return names


def check_answers(console: str, address: str) -> None:
    """Send the requests of a console; each gets the answer that is shown."""
    lines = iter(console.splitlines())
    for line in lines:
        _, curl, url, option, body = shlex.split(line)
        assert (curl, option) == ("curl", "--json")
        answer = httpx.post(
            url.replace("http://127.0.0.1:8000", address),
            content=body,
            headers={"content-type": "application/json"},
            timeout=20,
        )
        assert answer.text == next(lines)


def test_the_readmes_server_has_the_options_it_names() -> None:
    """And routes to the file that is shown above it."""
    [install] = [b for b in blocks(README, "console") if b.startswith("pip install")]
    packages, script, server = map(shlex.split, install.splitlines())
    assert packages[2:] == [".", "fastapi", "uvicorn"]
    assert DEPLOY.startswith(f"# {script[1]}\n")
    module, _, name = server[1].partition(":")
    assert APP.startswith(f"# {module}.py\n")
    assert f"\n{name} = " in APP
    options = {o for p in uvicorn.main.params for o in [*p.opts, *p.secondary_opts]}
    assert set(server[2:]) <= options


def without_times(table: str) -> str:
    """Return a table with every time the same."""
    return re.sub(r"[-\d]{10} [:\d]{8}", "2026-11-22 11:30:00", table)


def test_addresses_without_a_deployer() -> None:
    """The README's last blocks make a router."""
    names: dict[str, Any] = {}
    exec(ADDRESSES, names)  # noqa: S102 - the README's words
    assert isinstance(names["app"], ShadowRouter)
    exec(POLICY, names)  # noqa: S102 - the README's words
    options = {name: names[name] for name in ("mirror", "limits", "timeouts")}
    assert ShadowRouter({}, **options).stats()["in_flight"] == 0


def test_the_readmes_report(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends in a page and a figure, and in plain values."""
    monkeypatch.chdir(tmp_path)
    code = REPORT.replace("Deployer()", "given")
    with Deployer(MemoryRuntime(), state=state, ephemeral=True) as deployer:
        source = deployer.init("hello", tmp_path)
        deployer.deploy("hello", "1.0.0", source)
        deployer.deploy("hello", "2.0.0", source)
        names: dict[str, Any] = {"given": deployer}
        exec(code, names)  # noqa: S102 - the README's words
    assert names["numbers"]["name"] == "hello"
    assert (tmp_path / "hello.html").read_text("utf-8").startswith("<!doctype html>")
    assert (tmp_path / "hello.png").read_bytes().startswith(b"\x89PNG")


def test_the_readmes_sources(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is taken for what it is; the repository is one of this machine."""
    monkeypatch.chdir(tmp_path)
    code = SOURCES.replace("Deployer()", "given")
    address = "https://git.example/team/hello.git"
    assert address in code
    code = code.replace(address, str(tmp_path / "hello"))
    with Deployer(MemoryRuntime(), state=state, ephemeral=True) as deployer:
        deployer.deploy("hello", "1.0.0", deployer.init("hello"))
        who = ("-c", "user.name=a", "-c", "user.email=b")
        for words in (
            ("tar", "-czf", "hello.tar.gz", "hello"),
            ("git", "-C", "hello", "init", "--quiet"),
            ("git", "-C", "hello", "add", "."),
            ("git", "-C", "hello", *who, "commit", "--quiet", "-m", "Begin"),
            ("git", "-C", "hello", "tag", "v5.2"),
        ):
            subprocess.run(words, check=True)
        exec(code, {"given": deployer, "__name__": "readme"})  # noqa: S102
        origins = [service.source_origin for service in deployer.ls()]
    assert len(origins) == code.count(".deploy(") + 1
    assert all(origins)


def test_the_readmes_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Deployer on them needs no engine."""
    monkeypatch.setenv("DAEPLOY_STATE", str(tmp_path))
    names: dict[str, Any] = {}
    exec(PROCESSES, names)  # noqa: S102 - the README's words
    assert not names["deployer"].ls()


async def test_the_readmes_awaited_verbs(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version is deployed and promoted on the loop."""
    monkeypatch.chdir(tmp_path)
    plain = AsyncDeployer(MemoryRuntime(), state=state, ephemeral=True)
    await plain.deploy("hello", "1.0.0", await plain.init("hello"), on_event=print)
    names: dict[str, Any] = {}
    exec(AWAITED, names)  # noqa: S102 - the README's words
    # It is not closed with the block.
    names["AsyncDeployer"] = lambda: contextlib.nullcontext(plain)
    await names["promote"]()
    assert (await plain.get("hello")).version == "6.0.0"
    await plain.close()


def test_the_readmes_gate(state: Path, tmp_path: Path) -> None:
    """What was seen is enough for it, and the new main is then watched."""
    code = GATE.replace("Deployer()", "given").replace("3600", "0")
    with Deployer(MemoryRuntime(), state=state, ephemeral=True) as deployer:
        source = deployer.init("hello", tmp_path)
        deployer.deploy("hello", "1.0.0", source)
        deployer.deploy("hello", "2.0.0", source)
        recorder = Recorder(state, deployer.project)
        pairing = recorder.pairing("hello", "1.0.0", "2.0.0")
        timing = Timing(0.01, 0.02)
        for _ in range(2000):
            pairing.add(Sample("match", time.time(), 200, 200, timing, timing))
        recorder.close()
        exec(code, {"given": deployer})  # noqa: S102 - the README's words
        assert deployer.get("hello").version == "2.0.0"


def test_the_readmes_verbs() -> None:
    """Every call in its table fits the signature, with its true defaults."""
    [table] = re.findall(r"^\| verb .*?\n\n", README, re.MULTILINE | re.DOTALL)
    calls = re.findall(r"`(\w+\([^`]*\))`", table)
    assert len(calls) >= 12
    named = set()
    for text in calls:
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call)
        assert isinstance(call.func, ast.Name)
        signature = inspect.signature(getattr(Deployer, call.func.id))
        named.add(call.func.id)
        # Those that must be given have a name of theirs for a value.
        given = [k for k in call.keywords if not isinstance(k.value, ast.Name)]
        needed = {str(k.arg): k.arg for k in call.keywords if k not in given}
        arguments = {str(k.arg): ast.literal_eval(k.value) for k in given}
        bound = signature.bind(None, *call.args, **arguments, **needed)
        for name in needed:
            assert signature.parameters[name].default is inspect.Parameter.empty
        for name, value in arguments.items():
            assert bound.arguments[name] == value
            assert signature.parameters[name].default == value
    verbs = {n for n in vars(Deployer) if not n.startswith("_")} - {"close"}
    assert named == verbs


def sessions() -> set[str]:
    """Return the names of all nox sessions."""
    tree = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any("session" in ast.unparse(d) for d in node.decorator_list)
    }


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ".ci/run", "dev.py"]
)
def test_documents_name_sessions_that_exist(document: str) -> None:
    """After ``nox -s`` and ``python3 dev.py``, and where they are listed."""
    text = (ROOT / document).read_text("utf-8")
    found = re.findall(r"(?:nox -s|python3 dev\.py) ((?:[a-z][\w.-]*[ ]?)+)", text)
    names = {name.partition("-")[0] for words in found for name in words.split()}
    if document == "CONTRIBUTING.md":
        [listed] = re.findall(r"`nox -l` lists the rest: (.*?)\.\n", text, re.DOTALL)
        names |= set(re.findall(r"`(\w+)`", listed))
        assert names == sessions()
    assert names <= sessions()


def test_dev_py_helps_before_it_installs_anything(tmp_path: Path) -> None:
    """It prints how it is called, and makes no virtual environment."""
    program = tmp_path / "dev.py"
    program.write_text((ROOT / "dev.py").read_text("utf-8"))
    for option in ("--help", "-h"):
        done = subprocess.run(
            [sys.executable, program, option],
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert "python3 dev.py quickstart" in done.stdout
    assert list(tmp_path.iterdir()) == [program]


def is_there(name: str, places: list[ModuleType | type]) -> bool:
    """Return whether one of some places has a public name."""
    return any(hasattr(place, name) for place in places)


def test_the_changelog_names_what_exists() -> None:
    """Classes, verbs and functions in it can be imported or called."""
    places: list[ModuleType | type] = [daeploy_lib, daeploy_lib.testing, Deployer]
    words = set(re.findall(r"`([A-Za-z_]+)(?:\(\))?`", CHANGELOG))
    words -= {"Dockerfile", *PROJECT["optional-dependencies"]}
    assert len(words) > 15
    assert [word for word in words if not is_there(word, places)] == []


@pytest.mark.parametrize("document", [*sorted(ROOT.glob("*.md")), *ROOT.glob("docs/*")])
def test_links_lead_somewhere(document: Path) -> None:
    """Relative links, and paths of examples, are files."""
    text = document.read_text("utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    paths = re.findall(r"`((?:examples|docs|tests|bench)/[\w./-]+)`", text)
    for link in links:
        assert (document.parent / link).exists(), link
    for path in paths:
        assert (ROOT / path).exists(), path


def test_contributing_shows_the_layers_there_are() -> None:
    """Every folder of the package is in the picture, and nothing else."""
    [picture] = [b for b in blocks(CONTRIBUTING, "") if "domain/" in b]
    shown = set(re.findall(r"\b([a-z]+)/", picture))
    package = ROOT / "daeploy_lib"
    folders = {f.parent.name for f in package.glob("*/__init__.py")}
    assert shown == folders - {"testing"}
    for file in re.findall(r"(\w+\.py)", picture):
        assert (package / file).exists()


def test_every_example_is_mentioned_and_compiles() -> None:
    """Each program and notebook is found from the README, the noxfile or another."""
    places = README + (ROOT / "noxfile.py").read_text("utf-8")
    for file in sorted((ROOT / "examples").rglob("*.py")):
        compile(file.read_text("utf-8"), str(file), "exec")
    for name in ("quickstart", "examples/digits", "examples/session.ipynb"):
        assert name in places


def test_the_package_data_is_that_of_the_readme() -> None:
    """What pyproject says of Python is what the README says."""
    least = PROJECT["requires-python"].removeprefix(">=")
    assert f"Python {least} or newer" in README
    assert PROJECT["license"] in README
