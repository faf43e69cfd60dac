"""What users import: complete, documented, cheap to import, and safe to pickle."""

import builtins
import copy
import importlib.metadata
import inspect
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

import daeploy_lib
import daeploy_lib.testing
from daeploy_lib.domain.spec import Spec
from daeploy_lib.evidence import Totals
from daeploy_lib.evidence.summary import summarise

PUBLIC = {name: getattr(daeploy_lib, name) for name in daeploy_lib.__all__}
TESTING = {
    name: getattr(daeploy_lib.testing, name) for name in daeploy_lib.testing.__all__
}


@pytest.mark.parametrize("module", [daeploy_lib, daeploy_lib.testing])
def test_all_is_what_there_is(module: ModuleType) -> None:
    """``__all__`` names every public thing, each once and in order."""
    there = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert there == set(module.__all__)
    assert len(module.__all__) == len(there)
    # As the linter sorts: constants, classes, functions.
    kinds = [(not name.isupper(), not name[0].isupper()) for name in module.__all__]
    assert sorted(zip(kinds, module.__all__, strict=True)) == list(
        zip(kinds, module.__all__, strict=True)
    )


def test_a_star_import_gives_the_public_names() -> None:
    """And nothing else."""
    names: dict[str, object] = {}
    exec("from daeploy_lib import *", names)  # noqa: S102 - our own words
    assert names.keys() - {"__builtins__"} == PUBLIC.keys()


def test_the_version_is_that_of_the_package() -> None:
    """As the installer knows it."""
    assert daeploy_lib.__version__ == importlib.metadata.version("daeploy-lib")


def things() -> Iterator[tuple[str, Any]]:
    """Yield every public thing, and every public method and property of it."""
    for name, thing in [*PUBLIC.items(), *TESTING.items()]:
        yield name, thing
        if not inspect.isclass(thing):
            continue
        for member, value in vars(thing).items():
            is_code = inspect.isroutine(value) or isinstance(value, property)
            is_code |= isinstance(value, classmethod | staticmethod)
            if is_code and not member.startswith("_"):
                yield f"{name}.{member}", value


@pytest.mark.parametrize("name", [name for name, _ in things() if "CHECKS" not in name])
def test_everything_has_a_docstring(name: str) -> None:
    """Of its own, one sentence at least."""
    thing = dict(things())[name]
    if name == "Script":  # an alias of a type
        return
    text = inspect.getdoc(thing) or ""
    assert re.match(r"[A-Z`][^\n]+[.:;]", text, re.DOTALL), text


def sections(thing: Any) -> dict[str, str]:
    """Return the sections of a Google-style docstring, by title."""
    text = inspect.getdoc(thing) or ""
    parts = re.split(
        r"^(Args|Raises|Returns|Attributes|Example|Source):$", text, flags=re.MULTILINE
    )
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def raised(thing: Any) -> list[str]:
    """Return the names of the errors that a docstring promises."""
    text = sections(thing).get("Raises", "")
    entry = re.compile(r"^    ((?:\w+Error, )*\w+(?:Error|Exception)): ", re.MULTILINE)
    lines = entry.findall(text)
    return [name for line in lines for name in line.split(", ")]


VERBS = [
    *("init", "deploy", "ls", "get", "inspect", "logs", "assign", "rollback"),
    *("history", "kill", "kill_all", "cleanup"),
]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_what_it_raises(verb: str) -> None:
    """With errors that users can import, or Python's own."""
    names = raised(getattr(daeploy_lib.Deployer, verb))
    assert names
    for name in names:
        kind = PUBLIC.get(name) or getattr(builtins, name)
        assert issubclass(kind, Exception)


@pytest.mark.parametrize("name", [name for name, thing in things() if raised(thing)])
def test_documented_errors_exist(name: str) -> None:
    """No docstring promises an error that there is not."""
    for error in raised(dict(things())[name]):
        assert error in PUBLIC or hasattr(builtins, error), error


@pytest.mark.parametrize(
    "name",
    [n for n, t in things() if "." in n and inspect.isfunction(t)],
)
def test_documented_arguments_exist(name: str) -> None:
    """A docstring with arguments has all of them, in the order of the signature."""
    thing = dict(things())[name]
    text = sections(thing).get("Args")
    if text is None:
        return
    documented = re.findall(r"^    (\w+): ", text, re.MULTILINE)
    parameters = [p for p in inspect.signature(thing).parameters if p != "self"]
    assert documented == parameters


# The contract, section 2, as far as it exists.
SIGNATURES = {
    "Deployer": "runtime=None, *, project='default', state=None, ephemeral=False",
    "Deployer.init": "name, directory='.'",
    "Deployer.deploy": (
        "name, version, source, *, port=8000, environment=None, command=None, "
        "mounts=(), resources=Resources(), hardening=None, readiness=Readiness(), "
        "on_event=None"
    ),
    "Deployer.ls": "name=None, version=None",
    "Deployer.get": "name, version=None",
    "Deployer.rollback": "name",
    "Deployer.history": "name",
    "Deployer.kill": "name, version=None, *, keep_image=False, grace=10.0",
    "Deployer.kill_all": "*, keep_image=False, grace=10.0",
    "Deployer.logs": "name, version=None, *, tail=50, follow=False, since=None",
    "Deployer.inspect": "name, version=None",
    "Deployer.cleanup": "*, dry_run=False",
    "Deployer.close": "",
    "Readiness": "path='/', timeout=60.0, interval=0.1",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_those_of_the_contract(name: str) -> None:
    """Names, order, kinds and defaults."""
    kind, _, method = name.partition(".")
    thing = getattr(PUBLIC[kind], method) if method else PUBLIC[kind]
    found = inspect.signature(thing)
    bare = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in found.parameters.values()
        if p.name != "self"
    ]
    text = str(inspect.Signature(bare))[1:-1]
    assert (
        re.sub(r"=(Resources|Readiness)\([^()]*\)", r"=\1()", text)
        == (SIGNATURES[name])
    )


WATCHED = """
import sys

def watch(event, arguments):
    forbidden = {
        "socket.connect", "socket.getaddrinfo", "socket.gethostbyname",
        "socket.sendto", "subprocess.Popen", "os.system", "os.fork",
        "sqlite3.connect", "os.mkdir", "os.remove", "os.rename",
    }
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
    if event in forbidden or writes:
        raise RuntimeError(f"{event} {arguments}")

sys.addaudithook(watch)
"""


def run(code: str, **environment: str) -> str:
    """Run code in a fresh interpreter; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-B", "-P", "-W", "error", "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_is_contacted_at_import(tmp_path: Path) -> None:
    """No connection, program, file or database; nor when objects are only made."""
    run(
        WATCHED
        + """
import daeploy_lib, daeploy_lib.testing
deployer = daeploy_lib.Deployer()
daeploy_lib.DockerRuntime("tcp://192.0.2.1:2375")
repr(deployer)
deployer.close()
""",
        HOME=str(tmp_path),
        DOCKER_HOST=f"unix://{tmp_path}/nowhere.sock",
    )
    assert list(tmp_path.iterdir()) == []


def test_the_watch_would_notice(tmp_path: Path) -> None:
    """The test above can fail."""
    for act in (
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "open('x', 'w')",
        "import subprocess; subprocess.run(['true'])",
    ):
        code = WATCHED + f"import os; os.chdir({str(tmp_path)!r})\n" + act
        with pytest.raises(AssertionError, match="RuntimeError"):
            run(code)


def test_optional_packages_are_not_imported() -> None:
    """Nor is anything that only notebooks, plots, tests or servers need."""
    loaded = run("import sys, daeploy_lib; print(*sys.modules)").split()
    tops = {name.partition(".")[0] for name in loaded}
    unwanted = {
        *("IPython", "ipykernel", "matplotlib", "numpy", "pandas", "fastapi"),
        *("starlette", "uvicorn", "pytest", "hypothesis", "typer"),
    }
    assert not tops & unwanted


NOW = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)
VALUES: dict[str, object] = {
    "Assignment": daeploy_lib.Assignment("hello", "2", "1", NOW, verdict="pass"),
    "ComparisonRules": daeploy_lib.ComparisonRules(
        ["**.id"], redacted=["$.a"], routes={"/a/*": daeploy_lib.ComparisonRules()}
    ),
    "Archive": daeploy_lib.Archive("hello.zip"),
    "Git": daeploy_lib.Git("https://host/hello.git", "v1", "service"),
    "Directory": daeploy_lib.Directory("hello"),
    "Event": daeploy_lib.Event("build", "Step 1/2", 1, 2),
    "Gate": daeploy_lib.Gate(agreement=0.9, tail_ratio=3),
    "Hardening": daeploy_lib.Hardening(capabilities=("NET_RAW",), user="1000:1000"),
    "Image": daeploy_lib.Image("hello:1.0", pull="always"),
    "Leftover": daeploy_lib.Leftover("image", "sha256:1", "hello", "not registered"),
    "Limits": daeploy_lib.Limits(),
    "LogLine": daeploy_lib.LogLine(NOW, "stdout", "up"),
    "MirrorPolicy": daeploy_lib.MirrorPolicy(0.5, "safe", ["cookie"], ["!/a"], "x-b"),
    "Mount": daeploy_lib.Mount("/srv/models", "/models"),
    "PythonImage": daeploy_lib.PythonImage(),
    "PythonObject": daeploy_lib.PythonObject(len, requirements=["numpy"]),
    "Readiness": daeploy_lib.Readiness("/health", 5),
    "Replayed": daeploy_lib.Replayed(200, (("a", "b"),), b"{}", 0.5),
    "Report": daeploy_lib.Report(
        "hello", "1", NOW, (summarise("2", Totals()), summarise("3", Totals()))
    ),
    "Resources": daeploy_lib.Resources("1g", 2, gpus="all"),
    "Route": daeploy_lib.Route({"1": "http://127.0.0.1:9001"}, main="1"),
    "Service": daeploy_lib.Service("default", "hello", "1", started_at=NOW),
    "Services": daeploy_lib.Services([daeploy_lib.Service("default", "hello", "1")]),
    "Status": daeploy_lib.Status.running,
    "Timeouts": daeploy_lib.Timeouts(),
    "Verdict": daeploy_lib.Gate().judge(Totals()),
}


def is_value(thing: object) -> bool:
    """Tell values from errors and from what holds connections."""
    is_error = isinstance(thing, type) and issubclass(thing, BaseException)
    return isinstance(thing, type) and attrs.has(thing) and not is_error


def test_every_value_is_pickled_below() -> None:
    """None is forgotten."""
    assert {name for name, thing in PUBLIC.items() if is_value(thing)} <= VALUES.keys()


def pickled(value: object) -> object:
    """Return what another process is given."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own bytes


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickled])
def test_values_survive_other_processes(
    name: str, way: Callable[[object], object]
) -> None:
    """Copied or pickled, a value equals itself and prints the same."""
    value = VALUES[name]
    again = way(value)
    assert type(again) is type(value)
    assert again == value
    assert repr(again) == repr(value)


def test_a_spec_survives_other_processes() -> None:
    """What inspect() gives as ``spec`` is no public name, but travels as well."""
    spec = Spec("default", "hello", "1", environment={"KEY": "x"}, command=["run"])
    assert pickled(spec) == copy.deepcopy(spec) == spec
    with pytest.raises(TypeError):
        copy.copy(spec).environment["KEY"] = "y"  # type: ignore[index]


@pytest.mark.parametrize("name", [n for n in VALUES if is_value(PUBLIC[n])])
def test_values_are_frozen(name: str) -> None:
    """Nobody changes one that somebody else holds."""
    value: Any = VALUES[name]
    field = attrs.fields(type(value))[0].name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, field, None)
