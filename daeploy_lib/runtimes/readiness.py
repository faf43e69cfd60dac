"""Ready means answering: probes from outside, until one holds or none can."""

import errno
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

import httpx

from daeploy_lib import interruption
from daeploy_lib.domain.service import Status
from daeploy_lib.domain.spec import Readiness, Spec
from daeploy_lib.errors import DeployError, NotReadyError, StartError
from daeploy_lib.runtimes.base import Instance, Runtime

# Seconds that one probe may take: a service that hangs must not hold up the
# check whether it still runs, nor the deadline.
PROBE_TIMEOUT_S = 2.0
# Seconds between probes, at most, and how fast they become rarer: from 0.1 s
# this takes about 10 s.
_INTERVAL_MAX_S = 1.0
_BACK_OFF = 1.1
_SERVER_ERROR = 500
_LAST_LINES = 50

_SILENT = "closes the connection without an answer"


def wait_ready(
    runtime: Runtime,
    instance: Instance,
    spec: Spec,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = interruption.wait,
) -> Instance:
    """
    Return the instance, inspected again, once all its endpoints answer.

    Args:
        runtime: What runs it; asked between probes whether it still does.
        instance: What was started.
        spec: What was asked for, with the condition.
        clock: Seconds that only grow.
        sleep: Waits for some seconds.

    Raises:
        StartError: As soon as it has ended, with exit code, OOM flag and its
            last 50 lines of output.
        NotReadyError: If it has not answered as asked in time, with what was
            observed.
    """
    wanted = spec.readiness
    deadline = clock() + wanted.timeout
    interval = wanted.interval
    while True:
        limit = min(PROBE_TIMEOUT_S, max(deadline - clock(), wanted.interval))
        observed = probe_once(instance.endpoints, wanted, timeout=limit)
        now = runtime.inspect(instance.id)
        if now is None or now.status in (Status.exited, Status.restarting):
            _raise_ended(runtime, spec, instance, now)
        if observed is None:
            return now
        left = deadline - clock()
        if left <= 0:
            _raise_not_ready(runtime, spec, instance, observed)
        sleep(min(interval, left))
        interval = min(interval * _BACK_OFF, max(_INTERVAL_MAX_S, wanted.interval))


def probe_once(
    endpoints: Sequence[str], readiness: Readiness, *, timeout: float = PROBE_TIMEOUT_S
) -> str | None:
    """
    Ask every endpoint once; return None if all answer as asked, else why not.

    No redirect is followed: it is an answer. Proxies of the environment are
    not used.

    Args:
        endpoints: Base addresses.
        readiness: The condition.
        timeout: Seconds for each, in all: bytes that trickle do not extend it.
    """
    if not endpoints:
        return "it has no address"
    for endpoint in endpoints:
        observed = _within(timeout, endpoint, readiness.path)
        if observed is not None:
            return f"{endpoint}{readiness.path} {observed}"
    return None


def _within(timeout: float, endpoint: str, path: str) -> str | None:
    """Probe in a thread: the client's own timeouts count from byte to byte."""
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    # Loading the trusted certificates takes longer than the probe.
    client = httpx.Client(
        trust_env=False,
        verify=False,  # noqa: S501 - plain http, between this machine and itself
        timeout=timeout,
        limits=httpx.Limits(max_keepalive_connections=0),
    )
    probe = threading.Thread(
        target=lambda: answers.put(_probe(client, endpoint + path)),
        name="daeploy-probe",
        daemon=True,
    )
    with client:
        probe.start()
        try:
            with interruption.ended_by(lambda: answers.put(None)):
                return answers.get(timeout=timeout)
        except queue.Empty:
            return f"gives no answer within {timeout:g} s"


def _probe(client: httpx.Client, url: str) -> str | None:
    try:
        with client.stream("GET", url) as response:
            status = response.status_code
    except httpx.ConnectError:
        return "refuses the connection"
    except httpx.TimeoutException:
        return "gives no answer in time"
    except (httpx.ReadError, httpx.WriteError):
        return _SILENT
    except httpx.RemoteProtocolError as error:
        is_silent = "disconnected" in str(error)
        return _SILENT if is_silent else f"answers something that is not HTTP: {error}"
    except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:
        # RuntimeError: the client was closed, because the time was up.
        return f"cannot be asked: {error}"
    return None if status < _SERVER_ERROR else f"answers with HTTP {status}"


def _raise_ended(
    runtime: Runtime, spec: Spec, instance: Instance, now: Instance | None
) -> NoReturn:
    if now is None:
        raise StartError(
            "It was removed by somebody else before it was ready.",
            spec.name,
            spec.version,
            "ready",
        )
    code = "unknown" if now.exit_code is None else now.exit_code
    what = f"It ended before it was ready, with exit code {code}"
    if now.oom_killed:
        what += (
            f": the kernel ended it for want of memory; it may use "
            f"{spec.resources.memory} bytes. Give it more with resources="
            f"Resources(memory=…)"
        )
    lines = _last_lines(runtime, instance)
    raise StartError(
        f"{what}.{_writing_hint(lines)}",
        spec.name,
        spec.version,
        "ready",
        now.exit_code,
        now.oom_killed,
        lines,
    )


def _raise_not_ready(
    runtime: Runtime, spec: Spec, instance: Instance, observed: str
) -> NoReturn:
    hint = ""
    if "refuses" in observed or _SILENT in observed:
        hint = f" Does it listen on 0.0.0.0 and on port {spec.port}, as $PORT says?"
    elif "answers with HTTP" in observed:
        hint = " Give a path that answers below 500 with readiness=Readiness(path)."
    lines = _last_lines(runtime, instance)
    raise NotReadyError(
        f"It runs, but was not ready within {spec.readiness.timeout:g} s: "
        f"{observed}.{_writing_hint(lines) or hint}",
        spec.name,
        spec.version,
        "ready",
        log_lines=lines,
    )


def _writing_hint(lines: Sequence[str]) -> str:
    """Say what to do if it has met its read-only root."""
    if not any(os.strerror(errno.EROFS) in line for line in lines):
        return ""
    return (
        " It wrote where it may not: write below /tmp, or deploy with "
        "hardening=Hardening(read_only_root=False)."
    )


def _last_lines(runtime: Runtime, instance: Instance) -> tuple[str, ...]:
    try:
        lines = runtime.logs(instance.id, tail=_LAST_LINES, follow=False, since=None)
        return tuple(line.text for line in lines)[-_LAST_LINES:]
    except DeployError:
        return ()
