"""An instance: a port that is its own, and somebody who stands by it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import attrs

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import StartError
from daeploy_lib.registry.owner import Owner, owner_of
from daeploy_lib.runtimes.base import Artifact, Instance
from daeploy_lib.runtimes.process import folders
from daeploy_lib.runtimes.process.building import CONTENT
from daeploy_lib.runtimes.process.folders import Folders
from daeploy_lib.runtimes.process.ports import Port, own_port
from daeploy_lib.runtimes.process.processors import processors_for
from daeploy_lib.runtimes.process.records import HOST, Record, instance_in, record_in
from daeploy_lib.runtimes.process.settings import Settings

SUPERVISOR = Path(__file__).with_name("supervisor.py")
# Tells the processes of an instance from all others, wherever they have gone.
MARK = "DAEPLOY_INSTANCE"
# Seconds until the one who stands by it has said what became of its start.
_PATIENCE_S = 20.0
_POLL_S = 0.01
# What a program may need of the machine; the rest of our environment is ours.
_PASSED_ON = (
    *("LANG", "LC_ALL", "TZ"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH"),
)


def start(
    places: Folders,
    settings: Settings,
    spec: Spec,
    artifact: Artifact,
    *,
    environment: Path,
    registry: str,
) -> Instance:
    """
    Start one instance; on any failure, Ctrl-C included, nothing of it is left.

    Raises:
        StartError: If no port is free, or its command cannot be run.
    """
    content = places.builds / artifact.image / CONTENT
    if not content.is_dir():
        raise _error(spec, f"the build {artifact.image} is gone. Deploy it again")
    folder, record, port = _reserved(places, settings, spec, artifact, registry)
    try:
        variables = _variables(spec, environment, folder, record.port)
        for name in ("tmp", "home"):
            (folder / name).mkdir(mode=0o700)
        order = {
            "words": _words(spec, content, variables["PATH"]),
            "directory": str(content),
            "environment": variables,
            "memory": spec.resources.memory,
            "pids": spec.resources.pids,
            "processors": record.processors,
        }
        _attend(folder, record, port, order)
        return _started(folder, spec)
    except BaseException:
        _give_up(places, folder)
        raise
    finally:
        port.hold.close()


def _reserved(
    places: Folders, settings: Settings, spec: Spec, artifact: Artifact, registry: str
) -> tuple[Path, Record, Port]:
    """Return a directory, a record, and a port that nobody else has."""
    with places.locked():
        found = map(record_in, folders.each(places.instances))
        others = [record for record in found if record is not None]
        taken = {record.port for record in others}
        processors = processors_for(
            spec.resources.cpus, [record.processors for record in others]
        )
        port = own_port(settings.ports, taken)
        if port is not None:
            record = Record.of(
                folders.new_id(),
                spec,
                artifact,
                registry,
                port=port.number,
                processors=processors,
            )
            about = attrs.asdict(record)
            instances = places.instances
            try:
                folder = places.new(instances, record.id, folders.INSTANCE, about)
            except BaseException:
                port.hold.close()
                raise
            return folder, record, port
    raise _error(
        spec,
        f"none of the {len(settings.ports)} ports of the range is free. Kill some "
        f"versions, or give ProcessRuntime(ports=range(…)) others",
    )


def _variables(
    spec: Spec, environment: Path, folder: Path, port: int
) -> Mapping[str, str]:
    """Return the environment of the service: little of ours, for it may be secret."""
    usual = os.environ.get("PATH", os.defpath)
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        "PATH": f"{environment / 'bin'}{os.pathsep}{usual}",
        "VIRTUAL_ENV": str(environment),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **spec.environment,
        "HOST": HOST,
        "PORT": str(port),
        MARK: folder.name,
    }


def _words(spec: Spec, content: Path, path: str) -> list[str]:
    program, *arguments = spec.command or ("python", "service.py")
    found = shutil.which(program, path=path)
    if found is None and (content / program).is_file():
        found = str(content / program)
    if found is None:
        raise _error(spec, f"the program {program!r} of its command does not exist")
    return [found, *arguments]


def _attend(
    folder: Path, record: Record, port: Port, order: Mapping[str, object]
) -> None:
    """Have somebody stand by it who outlives us."""
    errors = (folder / "supervisor.log").open("wb")
    with (
        errors,
        subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", str(SUPERVISOR), str(folder)],
            cwd=folder,
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            # Whoever stands by it has the port for as long as that one lives.
            pass_fds=[port.hold.fileno()],
            start_new_session=True,
        ) as first,
    ):
        assert first.stdin is not None  # noqa: S101 - both are pipes
        assert first.stdout is not None  # noqa: S101
        pid = int(first.stdout.readline() or 0)
        owner = owner_of(pid) if pid else None
        if owner is not None:
            # Before it begins: whoever comes after us finds it.
            attrs.evolve(record, supervisor=owner.to_json()).keep(folder)
            with contextlib.suppress(BrokenPipeError):
                first.stdin.write(json.dumps(order).encode() + b"\n")
                first.stdin.flush()


def _started(folder: Path, spec: Spec) -> Instance:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        instance = instance_in(folder)
        if instance is None:
            break
        if folders.read(folder / folders.STATE) is not None:
            return instance
        record = record_in(folder)
        if record is not None and not record.is_attended:
            break
        time.sleep(_POLL_S)
    said = (folder / "supervisor.log").read_text("utf-8", "replace")
    last = said.strip().splitlines()[-1:] or ["it said nothing"]
    raise _error(spec, f"the process that stands by it has ended: {last[0]}")


def _give_up(places: Folders, folder: Path) -> None:
    record = record_in(folder)
    owner: Owner | None = None if record is None else record.owner
    if owner is not None and owner.is_alive():
        with contextlib.suppress(ProcessLookupError):
            os.kill(owner.pid, signal.SIGUSR1)
            deadline = time.monotonic() + _PATIENCE_S
            while owner.is_alive() and time.monotonic() < deadline:
                time.sleep(_POLL_S)
    places.remove(folder)


def _error(spec: Spec, what: str) -> StartError:
    return StartError(
        f"It cannot be started: {what}.", spec.name, spec.version, "start"
    )
