"""An archive as the source of a version."""

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import BinaryIO

import attrs

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import SourceError
from daeploy_lib.sources.archive import zip as zips
from daeploy_lib.sources.archive.entry import BrokenArchiveError, Entry
from daeploy_lib.sources.archive.tar import is_tar, tar_entries
from daeploy_lib.sources.archive.unpacking import Unpacking
from daeploy_lib.sources.context import Context
from daeploy_lib.sources.directory import check_address, context_of, missing, path_of
from daeploy_lib.sources.members import refused

# By which a path is taken for an archive.
ENDINGS = (".tar.gz", ".tgz", ".tar", ".zip")
_GZIP = b"\x1f\x8b"
_START_BYTES = 512
_OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "7-Zip", b"Rar!": "RAR"}
_OTHERS |= {b"\x28\xb5\x2f\xfd": "Zstandard"}


@attrs.frozen
class Archive:
    """
    An archive of a directory: ``.tar.gz``, ``.tar`` or ``.zip``.

    Its kind is seen from its content. It is vetted while it is read, member by
    member: absolute paths, ``..``, devices, pipes, encrypted or overlapping members,
    second members of one name, and what unpacks to 200 times its size are refused.
    Links are kept, and refused if they lead out of it. Then it is what the
    ``Directory`` would be that was packed, with the same digest: see there for what
    stays out. A directory that is the only thing at its top is left out of the paths;
    the archives of GitHub and of ``git archive --prefix`` have one. At most 100,000
    files and 64 GiB.

    Args:
        path: Where it is; ``~`` is the home directory.

    Raises:
        TypeError, ValueError: If it is no path, or an empty one.

    Example:
        >>> Archive("hello.tar.gz").path.name
        'hello.tar.gz'
    """

    path: Path = attrs.field(converter=path_of)


def open_archive(
    archive: Archive, spec: Spec, tell: Callable[[str], object]
) -> Context:
    """
    Return the vetted context of an archive; the caller closes it.

    Args:
        archive: Which one.
        spec: What will be run from it.
        tell: Called with a line for people before it is unpacked.

    Raises:
        SourceError: If it does not exist, is no archive, is damaged, changes while it
            is read, or holds what must not be in a context.
    """
    path = archive.path
    check_address(path)
    with _file(path) as file:
        before = os.fstat(file.fileno())
        entries = _entries(path, file)
        tell(f"Unpacking {path}")
        temporary = _temporary(path)
        folder = Path(temporary.name)
        try:
            _unpack(path, before, entries, folder)
            top = _lone_directory(folder)
            return context_of(
                top, spec, origin=str(path.absolute()), temporary=temporary
            )
        except BaseException as error:
            if isinstance(error, SourceError):
                _name(error, folder, path)
            temporary.cleanup()
            raise


def _name(error: SourceError, folder: Path, path: Path) -> None:
    """Have an error about what was unpacked name the archive."""
    for unpacked in (_lone_directory(folder), folder):
        error.message = error.message.replace(str(unpacked), str(path))


@contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except IsADirectoryError:
        raise refused(path, "it is a directory. Name it without Archive(…)") from None
    except FileNotFoundError:
        raise missing(path) from None
    except OSError as error:
        raise refused(path, f"it cannot be read: {error.strerror}") from error
    with file:
        yield file


def _entries(path: Path, file: BinaryIO) -> Iterator[Entry]:
    """Return the members of whatever kind of archive it is."""
    start = file.read(_START_BYTES)
    file.seek(0)
    if not start:
        raise refused(path, "it is empty")
    if start.startswith(zips.START):
        return zips.zip_entries(file)
    if start.startswith(_GZIP):
        packed = gzip.GzipFile(fileobj=file)
        return tar_entries(packed)  # type: ignore[arg-type]
    if is_tar(start):
        return tar_entries(file)
    for mark, kind in _OTHERS.items():
        if start.startswith(mark):
            raise refused(path, f"it is packed with {kind}. Pack it as .tar.gz or .zip")
    raise refused(path, "it is no archive. Pack a directory as .tar.gz or .zip")


def _unpack(
    path: Path, before: os.stat_result, entries: Iterator[Entry], folder: Path
) -> None:
    try:
        Unpacking(folder, before.st_size).take(entries)
    except BrokenArchiveError as error:
        raise _changed(path, before) or refused(path, str(error)) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _changed(path, before) or refused(
            path, f"it is damaged, or not complete: {error}"
        ) from error
    except OSError as error:
        raise refused(
            path,
            f"it cannot be unpacked in {gettempdir()}: {error.strerror}. Make room "
            f"there, or set TMPDIR to another directory",
        ) from error
    changed = _changed(path, before)
    if changed is not None:
        raise changed


def _changed(path: Path, before: os.stat_result) -> SourceError | None:
    """Return the error for an archive that is not what it was; None if it is."""
    try:
        now = path.stat()
    except OSError:
        now = None
    kept = ("st_dev", "st_ino", "st_size", "st_mtime_ns")
    if now is not None and all(getattr(now, k) == getattr(before, k) for k in kept):
        return None
    return refused(path, "it changed while it was read. Deploy when it is complete")


def _temporary(path: Path) -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory(prefix="daeploy-archive-")
    except OSError as error:
        raise refused(
            path, f"it cannot be unpacked in {gettempdir()}: {error.strerror}"
        ) from error


def _lone_directory(folder: Path) -> Path:
    """Return the only directory at the top, or the top."""
    try:
        found = list(folder.iterdir())
    except OSError:
        return folder
    is_lone = len(found) == 1 and found[0].is_dir() and not found[0].is_symlink()
    return found[0] if is_lone else folder
