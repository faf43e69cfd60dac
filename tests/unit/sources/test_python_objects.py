"""Python objects as sources: what is written around them, and what is refused."""

import functools
import os
import pickle
import re
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

import daeploy_lib
from daeploy_lib import Deployer, PythonObject
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import SourceError
from daeploy_lib.sources import open_source
from daeploy_lib.sources.python_object import pickled as pickling
from daeploy_lib.testing import MemoryRuntime

SPEC = Spec("default", "hello", "1.0.0")

SCRIPT = """
import enum
import sys
from typing import TypeVar

import helpers
from package.inner import deep

T = TypeVar("T")
class Colour(enum.Enum):
    red = 1
class Scaler:
    factor = 3
    def scale(self, x): return helpers.half(x) * self.factor
def predict(x: float, colour: T = None) -> float:
    import lazily
    return Scaler().scale(deep(x)) if Colour.red else lazily.no
from daeploy_lib import PythonObject
PythonObject(predict).write(sys.argv[1])
"""


def double(x: float) -> float:
    """Return twice a number."""
    return 2 * x


def local() -> Callable[[float], float]:
    """Return a function that is no module's, as those of a notebook are."""

    def predict(x: float) -> float:
        return 2 * x

    return predict


def refusal(source: Any) -> str:
    """Return why a source is refused; the error knows what it was for."""
    with pytest.raises(SourceError) as refused:
        open_source(source, SPEC)
    error = refused.value
    assert (error.name, error.version, error.stage) == ("hello", "1.0.0", "source")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301
    return str(error)


@pytest.fixture
def script(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A script beside modules of its own, of which it imports some."""
    request.getfixturevalue("neighbours")
    folder = tmp_path / "work"
    (folder / "package" / "data").mkdir(parents=True)
    (folder / "script.py").write_text(SCRIPT)
    (folder / "helpers.py").write_text("import orjson\ndef half(x): return x / 2")
    (folder / "lazily.py").write_text("from beyond import no")
    (folder / "beyond.py").write_text("no = 0")
    (folder / "unused.py").write_text("raise SystemExit")
    (folder / "package" / "__init__.py").write_text("from . import sibling")
    (folder / "package" / "sibling.py").write_text("import tabulate")
    (folder / "package" / "data" / "words.txt").write_text("words")
    (folder / "package" / ".env").write_text("PASSWORD=x")
    (folder / "package" / "inner.py").write_text("def deep(x): return x")
    return folder / "script.py"


def write(script: Path, target: Path, seed: str = "0") -> Path:
    """Run a script that writes a service, as a process of its own."""
    done = subprocess.run(
        [sys.executable, script, target],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )
    assert done.returncode == 0, done.stderr
    return target


def test_the_modules_of_the_author_are_shipped(script: Path, tmp_path: Path) -> None:
    """With what they import in turn and their data, but without passwords."""
    folder = write(script, tmp_path / "service")
    shipped = folder / "modules"
    found = {str(p.relative_to(shipped)) for p in shipped.rglob("*") if p.is_file()}
    assert found == {
        *("beyond.py", "helpers.py", "lazily.py"),
        *("package/__init__.py", "package/inner.py", "package/sibling.py"),
        "package/data/words.txt",
    }


def test_packages_are_pinned(script: Path, tmp_path: Path) -> None:
    """Those that the object or a shipped module imports, as installed here."""
    folder = write(script, tmp_path / "service")
    lines = (folder / "requirements.txt").read_text().splitlines()
    names = [line.partition("==")[0] for line in lines]
    assert names == ["cloudpickle", "orjson", "tabulate", "uvicorn"]
    assert all("==" in line for line in lines)


def test_the_same_function_has_the_same_digest(script: Path, tmp_path: Path) -> None:
    """Whoever pickles it, wherever its files are, and without their paths."""
    one = write(script, tmp_path / "one", seed="1")
    moved = tmp_path / "moved"
    script.parent.rename(moved)
    two = write(moved / "script.py", tmp_path / "two", seed="2")
    assert open_source(one, SPEC).digest == open_source(two, SPEC).digest
    content = (one / "object.pkl").read_bytes()
    assert str(tmp_path).encode() not in content
    assert b"script.py" in content  # for tracebacks


def test_what_is_deployed_is_what_is_written(tmp_path: Path) -> None:
    """The same digest; its folder is removed when it is closed."""
    predict = local()
    written = PythonObject(predict).write(tmp_path / "service")
    context = open_source(predict, SPEC)
    assert context.digest == open_source(written, SPEC).digest
    assert context.origin.startswith("function predict of ")
    assert context.read("service.py") == (written / "service.py").read_bytes()
    context.close()
    with pytest.raises(SourceError):
        context.read("service.py")


def test_a_deployer_takes_the_object_itself(state: Path) -> None:
    """And the same content under a taken version stays refused."""
    with Deployer(MemoryRuntime(), state=state, ephemeral=True) as deployer:
        service = deployer.deploy("hello", "1.0.0", local())
        again = deployer.deploy("hello", "2.0.0", local())
        assert service.is_main
        assert service.source_digest == again.source_digest
        assert service.source_origin.startswith("function predict of ")
        with pytest.raises(daeploy_lib.VersionExistsError):
            deployer.deploy("hello", "1.0.0", lambda: 1)


def test_nothing_is_left_of_what_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of an opened source nor of a written one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lock = threading.Lock()
    refusal(lambda: lock)
    with pytest.raises(SourceError):
        PythonObject(lambda: lock).write(tmp_path / "service")
    assert list(tmp_path.iterdir()) == []


def test_only_a_new_or_an_empty_folder_is_written_to(tmp_path: Path) -> None:
    """Nothing of the author's is overwritten."""
    (tmp_path / "empty").mkdir()
    PythonObject(local()).write(tmp_path / "empty")
    with pytest.raises(FileExistsError, match="nothing was written"):
        PythonObject(local()).write(tmp_path / "empty")


def test_requirements_may_be_given(tmp_path: Path) -> None:
    """They replace what is found; what serves the object is added."""
    given = PythonObject(local(), requirements=["torch==2.1", "uvicorn==0.31"])
    folder = given.write(tmp_path / "service")
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert lines[0].startswith("cloudpickle==")
    assert lines[1:] == ["torch==2.1", "uvicorn==0.31"]
    wrong: Any
    for wrong, kind in (("a", TypeError), ([1], TypeError), (["a\nb"], ValueError)):
        with pytest.raises(kind):
            PythonObject(local(), requirements=wrong)


@pytest.mark.parametrize("source", [None, 5, b"hello", ["hello"], object(), iter("a")])
def test_no_source_at_all(source: Any) -> None:
    """A wrong type is an error of the caller, which says what is possible."""
    with pytest.raises(TypeError, match=r"a function, an ASGI application, or a fit"):
        open_source(source, SPEC)


def test_classes_and_modules_are_no_sources() -> None:
    """What is in them, or made of them, may be."""
    with pytest.raises(TypeError, match="Path is a class"):
        open_source(Path, SPEC)
    with pytest.raises(TypeError, match="os is a module"):
        open_source(os, SPEC)  # type: ignore[arg-type]


class Holder:
    """Holds what cannot leave its process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def predict(self, rows: list[Any]) -> list[Any]:
        """Return the rows."""
        return rows


def test_what_cannot_be_pickled_is_named(state: Path, tmp_path: Path) -> None:
    """By the name it has in the function, and by its kind."""
    lock = threading.Lock()
    deployer = Deployer(MemoryRuntime(), state=state)
    numbers = (number for number in (1, 2))
    with (tmp_path / "file").open("w") as file:
        assert "it refers to lock, a _thread.lock," in refusal(lambda: lock)
        assert "it refers to deployer, its ._" in refusal(lambda: deployer)
        assert "it refers to numbers, a generator," in refusal(lambda: numbers)
        assert "it refers to file, a _io.TextIO" in refusal(lambda: file)
        assert "a default of it, a _thread.lock" in refusal(lambda x=lock: x)
        assert "Holder cannot be taken" in (said := refusal(Holder()))
    assert "its .lock, a _thread.lock" in said
    assert "deploy a directory" in said


def test_a_module_without_a_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing could be shipped of it."""
    module = types.ModuleType("made_here")
    exec("def one(): return 1", vars(module))  # noqa: S102 - our own words
    monkeypatch.setitem(sys.modules, "made_here", module)
    assert "needs the module made_here, which has no file" in refusal(module.one)


class Forgetful:
    """An application that looks for what it has in what it has not."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        try:
            return self.state[name]
        except KeyError:
            raise AttributeError(name) from None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer nothing."""


def test_what_cannot_be_read_again_is_refused_here() -> None:
    """And not in the version, where nobody sees it."""
    said = refusal(Forgetful())
    assert "cannot be read again from a pickle (RecursionError). Make it in a" in said


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model as large as that is kept in a file; the message says what it was."""
    monkeypatch.setattr(pickling, "OBJECT_BYTES_MAX", 100_000)
    table = b"x" * 200_000
    said = refusal(lambda: table)
    assert "is more than" in said
    assert "because of table" in said
    assert "mounts=" in said


def generated() -> Iterator[int]:
    """Yield a number."""
    yield 1


async def generated_later() -> Any:
    """Yield a number, later."""
    yield 1


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    """Answer nothing."""
    del environ, start_response
    return []


def test_what_cannot_be_served_is_refused() -> None:
    """With what to do instead."""
    assert "Return a list" in refusal(generated)
    assert "Return a list" in refusal(generated_later)
    assert "WSGIMiddleware" in refusal(wsgi)
    assert "which arguments it takes" in refusal(max)


def test_estimators_must_be_fitted() -> None:
    """As scikit-learn itself tells."""
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.LogisticRegression()
    assert "LogisticRegression is not fitted" in refusal(model)
    model.fit([[0], [1]], [0, 1])
    context = open_source(model, SPEC)
    needed = context.read("requirements.txt") or b""
    assert b"scikit-learn==" in needed
    assert b"numpy==" in needed
    context.close()


def test_without_cloudpickle_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is no package that everybody needs."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(ImportError, match=r"pip install 'daeploy-lib\[notebook\]'"):
        open_source(local(), SPEC)


def test_kinds() -> None:
    """What is called as ASGI says is an application, what predicts an estimator."""

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive, send

    assert PythonObject(FastAPI()).kind == "application"
    assert PythonObject(asgi).kind == "application"
    assert PythonObject(Holder()).kind == "estimator"
    assert PythonObject(Holder().predict).kind == "function"
    partial = functools.partial(double, 2)
    assert PythonObject(partial).name == "double"


DOCUMENT = Path(__file__).parents[3] / "docs" / "python-objects.md"


def test_the_documents_code(
    state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It runs in the order in which it is read, and prints what it shows."""
    monkeypatch.chdir(tmp_path)
    text = DOCUMENT.read_text("utf-8")
    deploy, write_it = re.findall(
        r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    with Deployer(MemoryRuntime(), state=state, ephemeral=True) as deployer:
        names: dict[str, Any] = {"given": deployer, "__name__": "__main__"}
        exec(deploy.replace("Deployer()", "given"), names)  # noqa: S102
        assert deployer.get("hello").version == "3.0.0"
    exec(write_it, names)  # noqa: S102 - the document's words
    assert f"# {capsys.readouterr().out}" in write_it
