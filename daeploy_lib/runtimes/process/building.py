"""A build: the service's files in a directory of their own, and its environment."""

import contextlib
import os
import tarfile
from collections.abc import Iterator
from io import RawIOBase
from pathlib import Path

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import BuildError, SourceError
from daeploy_lib.registry.owner import Owner
from daeploy_lib.runtimes.base import Artifact, BuildInput, Event, OnEvent
from daeploy_lib.runtimes.process import folders
from daeploy_lib.runtimes.process.environments import Environments
from daeploy_lib.runtimes.process.folders import Folders
from daeploy_lib.sources.requirements import packages_of

CONTENT = "app"
_CHUNK_BYTES = 256 * 1024
# Told when a version does not answer.
_HINT = (
    "As a process it has to listen on $HOST and $PORT: the runtime chooses the port."
)


def build(
    places: Folders,
    environments: Environments,
    spec: Spec,
    source: BuildInput,
    on_event: OnEvent,
    *,
    registry: str,
) -> Artifact:
    """
    Unpack a source and install what it needs; on any failure leave nothing.

    Raises:
        BuildError: If it cannot be built without a container engine, or its
            packages cannot be installed.
    """
    _check(spec, source)
    identifier = folders.new_id()
    packages = packages_of(source)
    key = environments.key(packages, identifier)
    about = {
        "project": spec.project,
        "name": spec.name,
        "version": spec.version,
        "registry": registry,
        "environment": key,
        "owner": Owner.current().to_json(),
    }
    made = places.builds / identifier
    try:
        with places.locked():
            places.new(places.builds, identifier, folders.BUILD, about)
        on_event(Event("build", "Unpacking the content"))
        _unpack(source, made / CONTENT)
        environments.ensure(key, packages, made / CONTENT, spec, on_event)
    except BaseException:
        remove_build(places, environments, made)
        raise
    return Artifact(
        made.name, source.digest, source_origin=source.origin, hints=(_HINT,)
    )


def remove_build(places: Folders, environments: Environments, made: Path) -> None:
    """Remove a build, and its environment unless another build uses it."""
    with places.locked():
        about = folders.read(made / folders.BUILD) or {}
        places.remove(made)
        key = about.get("environment")
        used = {
            (folders.read(other / folders.BUILD) or {}).get("environment")
            for other in folders.each(places.builds)
        }
        if key and key not in used:
            environments.remove(key)


def _check(spec: Spec, source: BuildInput) -> None:
    if spec.mounts:
        raise BuildError(
            "Mounts need a container engine: a process sees all files of its user. "
            "Give it their paths with environment={…}.",
            spec.name,
            spec.version,
            "build",
        )
    has_service = source.read("service.py") is not None
    if not (has_service or spec.command):
        what = "a Dockerfile, which needs a container engine" * source.has_dockerfile
        raise BuildError(
            f"It cannot be run as a process: it has {what or 'no service.py'}. Add a "
            f"service.py that serves HTTP on $HOST and $PORT, or say what to run with "
            f"command=[…].",
            spec.name,
            spec.version,
            "build",
        )


class _Reader(RawIOBase):
    """Chunks as a file that can be read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._left) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                size = len(self._left)
                break
            self._left += chunk
        taken, self._left = self._left[:size], self._left[size:]
        return taken


def _unpack(source: BuildInput, content: Path) -> None:
    """Write the vetted files of a source; whatever would lead out of it is refused."""
    content.mkdir(mode=0o700)
    root = content.resolve()
    with (
        contextlib.closing(_Reader(source.write_tar({}))) as reader,
        tarfile.open(fileobj=reader, mode="r|", bufsize=_CHUNK_BYTES) as tar,
    ):
        for member in tar:
            path = root / member.name
            if not path.parent.resolve().is_relative_to(root) or path == root:
                raise SourceError(f"{member.name!r} leads out of the source.")
            _write(tar, member, path)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if member.isdir():
        path.mkdir(exist_ok=True, mode=0o700)
    elif member.issym():
        path.symlink_to(member.linkname)
    else:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
        mode = 0o700 if member.mode & 0o100 else 0o600
        file = tar.extractfile(member)
        with open(os.open(path, flags, mode), "wb") as out:  # noqa: PTH123
            while file is not None and (chunk := file.read(_CHUNK_BYTES)):
                out.write(chunk)
