"""Services that were written around Python objects, as processes, asked over HTTP."""

import dataclasses
import datetime as dt
import enum
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
import nbformat
import numpy as np
import pytest
from fastapi import FastAPI
from nbclient import NotebookClient
from numpy.typing import NDArray
from pydantic import BaseModel

from daeploy_lib import Deployer, PythonObject, ShadowRouter

Asked = Callable[..., Any]


@contextmanager
def served(folder: Path) -> Iterator[httpx.Client]:
    """Run a written service, from another directory; its log is beside it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder.with_name(f"{folder.name}.log")
    with ExitStack() as stack:
        output = stack.enter_context(log.open("w"))
        process = subprocess.Popen(
            [sys.executable, folder / "service.py"],
            env={**os.environ, "HOST": "127.0.0.1", "PORT": str(port)},
            cwd="/",
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        stack.callback(process.wait, 20)
        stack.callback(process.terminate)
        address = f"http://127.0.0.1:{port}"
        client = stack.enter_context(httpx.Client(base_url=address, trust_env=False))
        deadline = time.monotonic() + 40
        while True:
            try:
                client.get("/")
                break
            except httpx.TransportError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        yield client


def made() -> dict[str, Callable[..., Any]]:
    """Return functions as a notebook has them: no module can be asked for them."""
    offset = 10

    class Colour(enum.Enum):
        """What a shop has."""

        red = "red"

    class Item(BaseModel):
        """A model of pydantic."""

        name: str
        price: float

    @dataclasses.dataclass
    class Point:
        """A place."""

        x: float
        y: float = 0

    def predict(x: float, times: int = 2, *, label: str | None = None) -> Any:
        if x < 0:
            raise ValueError("secret of the function")
        return {"y": x * times + offset, "label": label}

    async def later(numbers: list[int]) -> int:
        return sum(numbers)

    def typed(  # noqa: PLR0917 - one for each kind of hint
        point: Point,
        colour: Colour,
        day: dt.date,
        size: Literal["s", "m"],
        table: NDArray[np.float64],
        item: Item | None = None,
    ) -> Any:
        assert isinstance(table, np.ndarray)
        return point, colour, day, size, table * 2, item

    def odd(what: str) -> Any:
        return {
            "nan": [
                float("nan"),
                float("inf"),
                np.float32("nan"),
                np.datetime64("NaT"),
            ],
            "numpy": {np.int64(3): np.arange(2), True: np.bool_(1)},
            "object": object(),
        }[what]

    def stops() -> Any:
        raise StopIteration

    def anything(a: int, /, **more: Any) -> Any:
        return [a, more]

    return {f.__name__: f for f in (predict, later, typed, odd, stops, anything)}


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Give what asks a function, by its name, each one a service of its own."""
    folder = tmp_path_factory.mktemp("functions")
    running: dict[str, httpx.Client] = {}
    with ExitStack() as stack:

        def ask(name: str, body: Any, path: str = "/") -> tuple[int, Any]:
            if name not in running:
                written = PythonObject(made()[name]).write(folder / name)
                running[name] = stack.enter_context(served(written))
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            answer = running[name].post(path, content=content)
            return answer.status_code, answer.json()

        ask.running, ask.folder = running, folder  # type: ignore[attr-defined]
        yield ask


def test_arguments_are_a_json_object(ask: Asked) -> None:
    """By name, with defaults; under / and under the name of the function."""
    assert ask("predict", {"x": 3}) == (200, {"y": 16, "label": None})
    body = {"x": 3, "times": 3.0, "label": "a"}
    assert ask("predict", body, "/predict") == (200, {"y": 19, "label": "a"})


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "x is missing"),
        (b"", "x is missing"),
        ({"x": 1, "z": 2}, "z is unknown"),
        ({"x": "a"}, 'x must be float, not "a"'),
        ({"x": True}, "x must be float, not true"),
        ({"x": 10**400}, "x must be float, not 1000"),
        (b'{"x": 1, "times": 1e999}', "times must be int, not Infinity"),
        ({"x": 1, "times": 1.5}, "times must be int, not 1.5"),
        ({"x": 1, "label": 5}, "label must be str | None, not 5"),
        ([1], "Send a JSON object with the arguments: x, times, label"),
        (b'{"x": NaN}', "it has no NaN; send null"),
        (b"{", "The body is not JSON"),
        (b"[" * 100_000, "The body is not JSON"),
    ],
)
def test_wrong_arguments_are_named(ask: Asked, body: Any, why: str) -> None:
    """422, and which argument it is."""
    status, answer = ask("predict", body)
    assert status == 422
    assert why in answer["detail"]


def test_an_only_argument_may_stand_alone(ask: Asked) -> None:
    """A list for a function of one list; an async function is awaited."""
    assert ask("later", [1, 2, 3]) == (200, 6)
    assert ask("later", {"numbers": [1, 2]}) == (200, 3)
    assert ask("later", [1, "a"])[0] == 422


def test_hints_are_followed(ask: Asked) -> None:
    """Dataclasses, enums, dates, literals, arrays and pydantic's models are made."""
    body = {
        "point": {"x": 1},
        "colour": "red",
        "day": "2026-11-23",
        "size": "m",
        "table": [[1, 2]],
        "item": {"name": "a", "price": 2},
    }
    status, answer = ask("typed", body)
    assert status == 200, answer
    point, item = {"x": 1, "y": 0}, {"name": "a", "price": 2}
    assert answer == [point, "red", "2026-11-23", "m", [[2, 4]], item]
    for name, wrong in (("point", {"z": 1}), ("colour", "blue"), ("day", "never")):
        status, answer = ask("typed", {**body, name: wrong})
        assert (status, f"{name} must be" in answer["detail"]) == (422, True)


def test_results_become_json(ask: Asked) -> None:
    """NaN is null; numpy's values are numbers and lists; the rest is an error."""
    assert ask("odd", "nan") == (200, [None] * 4)
    assert ask("odd", "numpy") == (200, {"3": [0, 1], "true": True})
    status, answer = ask("odd", "object")
    assert status == 500
    assert answer["detail"].endswith("cannot be written as JSON: a builtins.object.")


def test_failures_are_told_without_a_traceback(ask: Asked) -> None:
    """500 and the kind of the error; its words and lines are in the log."""
    status, answer = ask("predict", {"x": -1})
    assert status == 500
    assert "ValueError" in answer["detail"]
    assert "secret" not in answer["detail"]
    log = (ask.folder / "predict.log").read_text()  # type: ignore[attr-defined]
    assert "ValueError: secret of the function" in log
    assert 'File "test_python_objects.py", line ' in log
    assert ask("stops", {})[0] == 500


def test_other_parameters(ask: Asked) -> None:
    """Positional ones by name as well; the rest goes where the function takes it."""
    assert ask("anything", {"a": 1, "b": 2}) == (200, [1, {"b": 2}])


def test_it_says_what_it_takes(ask: Asked) -> None:
    """At /, which is also where it is asked whether it is ready."""
    ask("predict", {"x": 1})
    client: httpx.Client = ask.running["predict"]  # type: ignore[attr-defined]
    about = client.get("/").json()
    assert about["service"] == "predict"
    assert about["signature"].startswith("predict(x: float, times: int = 2, *")
    assert client.head("/").content == b""
    assert client.get("/predict").headers["allow"] == "POST"
    assert client.put("/").status_code == 405
    assert "POST to: /, /predict" in client.post("/other").json()["detail"]


def made_estimators() -> list[Any]:
    """Return estimators of classes as a notebook has them."""

    class Threshold:
        n_features_in_ = 2
        classes_ = ("low", "high")

        def predict(self, rows: Any) -> Any:
            if np.isnan(np.asarray(rows, dtype=float)).any():
                raise ValueError("Input X contains NaN.")
            return [self.classes_[int(sum(row) > 1)] for row in rows]

        def predict_proba(self, rows: Any) -> Any:
            return np.full((len(rows), 2), 0.5)

    class Named(Threshold):
        feature_names_in_ = ("a", "b")

    return [Threshold(), Named()]


@pytest.fixture(scope="module")
def estimators(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[httpx.Client]]:
    """Two estimators, with and without names of features."""
    folder = tmp_path_factory.mktemp("estimators")
    with ExitStack() as stack:
        folders = [
            PythonObject(each).write(folder / type(each).__name__)
            for each in made_estimators()
        ]
        yield [stack.enter_context(served(each)) for each in folders]


def test_an_estimator_predicts(estimators: Sequence[httpx.Client]) -> None:
    """Rows in, one output for each; probabilities with their classes."""
    plain, named = estimators
    body = {"inputs": [[0, 0], [1, 2]]}
    assert plain.post("/predict", json=body).json() == {"outputs": ["low", "high"]}
    assert plain.post("/", json=body["inputs"]).json() == {"outputs": ["low", "high"]}
    answer = plain.post("/predict_proba", json=body).json()
    assert answer == {"outputs": [[0.5, 0.5]] * 2, "classes": ["low", "high"]}
    rows = [{"b": 2, "a": 1}, [0, 0]]
    answer = named.post("/predict", json={"inputs": rows}).json()
    assert answer == {"outputs": ["high", "low"]}
    assert named.get("/").json()["features"] == ["a", "b"]


@pytest.mark.parametrize(
    ("which", "body", "why"),
    [
        (0, {}, "inputs is missing"),
        (0, {"rows": []}, "rows is unknown"),
        (0, {"inputs": []}, "at least one row"),
        (0, {"inputs": [[1, 2], [1]]}, "Row 1 of inputs has 1 values and not 2"),
        (0, {"inputs": [1, 2]}, "Row 0 of inputs must be a list"),
        (0, {"inputs": [{"a": 1}]}, "the features have none"),
        (0, {"inputs": [[1, None]]}, "Input X contains NaN."),
        (1, {"inputs": [{"a": 1, "c": 2}]}, "b is missing, c is unknown"),
    ],
)
def test_wrong_inputs_are_named(
    estimators: Sequence[httpx.Client], which: int, body: Any, why: str
) -> None:
    """422, with the row, or in the estimator's own words."""
    answer = estimators[which].post("/predict", json=body)
    assert answer.status_code == 422
    assert why in answer.json()["detail"]


MODULE = """
from fastapi import FastAPI
from shop.prices import PRICE
app = FastAPI()
@app.get("/price")
def price(): return PRICE
"""
SCRIPT = """
import sys
from shop.main import app
import shop
shop.again = app
from daeploy_lib import PythonObject
PythonObject(app).write(sys.argv[1])
"""


@pytest.mark.usefixtures("neighbours")
def test_an_application_is_imported(tmp_path: Path) -> None:
    """Its package is shipped, and it is taken from the module that makes it."""
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "prices.py").write_text("PRICE = 5")
    (package / "main.py").write_text(MODULE)
    (tmp_path / "script.py").write_text(SCRIPT)
    folder = tmp_path / "service"
    command = [sys.executable, str(tmp_path / "script.py"), str(folder)]
    subprocess.run(command, check=True, timeout=60)
    assert "from shop.main import app as " in (folder / "service.py").read_text()
    assert not (folder / "object.pkl").exists()
    needed = (folder / "requirements.txt").read_text()
    assert "fastapi==" in needed
    package.rename(tmp_path / "elsewhere")
    with served(folder) as client:
        assert client.get("/price").json() == 5
        fields = {"x-forwarded-prefix": "/services/shop"}
        docs = client.get("/openapi.json", headers=fields).json()
    assert docs["servers"] == [{"url": "/services/shop"}]


LOOSE = """
import sys
from quart import Quart
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from daeploy_lib import PythonObject, SourceError
sys.modules["__mp_main__"] = sys.modules["__main__"]
word = "a word"
quart = Quart("quart")
@quart.get("/")
async def root():
    return word
starlette = Starlette(routes=[Route("/", lambda request: PlainTextResponse(word))])
async def plain(scope, receive, send):
    if scope["type"] == "http":
        start = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start)
        await send({"type": "http.response.body", "body": word.encode()})
try:
    PythonObject(quart).write(sys.argv[1] + "quart")
except SourceError as error:
    refused = str(error)
assert "Quart cannot be taken to another process: it refers to its ." in refused
assert "Make it in a module of its own, and import it" in refused, refused
for name in ("starlette", "plain"):
    PythonObject(globals()[name]).write(sys.argv[1] + name)
"""


def test_applications_of_a_script_are_pickled(tmp_path: Path) -> None:
    """One that is a function, too; one that holds locks has to be in a module."""
    (tmp_path / "script.py").write_text(LOOSE)
    command = [sys.executable, str(tmp_path / "script.py"), f"{tmp_path}/"]
    subprocess.run(command, check=True, timeout=60)
    for name in ("starlette", "plain"):
        assert (tmp_path / name / "object.pkl").exists()
        with served(tmp_path / name) as client:
            assert client.get("/").text == "a word"


IMPORTED = """
import sys
from mine import Model, half, offset
from daeploy_lib import PythonObject
PythonObject(half).write(sys.argv[1] + "half")
PythonObject(Model(3).scaled).write(sys.argv[1] + "scaled")
PythonObject(lambda x: half(x) + offset).write(sys.argv[1] + "lambda")
"""
MINE = """
offset = 1
def half(x: float) -> float:
    return x / 2
class Model:
    def __init__(self, factor):
        self.factor = factor
    def scaled(self, x):
        return x * self.factor
"""


@pytest.mark.usefixtures("neighbours")
def test_functions_of_a_module(tmp_path: Path) -> None:
    """Its file is shipped; methods and lambdas are functions as well."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "script.py").write_text(IMPORTED)
    command = [sys.executable, str(tmp_path / "script.py"), f"{tmp_path}/"]
    subprocess.run(command, check=True, timeout=60)
    for name, result in (("half", 4.0), ("scaled", 24), ("lambda", 5.0)):
        assert (tmp_path / name / "modules" / "mine.py").exists()
        with served(tmp_path / name) as client:
            assert client.post("/", json={"x": 8}).json() == result


CELLS = [
    """
import warnings
from fastapi import FastAPI
from pydantic import BaseModel
from daeploy_lib import PythonObject
import beside
rate = 2
def predict(x: float) -> float:
    return beside.half(x) * rate
PythonObject(predict).write("predict")
""",
    """
class Person(BaseModel):
    name: str
app = FastAPI()
@app.post("/greet")
def greet(person: Person) -> str:
    return f"Hello {person.name}"
PythonObject(app).write("app")
""",
    """
import threading
rate = threading.Lock()
PythonObject(predict).write("refused")
""",
]


@pytest.mark.usefixtures("neighbours")
def test_objects_of_a_notebook(tmp_path: Path) -> None:
    """A function beside a module, and an application made in a cell."""
    (tmp_path / "beside.py").write_text("def half(x): return x / 2")
    notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
        cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS]  # type: ignore[no-untyped-call]
    )
    NotebookClient(
        notebook,
        timeout=60,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    [*good, bad] = [
        [o for o in cell.outputs if o.output_type == "error"] for cell in notebook.cells
    ]
    assert good == [[], []]
    assert bad[0].ename == "SourceError"
    assert "it refers to rate, a _thread.lock" in bad[0].evalue
    with served(tmp_path / "predict") as client:
        assert client.post("/", json=8).json() == 8
    with served(tmp_path / "app") as client:
        assert client.post("/greet", json={"name": "Ada"}).json() == "Hello Ada"
        assert client.post("/greet", json={}).status_code == 422


def test_another_python_says_which_one_it_needs(tmp_path: Path) -> None:
    """Instead of failing somewhere in the byte code."""
    folder = PythonObject(made()["later"]).write(tmp_path / "service")
    service = folder / "service.py"
    code = service.read_text()
    mine = f"PYTHON = (3, {sys.version_info[1]})"
    assert mine in code
    service.write_text(code.replace(mine, "PYTHON = (3, 10)"))
    command = [sys.executable, str(service)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("It was written by Python 3.10 and this is 3.")


@pytest.mark.docker
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("base_image")
def test_a_function_in_a_container(
    project: str, state: Path, serving: Callable[[Any], Any]
) -> None:
    """One line deploys it; its clients get its answer through the router."""
    with Deployer(project=project, state=state) as deployer:
        deployer.deploy("hello", "3.0.0", made()["predict"])
        app = FastAPI()
        app.mount("/services", ShadowRouter(deployer))
        with serving(app) as address:
            answer = httpx.post(f"{address}/services/hello/", json={"x": 3}, timeout=20)
        assert answer.json() == {"y": 16, "label": None}
