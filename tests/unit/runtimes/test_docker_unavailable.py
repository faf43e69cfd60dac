"""An engine that cannot be used: said within 5 s, in three different ways."""

import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from daeploy_lib.domain.service import Leftover
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import DeployError, RuntimeUnavailableError
from daeploy_lib.runtimes.base import Artifact
from daeploy_lib.runtimes.docker import DockerRuntime
from daeploy_lib.runtimes.docker.endpoint import find_endpoint
from daeploy_lib.runtimes.docker.places import check_reach
from daeploy_lib.runtimes.docker.settings import Settings
from fake_engine import engine_of, fake_engine, reply
from runtime_contexts import Files

Verb = Callable[[DockerRuntime], object]

pytestmark = pytest.mark.once

SPEC = Spec("default", "hello", "1.0.0")
DOCKERFILE = Files({"Dockerfile": "FROM scratch\n"})
VERBS: dict[str, Verb] = {
    "build": lambda r: r.build(SPEC, DOCKERFILE, lambda _: None, registry="r"),
    "start": lambda r: r.start(SPEC, Artifact("x", "sha256:"), registry="r"),
    "list": lambda r: r.list("default"),
    "inspect": lambda r: r.inspect("x"),
    "details": lambda r: r.details("x"),
    "stop": lambda r: r.stop("x", grace=1),
    "set_share": lambda r: r.set_share("x", is_main=True),
    "remove_artifact": lambda r: r.remove_artifact(SPEC, registry="r"),
    "logs": lambda r: list(r.logs("x", tail=None, follow=True, since=None)),
    "leftovers": lambda r: r.leftovers("default", "r", []),
    "remove_leftover": lambda r: r.remove_leftover(Leftover("image", "x", "x", "")),
}


def unavailable(url: str, verb: Verb = VERBS["list"]) -> RuntimeUnavailableError:
    """Return the error of a verb, which has to come within 5 s."""
    began = time.monotonic()
    with pytest.raises(RuntimeUnavailableError) as failed:
        verb(DockerRuntime(url))
    assert time.monotonic() - began < 5
    assert failed.value.endpoint == url
    assert url in str(failed.value)
    return failed.value


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory of a short path: that of a socket may have 107 bytes only."""
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        yield Path(short)


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_nobody_listens(folder: Path, verb: Verb) -> None:
    """Every verb names the endpoint and the reason."""
    error = unavailable(f"unix://{folder}/no.sock", verb)
    assert error.reason == "unreachable"
    assert "no such file" in str(error)


def test_a_refused_port() -> None:
    """A TCP endpoint that refuses is unreachable."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    error = unavailable(f"tcp://127.0.0.1:{port}")
    assert error.reason == "unreachable"
    assert "refused" in str(error)


@pytest.mark.parametrize("name", ["list", "logs"])
def test_a_socket_that_accepts_and_never_answers(folder: Path, name: str) -> None:
    """An engine that hangs counts as unreachable."""
    path = str(folder / "silent.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        error = unavailable(f"unix://{path}", VERBS[name])
    assert error.reason == "unreachable"
    assert "in time" in str(error)


@pytest.mark.parametrize("name", ["list", "stop", "logs"])
def test_an_engine_that_stops_answering(folder: Path, name: str) -> None:
    """One that answered at first, and hangs now, is reported as fast."""
    is_over = threading.Event()

    def wait(request: BaseHTTPRequestHandler) -> None:
        del request
        is_over.wait()

    answer = engine_of("1.41", wait)
    with fake_engine(folder / "s", answer) as url:
        try:
            error = unavailable(url, VERBS[name])
        finally:
            is_over.set()
    assert error.reason == "unreachable"


def test_an_engine_that_is_slow_is_waited_for(folder: Path) -> None:
    """A question that takes longer is asked again, since the engine answers pings."""
    seen: list[str] = []

    def slow(request: object) -> None:
        path = request.path  # type: ignore[attr-defined]
        seen.append(path)
        if "containers" in path and len(seen) == 1:
            time.sleep(2.5)
        reply(request, 200, b"OK" if "_ping" in path else [])  # type: ignore[arg-type]

    with fake_engine(folder / "s", engine_of("1.41", slow)) as url:
        assert DockerRuntime(url).list("default") == []
    assert [path.split("?")[0].rpartition("/")[2] for path in seen] == [
        "json",
        "_ping",
        "json",
    ]


@contextmanager
def without_rights() -> Iterator[None]:
    """Be a user who may not write to others' sockets."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_socket_without_permission(folder: Path) -> None:
    """It is told apart from an engine that is down, with another remedy."""
    path = folder / "closed.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        path.chmod(0)
        with without_rights():
            error = unavailable(f"unix://{path}")
    assert error.reason == "permission"
    assert "group" in str(error)


def test_an_engine_that_is_too_old(folder: Path) -> None:
    """Its version and the needed one are in the message."""
    with fake_engine(folder / "s", engine_of("1.40")) as url:
        error = unavailable(url)
    assert error.reason == "version"
    assert "1.40" in str(error)
    assert "1.41" in str(error)


def test_an_engine_older_than_its_client_knows(folder: Path) -> None:
    """The client's own refusal is the same error."""
    with fake_engine(folder / "s", engine_of("1.12")) as url:
        assert unavailable(url).reason == "version"


def test_an_engine_newer_than_its_client_knows(folder: Path) -> None:
    """The version is the engine's own, and never pinned."""
    seen: list[str] = []

    def remember(request: object) -> None:
        seen.append(request.path)  # type: ignore[attr-defined]
        reply(request, 200, [])  # type: ignore[arg-type]

    with fake_engine(folder / "s", engine_of("1.99", remember)) as url:
        assert DockerRuntime(url).list("default") == []
    assert seen[0].startswith("/v1.99/")


@pytest.mark.parametrize(
    ("status", "content"),
    [(404, b"<html>not found</html>"), (200, b"[]"), (200, b"hello"), (200, {})],
)
def test_something_that_is_no_engine(
    folder: Path, status: int, content: object
) -> None:
    """Another server at that address is unreachable, and said to be none."""
    with fake_engine(folder / "s", lambda r: reply(r, status, content)) as url:
        error = unavailable(url)
    assert error.reason == "unreachable"


def test_an_engine_that_refuses(folder: Path) -> None:
    """What the engine says is in the message, the address of the request is not."""

    def refuse(request: object) -> None:
        if "_ping" in request.path:  # type: ignore[attr-defined]
            reply(request, 200, b"OK")  # type: ignore[arg-type]
        else:
            reply(request, 500, {"message": "out of luck"})  # type: ignore[arg-type]

    with fake_engine(folder / "s", engine_of("1.41", refuse)) as url:
        for name in ("list", "stop", "leftovers", "set_share"):
            with pytest.raises(DeployError, match="out of luck") as failed:
                VERBS[name](DockerRuntime(url))
            assert "http+docker" not in str(failed.value)
            assert failed.value.__cause__ is None


def test_nothing_is_contacted_before_the_first_verb(folder: Path) -> None:
    """A runtime is made, described and closed without an engine."""
    runtime = DockerRuntime(f"unix://{folder}/no.sock")
    assert str(folder) in repr(runtime)
    runtime.close()


def test_a_forked_child_has_connections_of_its_own(folder: Path) -> None:
    """Parent and child do not read each other's answers."""
    seen: list[object] = []

    def remember(request: object) -> None:
        seen.append(request.connection)  # type: ignore[attr-defined]
        reply(request, 200, [])  # type: ignore[arg-type]

    with fake_engine(folder / "s", engine_of("1.41", remember)) as url:
        runtime = DockerRuntime(url)
        runtime.list("default")
        runtime._engine._pid = -1
        runtime.list("default")
    first, second = seen
    assert first is not second


def test_another_machine_s_loopback() -> None:
    """A port on a remote engine's loopback is refused, with what to do instead."""
    for url in ("tcp://engine.example:2375", "ssh://user@engine.example"):
        with pytest.raises(RuntimeUnavailableError, match="bind="):
            check_reach(find_endpoint(url), Settings(), None)
        check_reach(find_endpoint(url), Settings(bind="10.0.0.5"), None)
        check_reach(find_endpoint(url), Settings(), "own container")
    check_reach(find_endpoint("tcp://127.0.0.1:2375"), Settings(), None)
