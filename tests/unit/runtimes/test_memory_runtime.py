"""The in-memory runtime, as far as the contract says nothing of it."""

import socket

import httpx
import pytest

from daeploy_lib.domain.service import Status
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import DeployError, StartError
from daeploy_lib.runtimes.base import Instance
from daeploy_lib.runtimes.memory import Behaviour, MemoryRuntime
from runtime_contexts import Files

SPEC = Spec("default", "hello", "1.0.0")


def start(runtime: MemoryRuntime) -> Instance:
    """Build and start a version."""
    artifact = runtime.build(SPEC, Files({}), lambda _: None, registry="registry")
    return runtime.start(SPEC, artifact, registry="registry")


def test_it_answers_with_what_it_was_asked() -> None:
    """Method, path, headers and body come back, chunked bodies as well."""
    runtime = MemoryRuntime()
    instance = start(runtime)
    with httpx.Client(base_url=instance.endpoints[0], trust_env=False) as client:
        answer = client.post("/a?b=c", content=b"body", headers={"x": "y"}).json()
        assert (answer["name"], answer["version"]) == ("hello", "1.0.0")
        assert (answer["method"], answer["path"]) == ("POST", "/a?b=c")
        assert ["x", "y"] in answer["headers"]
        assert answer["body"] == "body"
        pieces = (piece for piece in (b"one ", b"two"))
        assert client.put("/", content=pieces).json()["body"] == "one two"
        assert client.head("/").content == b""
    runtime.stop(instance.id, grace=0)


def test_the_end_cuts_connections() -> None:
    """A connection that was kept open gets no more answers, as with a process."""
    runtime = MemoryRuntime()
    instance = start(runtime)
    assert instance.port is not None
    connection = socket.create_connection(("127.0.0.1", instance.port), timeout=5)
    with connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        runtime.stop(instance.id, grace=0)
        while connection.recv(65536):
            continue


def test_failures_on_demand() -> None:
    """What a service does can be changed, and an instance can be made to crash."""
    runtime = MemoryRuntime()
    instance = start(runtime)
    runtime.crash(instance.id, exit_code=9)
    [listed] = runtime.list("default")
    assert (listed.status, listed.exit_code) == (Status.exited, 9)
    runtime.behave("hello", Behaviour(start_error="no luck"))
    with pytest.raises(StartError, match="no luck"):
        start(runtime)
    runtime.behave("hello", Behaviour(status=503))
    again = start(runtime)
    assert httpx.get(again.endpoints[0], trust_env=False).status_code == 503
    runtime.stop(again.id, grace=0)


def test_what_is_gone() -> None:
    """Verbs that need an instance say that there is none."""
    runtime = MemoryRuntime()
    with pytest.raises(DeployError, match="gone"):
        runtime.set_share("none", is_main=True)
    with pytest.raises(DeployError, match="gone"):
        list(runtime.logs("none", tail=None, follow=False, since=None))
    assert "threads" in repr(runtime)
