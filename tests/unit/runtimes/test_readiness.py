"""Readiness: asked from outside, in time, and with words for what was seen."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs
import pytest

from daeploy_lib.domain.service import Status
from daeploy_lib.domain.spec import Readiness, Resources, Spec
from daeploy_lib.errors import NotReadyError, StartError
from daeploy_lib.runtimes.base import Artifact, Instance
from daeploy_lib.runtimes.memory import Behaviour, MemoryRuntime
from daeploy_lib.runtimes.readiness import probe_once, wait_ready

Serve = Callable[[socket.socket], None]

READINESS = Readiness()


@contextmanager
def upstream(serve: Serve) -> Iterator[str]:
    """Handle each connection so, and give the address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    try:
                        connection.recv(65536)
                        serve(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def answering(content: bytes) -> Serve:
    """Return what sends these bytes and closes."""
    return lambda connection: connection.sendall(content)


@pytest.mark.parametrize(
    "status", [b"200 OK", b"302 Found", b"404 Not Found", b"401 No"]
)
def test_any_answer_below_500_counts(status: bytes) -> None:
    """A redirect or a refusal is an answer, and is not followed."""
    content = b"HTTP/1.1 %s\r\nlocation: http://127.0.0.1:1/\r\n" % status
    with upstream(answering(content + b"content-length: 0\r\n\r\n")) as url:
        assert probe_once([url], READINESS) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", "HTTP 503"),
        (b"", "without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP"),
    ],
)
def test_what_does_not_count(content: bytes, words: str) -> None:
    """What was observed instead is said, with the address."""
    with upstream(answering(content)) as url:
        observed = probe_once([url], READINESS)
    assert observed is not None
    assert words in observed
    assert url in observed


def test_nobody_listens() -> None:
    """A refused connection is told apart; no address at all is none either."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    observed = probe_once([f"http://127.0.0.1:{port}"], READINESS)
    assert observed is not None
    assert "refuses" in observed
    assert probe_once([], READINESS) == "it has no address"


def test_every_endpoint_has_to_answer() -> None:
    """One that answers does not stand for another."""
    good = answering(b"HTTP/1.1 204 No Content\r\n\r\n")
    with upstream(good) as first, upstream(answering(b"")) as second:
        assert probe_once([first, first], READINESS) is None
        assert second in str(probe_once([first, second], READINESS))


def test_the_path_is_asked_as_it_is() -> None:
    """Path and query of the condition reach the service unchanged."""
    seen: list[bytes] = []

    def remember(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            connection, _ = server.accept()
            with connection:
                seen.append(connection.recv(65536))
                remember(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert probe_once([url], Readiness("/health?deep=1")) is None
        thread.join()
    assert seen[0].startswith(b"GET /health?deep=1 HTTP/1.1\r\n")


def test_bytes_that_trickle_do_not_extend_a_probe() -> None:
    """A service that sends a byte now and then is given up in time."""

    def trickle(connection: socket.socket) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    with upstream(trickle) as url:
        began = time.monotonic()
        observed = probe_once([url], READINESS, timeout=0.4)
        assert time.monotonic() - began < 1
    assert observed is not None
    assert "0.4 s" in observed


def test_proxies_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The question goes to the service itself."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with upstream(answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as url:
        assert probe_once([url], READINESS) is None


SPEC = Spec("default", "hello", "1.0.0", resources=Resources(memory="64m"))


def started(behaviour: Behaviour, spec: Spec = SPEC) -> tuple[MemoryRuntime, Instance]:
    """Return a runtime and an instance that behaves so."""
    runtime = MemoryRuntime({"hello": behaviour})
    runtime._images["image"] = (spec, "registry")
    artifact = Artifact("image", "sha256:")
    return runtime, runtime.start(spec, artifact, registry="registry")


def test_probes_become_rarer() -> None:
    """They begin 0.1 s apart, end 1 s apart, and stop at the timeout."""
    runtime, instance = started(Behaviour(status=500))
    now, waits = [0.0], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    with pytest.raises(NotReadyError, match="HTTP 500") as failed:
        wait_ready(runtime, instance, SPEC, clock=lambda: now[0], sleep=sleep)
    runtime.stop(instance.id, grace=0)
    assert now[0] == pytest.approx(60)
    assert waits[:2] == pytest.approx([0.1, 0.11])
    assert max(waits) == 1
    assert len(waits) < 90
    assert failed.value.log_lines == ("GET /",) * 50


def test_memory_is_named_as_the_reason() -> None:
    """A version that the kernel ended learns how much it may have."""
    runtime, instance = started(Behaviour(exit_code=137))
    found = runtime._running[instance.id]
    found.instance = attrs.evolve(found.instance, oom_killed=True)
    with pytest.raises(StartError, match="67108864") as failed:
        wait_ready(runtime, instance, SPEC)
    assert failed.value.oom_killed
    assert failed.value.exit_code == 137


EROFS = "OSError: [Errno 30] Read-only file system: 'model.pkl'"


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (Behaviour(exit_code=1, lines=(EROFS,)), StartError),
        (Behaviour(status=500, lines=(EROFS,)), NotReadyError),
    ],
)
def test_a_read_only_root_is_named_as_the_reason(
    behaviour: Behaviour, kind: type[Exception]
) -> None:
    """A version that wrote to it learns where it may, and how it is relaxed."""
    runtime, instance = started(behaviour)
    spec = attrs.evolve(SPEC, readiness=Readiness(timeout=0.3))
    with pytest.raises(kind, match=r"below /tmp.*Hardening\(read_only_root=False\)"):
        wait_ready(runtime, instance, spec)
    runtime.stop(instance.id, grace=0)


def test_a_version_that_somebody_removes() -> None:
    """It is said at once, and not after the timeout."""
    runtime, instance = started(Behaviour(is_silent=True))
    runtime.stop(instance.id, grace=0)
    with pytest.raises(StartError, match="removed"):
        wait_ready(runtime, instance, SPEC)


def test_a_version_that_ends_while_it_is_asked() -> None:
    """An answer counts only from what still runs."""
    runtime, instance = started(Behaviour())
    found = runtime._running[instance.id]
    found.instance = attrs.evolve(found.instance, status=Status.exited, exit_code=0)
    with pytest.raises(StartError, match="exit code 0"):
        wait_ready(runtime, instance, SPEC)
    runtime.stop(instance.id, grace=0)
