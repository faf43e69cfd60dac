"""Logs of a container: whole lines, both streams, from and to where one asks."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from container_engine import Engine
from daeploy_lib.domain.service import LogLine
from daeploy_lib.errors import DeployError
from daeploy_lib.runtimes.base import Instance
from daeploy_lib.runtimes.docker import DockerRuntime
from docker_versions import Versions, wait_until

pytestmark = pytest.mark.docker

# Prints what a log can hold, then a line every 0.2 s.
PRINTS = r"""
import os, sys, time
print("first", flush=True)
sys.stderr.write("to stderr\n"); sys.stderr.flush()
print("x" * 100_000, flush=True)
os.write(1, b"half "); time.sleep(0.2); os.write(1, "wörld\n".encode())
os.write(1, b"\xff\xfe broken\r\n")
os.write(1, b"\n")
print("last", flush=True)
number = 0
while os.path.exists("/service.py"):
    time.sleep(0.2)
    number += 1
    if number < 300:
        print("tick", number, flush=True)
"""
BEGINNING = ["first", "to stderr", "x" * 100_000, "half wörld", "\ufffd\ufffd broken"]
BEGINNING += ["", "last"]


@pytest.fixture
def versions(engine: Engine, project: str) -> Versions:
    """Versions on the engine."""
    return Versions(engine, project, DockerRuntime(engine.url))


@pytest.fixture
def instance(versions: Versions) -> Instance:
    """A container that has printed its beginning."""
    started = versions.start(source=versions.source(PRINTS))
    wait_until(lambda: "last" in texts(versions, started))
    return started


def lines_of(
    versions: Versions,
    instance: Instance,
    *,
    tail: int | None = None,
    since: datetime | None = None,
) -> list[LogLine]:
    """Return the lines that there are now."""
    return list(
        versions.runtime.logs(instance.id, tail=tail, follow=False, since=since)
    )


def texts(versions: Versions, instance: Instance) -> list[str]:
    """Return the texts of all lines that there are now."""
    return [line.text for line in lines_of(versions, instance)]


def test_lines_are_whole(versions: Versions, instance: Instance) -> None:
    """Long, split and broken lines come as one each, on the stream they were on."""
    lines = lines_of(versions, instance)[: len(BEGINNING)]
    by_stream = {"stdout": [], "stderr": []}  # type: dict[str, list[str]]
    for line in lines:
        by_stream[line.stream].append(line.text)
    # The two streams are pipes of their own: only within one is there an order.
    assert by_stream["stderr"] == ["to stderr"]
    assert by_stream["stdout"] == [t for t in BEGINNING if t != "to stderr"]
    now = datetime.now(UTC)
    assert all(
        line.at is not None and timedelta(0) <= now - line.at < timedelta(minutes=5)
        for line in lines
    )


def test_tail(versions: Versions, instance: Instance) -> None:
    """The last lines are the last, none is none, None is all."""
    assert lines_of(versions, instance, tail=0) == []
    everything = texts(versions, instance)
    last = [line.text for line in lines_of(versions, instance, tail=2)]
    assert len(last) == 2
    assert last[0] in [*everything[-2:], "tick 1"] or last[0].startswith("tick")
    assert len(lines_of(versions, instance, tail=100_000)) >= len(everything)


def test_since(versions: Versions, instance: Instance) -> None:
    """Lines begin at a moment, to fractions of a second."""
    wait_until(lambda: "tick 3" in texts(versions, instance))
    second = next(
        line for line in lines_of(versions, instance) if line.text == "tick 2"
    )
    assert second.at is not None
    # Nanoseconds are cut to microseconds: the line itself is not before them.
    from_there = lines_of(versions, instance, since=second.at)
    assert from_there[0].text == "tick 2"
    just_after = second.at + timedelta(milliseconds=50)
    assert lines_of(versions, instance, since=just_after)[0].text == "tick 3"
    zone_less = second.at.astimezone().replace(tzinfo=None)
    assert lines_of(versions, instance, since=zone_less)[0].text == "tick 2"


def test_following(versions: Versions, instance: Instance) -> None:
    """New lines come as they are printed, until the container is removed."""
    seen: list[tuple[float, str]] = []
    lines = versions.runtime.logs(instance.id, tail=1, follow=True, since=None)

    def follow() -> None:
        for line in lines:
            seen.append((time.monotonic(), line.text))  # noqa: PERF401 - as they come

    reader = threading.Thread(target=follow)
    reader.start()
    wait_until(lambda: len(seen) > 3)
    versions.runtime.stop(instance.id, grace=0)
    reader.join(10)
    assert not reader.is_alive()
    times = [at for at, _ in seen]
    assert times[-1] - times[0] > 0.3


def test_closing_frees_the_connection(versions: Versions, instance: Instance) -> None:
    """An iterator that is closed, or dropped, leaves no socket open."""
    versions.runtime.inspect(instance.id)
    process = psutil.Process()
    before = process.num_fds()
    for _ in range(5):
        lines = versions.runtime.logs(instance.id, tail=None, follow=True, since=None)
        assert next(iter(lines)).text
        assert process.num_fds() > before
        assert isinstance(lines, Iterator)
        lines.close()  # type: ignore[attr-defined]
    assert process.num_fds() == before


def test_logs_of_what_is_gone(versions: Versions, instance: Instance) -> None:
    """It is said that the container is gone."""
    versions.runtime.stop(instance.id, grace=0)
    with pytest.raises(DeployError, match="gone"):
        lines_of(versions, instance)
