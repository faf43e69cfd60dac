"""Wrong arguments touch nothing; services that do not come up leave nothing."""

import re
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from container_engine import Engine
from container_engine.client import built_images
from daeploy_lib import (
    BuildError,
    Deployer,
    DeployError,
    DockerRuntime,
    NotReadyError,
    Readiness,
    Resources,
    Services,
    SourceError,
    StartError,
)

# ------------------------------------------------------------ wrong arguments

NAME = r"Allowed: lower-case letters and digits, single '-' or '_' between"
VERSION = r"Allowed: letters, digits, '\.', '\+' and '-', beginning with"
PORT = r"Allowed: 1 to 65535"
WHOLE = r"must be a whole number"

WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    *(
        ({"name": n}, ValueError, NAME)
        for n in ("", "Hello", "a b", "a__b", "-a", "a_")
    ),
    *(({"name": n}, ValueError, NAME) for n in ("é", "a\n", "a/b", "a.b", "n" * 41)),
    *(({"name": n}, TypeError, "must be a string") for n in (None, 5, b"hello")),
    *(({"version": v}, ValueError, VERSION) for v in ("", "1_0", "1 0", ".1", "-1")),
    *(
        ({"version": v}, ValueError, VERSION)
        for v in ("1\n", "\u0661", "1/2", "1" * 65)
    ),
    *(({"version": v}, TypeError, "must be a string") for v in (None, 1, 1.0)),
    *(({"port": p}, ValueError, PORT) for p in (0, -1, 65536)),
    *(({"port": p}, TypeError, WHOLE) for p in ("8000", 80.5, True, None)),
    *(({"source": s}, TypeError, "a path or") for s in (None, 5, ["."], b".")),
    ({"source": "nowhere"}, SourceError, "does not exist"),
    ({"source": "file"}, SourceError, "not a directory|no archive|tar"),
    ({"source": "empty"}, SourceError, "is empty"),
    ({"source": "words"}, SourceError, "neither a Dockerfile nor a service.py"),
    ({"environment": {"A=B": "c"}}, ValueError, "Allowed: letters, digits"),
    ({"environment": {"A": 5}}, TypeError, "must be a string"),
    ({"environment": ["A=B"]}, TypeError, "must be a mapping"),
    ({"environment": "A=B"}, TypeError, "must be a mapping"),
    ({"command": "python service.py"}, TypeError, "a sequence of words"),
    ({"command": []}, ValueError, "at least one word"),
    ({"mounts": ["/srv"]}, TypeError, "must be Mount"),
    ({"resources": "1g"}, TypeError, "must be Resources"),
    ({"hardening": False}, TypeError, "must be Hardening"),
    ({"readiness": "/"}, TypeError, "must be Readiness"),
    ({"on_event": "print"}, TypeError, "must be callable"),
]


@pytest.mark.parametrize(("wrong", "kind", "words"), WRONG, ids=lambda v: str(v)[:40])
def test_a_wrong_argument(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, Any],
    kind: type[Exception],
    words: str,
) -> None:
    """It is refused with what is allowed, before engine, state and source matter."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a file")
    (tmp_path / "empty").mkdir()
    for folder, file in (("words", "words.txt"), ("good", "service.py")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_text("")
    # Any contact with this engine would raise something else.
    runtime = DockerRuntime(f"unix://{tmp_path}/nowhere.sock")
    deployer = Deployer(runtime, state=tmp_path / "state")
    arguments = {"name": "hello", "version": "1.0.0", "source": "good", **wrong}
    with pytest.raises(kind, match=words) as refused:
        deployer.deploy(**arguments)
    assert isinstance(refused.value, SourceError) == (kind is SourceError)
    if isinstance(refused.value, SourceError):
        about = refused.value.name, refused.value.version, refused.value.stage
        assert about == ("hello", "1.0.0", "source")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("name", ["", "Hello", "a b", "../a", "n" * 41])
def test_a_wrong_project_or_name_for_a_new_service(tmp_path: Path, name: str) -> None:
    """Neither a Deployer nor a directory is made."""
    with pytest.raises(ValueError, match=NAME):
        Deployer(project=name)
    with pytest.raises(ValueError, match=NAME):
        Deployer(state=tmp_path / "state").init(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("runtime", ["my-project", 5, DockerRuntime])
def test_a_wrong_runtime(runtime: Any) -> None:
    """Such as the project's name by position: it is said how that is given."""
    with pytest.raises(TypeError, match=r'must be a Runtime.*Deployer\(project="…"\)'):
        Deployer(runtime)


@pytest.mark.parametrize("since", [5, "5m", timedelta(minutes=5)])
def test_a_wrong_beginning_of_a_log(tmp_path: Path, since: Any) -> None:
    """It is said what is taken, before anything is asked for."""
    deployer = Deployer(state=tmp_path / "state")
    with pytest.raises(TypeError, match="since must be a datetime, such as"):
        deployer.logs("hello", since=since)
    assert not (tmp_path / "state").exists()


# ------------------------------------------------- services that do not come up

SERVE = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({status})
        self.send_header("content-length", "0")
        self.end_headers()

HTTPServer(({host}, {port}), Handler).serve_forever()
"""
HOST, PORT_GIVEN = 'os.environ["HOST"]', 'int(os.environ["PORT"])'
SILENT = f"""
import os, socket
server = socket.create_server(({HOST}, {PORT_GIVEN}))
print("listening", flush=True)
connections = []
while True:
    connections.append(server.accept())
"""
GARBAGE = f"""
import os, socket
server = socket.create_server(({HOST}, {PORT_GIVEN}))
while True:
    connection, _ = server.accept()
    connection.sendall(b"this is no HTTP\\r\\n\\r\\n")
    connection.close()
"""
GREEDY = """
print("eating", flush=True)
eaten = []
while True:
    eaten.append(bytearray(b"x" * 1024 * 1024))
"""


@attrs.frozen
class Broken:
    """
    A service that does not come up, and how that has to be told.

    Attributes:
        files: What it is made of; ``BASE`` is the base image.
        kind: The error.
        stage: Its stage.
        words: What its message says.
        exit_code: Its exit code.
        log: What its last lines of output say.
        oom_killed: Whether the kernel ended it.
        more: Arguments for the deployment.
    """

    files: Mapping[str, str]
    kind: type[DeployError]
    stage: str
    words: str
    exit_code: int | None = None
    log: str = ""
    oom_killed: bool = False
    more: Mapping[str, Any] = {}


def service(code: str, *fields: Any, **more: Any) -> Broken:
    """Return one that consists of a ``service.py``."""
    return Broken({"service.py": code}, *fields, **more)


def image(steps: str, *fields: Any, **more: Any) -> Broken:
    """Return one with a Dockerfile."""
    return Broken({"Dockerfile": f"FROM BASE\n{steps}\n"}, *fields, **more)


QUICK = {"readiness": Readiness(timeout=3)}
LISTENS = r"Does it listen on 0\.0\.0\.0 and on port 8000"
BROKEN = {
    "a step of the build fails": image(
        "RUN echo thinking; echo nonsense >&2; exit 7",
        *(BuildError, "build", "exit code 7|returned a non-zero code: 7", 7),
        log="nonsense",
    ),
    "no Dockerfile of this world": image(
        "NONSENSE here", BuildError, "build", "unknown instruction: NONSENSE"
    ),
    "a file that is not there": image(
        "COPY nothing /nothing", BuildError, "build", "nothing"
    ),
    "requirements that cannot be read": Broken(
        {"service.py": "", "requirements.txt": "this is no requirement\n"},
        *(BuildError, "build", "", 1),
        log="Invalid requirement",
    ),
    "a requirement that there is not": Broken(
        {"service.py": "", "requirements.txt": "no-such-thing-of-ours==1.2.3\n"},
        *(BuildError, "build", r"built: .*for no-such-thing-of-ours==1\.2\.3", 1),
        log="No matching distribution found",
    ),
    "writes where it may not": service(
        "open('model.pkl', 'w')",
        *(StartError, "ready", r"Hardening\(read_only_root=False\)", 1),
        log="Read-only file system",
    ),
    "exits at once": service(
        "print('good bye', flush=True); raise SystemExit(3)",
        *(StartError, "ready", "ended before it was ready, with exit code 3", 3),
        log="good bye",
    ),
    "exits without a word and well": service(
        "", StartError, "ready", "with exit code 0", 0
    ),
    "cannot be parsed": service(
        "this is no Python", StartError, "ready", "exit code 1", 1, log="SyntaxError"
    ),
    "a program that is not there": service(
        "",
        *(StartError, "ready", "exit code 127", 127),
        log="no-such-program",
        more={"command": ["no-such-program"]},
    ),
    "wants more memory than it may have": service(
        GREEDY,
        *(StartError, "ready", r"want of memory; it may use 33554432 bytes", 137),
        log="eating",
        oom_killed=True,
        more={"resources": Resources(memory="32m")},
    ),
    "never answers": service(
        SILENT,
        *(NotReadyError, "ready", r"not ready within 3 s: .* gives no answer"),
        log="listening",
        more=QUICK,
    ),
    "listens on another port": service(
        SERVE.format(status=200, host=HOST, port=9999),
        *(NotReadyError, "ready", LISTENS),
        more=QUICK,
    ),
    "listens on its own loopback": service(
        SERVE.format(status=200, host="'127.0.0.1'", port=PORT_GIVEN),
        *(NotReadyError, "ready", LISTENS),
        more=QUICK,
    ),
    "answers with errors": service(
        SERVE.format(status=503, host=HOST, port=PORT_GIVEN),
        *(NotReadyError, "ready", r"HTTP 503\. Give a path that answers below 500"),
        log="GET /",
        more=QUICK,
    ),
    "does not speak HTTP": service(
        GARBAGE, NotReadyError, "ready", "that is not HTTP", more=QUICK
    ),
}

ANSWERS = SERVE.format(status=200, host=HOST, port=PORT_GIVEN)


@pytest.fixture
def deployer(engine: Engine, project: str, state: Path) -> Iterator[Deployer]:
    """A Deployer on the real engine, with a project of its own."""
    del engine
    with Deployer(project=project, state=state) as deployer:
        yield deployer


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A service that comes up."""
    return write(tmp_path / "good", {"service.py": ANSWERS})


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files into a new folder."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


Seen = tuple[list[str], list[str], list[str], list[str]]


def on_engine(engine: Engine, project: str) -> Seen:
    """Return all that the engine has, of any project for images without a name."""
    own = {"label": [f"daeploy.project={project}"]}
    client = engine.client
    return (
        sorted(c["Id"] for c in client.containers(all=True, filters=own)),
        sorted(i["Id"] for i in built_images(client, project)),
        sorted(n["Id"] for n in client.networks(filters=own)),
        sorted(v["Name"] for v in client.volumes(filters=own)["Volumes"] or ()),
    )


def without_answers(listed: Services) -> list[object]:
    """Return what is listed."""
    return [(s.version, s.is_main, s.status, s.image, s.port) for s in listed]


@pytest.mark.docker
@pytest.mark.parametrize(
    ("name", "is_first"),
    [
        *((name, False) for name in BROKEN),
        ("a step of the build fails", True),
        ("exits at once", True),
    ],
)
def test_a_service_that_does_not_come_up(
    deployer: Deployer,
    engine: Engine,
    good: Path,
    name: str,
    *,
    is_first: bool,
) -> None:
    """A clear error in time; nothing is left, main is as it was, the version free."""
    if not is_first:
        deployer.deploy("hello", "1.0.0", good)
    before = on_engine(engine, deployer.project), without_answers(deployer.ls())
    broken = BROKEN[name]
    files = {k: v.replace("BASE", engine.base_image) for k, v in broken.files.items()}
    source = write(good.parent / "broken", files)
    began = time.monotonic()
    with pytest.raises(DeployError) as failed:
        deployer.deploy("hello", "2.0.0", source, **broken.more)
    took = time.monotonic() - began
    check_error(failed.value, broken)
    assert took < (15 if broken.more is QUICK else 60)
    assert (
        on_engine(engine, deployer.project),
        without_answers(deployer.ls()),
    ) == before
    assert deployer.cleanup(dry_run=True) == []
    if not is_first:
        address = deployer.get("hello").endpoints[0]
        assert httpx.get(address, trust_env=False).status_code == 200
    assert deployer.deploy("hello", "2.0.0", good).is_main == is_first


def check_error(error: DeployError, broken: Broken) -> None:
    """Check class, attributes and words."""
    assert type(error) is broken.kind
    assert (error.name, error.version, error.stage) == ("hello", "2.0.0", broken.stage)
    assert (error.exit_code, error.oom_killed) == (broken.exit_code, broken.oom_killed)
    log = "\n".join(error.log_lines)
    assert broken.log in log
    assert len(error.log_lines) <= 50
    text = str(error)
    assert text.startswith("hello 2.0.0: ")
    assert all(line in text for line in error.log_lines)
    assert re.search(broken.words, text)
