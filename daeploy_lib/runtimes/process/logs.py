"""What an instance has written: read from its files, also while they are rotated."""

import os
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self

from daeploy_lib import interruption
from daeploy_lib.domain.service import LogLine, Status
from daeploy_lib.errors import DeployError
from daeploy_lib.runtimes.process.records import instance_in
from daeploy_lib.runtimes.process.supervisor import LOG_FILES

_POLL_S = 0.1
_ENDED = (Status.exited, Status.unknown)


def read_logs(
    folder: Path, *, tail: int | None, follow: bool, since: datetime | None
) -> Iterator[LogLine]:
    """
    Yield lines, oldest first; following ends with the instance.

    Raises:
        DeployError: At the first line, if the instance is gone.
    """
    if instance_in(folder) is None:
        raise DeployError(f"Instance {folder.name} is gone.", stage="logs")
    with _Newest(folder / "log") as newest:
        lines = [*_older(folder / "log"), *newest.lines()]
        if since is not None:
            lines = [line for line in lines if line.at is None or line.at >= since]
        yield from deque(lines, maxlen=tail)
        while follow:
            # Looked at first: what it writes last is read after that.
            instance = instance_in(folder)
            yield from newest.lines()
            if instance is None or instance.status in _ENDED:
                return
            interruption.wait(_POLL_S)


def _older(path: Path) -> Iterator[LogLine]:
    for number in range(LOG_FILES - 1, 0, -1):
        try:
            content = Path(f"{path}.{number}").read_bytes()
        except OSError:
            continue
        yield from filter(None, map(_line, content.split(b"\n")))


class _Newest:
    """The file that is written to, followed when another takes its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def lines(self) -> Iterator[LogLine]:
        """Yield the lines that are complete and have not been read."""
        while self._file is not None:
            before = self._file
            *lines, self._rest = (self._rest + before.read()).split(b"\n")
            yield from filter(None, map(_line, lines))
            if not self._is_replaced(before):
                return
            # Whatever was written until it was replaced.
            *lines, self._rest = (self._rest + before.read()).split(b"\n")
            yield from filter(None, map(_line, lines))
            before.close()
            self._open()

    def _open(self) -> None:
        self._rest = b""
        try:
            self._file = self._path.open("rb")
        except OSError:
            self._file = None

    def _is_replaced(self, file: BinaryIO) -> bool:
        try:
            found = self._path.stat()
        except OSError:
            return False
        return found.st_ino != os.fstat(file.fileno()).st_ino


def _line(line: bytes) -> LogLine | None:
    at, _, rest = line.partition(b" ")
    stream, _, text = rest.partition(b" ")
    if not at.isdigit() or not stream:
        return None
    time_ = datetime.fromtimestamp(int(at) / 1e9, UTC)
    return LogLine(time_, stream.decode("ascii"), text.decode("utf-8", "replace"))
