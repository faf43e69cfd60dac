"""
The members of a zip archive, in the order of its directory.

Source:
    PKWARE, APPNOTE.TXT 6.3.10, section 4.3; Fifield, "A better zip bomb", 2019, for
    members that overlap.
"""

import contextlib
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from daeploy_lib.sources.archive.entry import BrokenArchiveError, Entry
from daeploy_lib.sources.members import PATH_BYTES_MAX, shown

START = (b"PK\3\4", b"PK\5\6")
_CHUNK_BYTES = 256 * 1024
# Of the directory at its end, which is read as a whole: 100,000 members with paths
# of 600 bytes.
_DIRECTORY_BYTES_MAX = 64 * 1024**2
_END, _END_BYTES, _COMMENT_BYTES_MAX = b"PK\5\6", 22, 65535
_SAID_ELSEWHERE = 0xFFFFFFFF
# APPNOTE.TXT, 4.3.15 and 4.3.14.
_LOCATOR, _LARGE = struct.Struct("<4sIQI"), struct.Struct("<4sQHHIIQQQQ")
_IS_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LOCAL_HEADER_BYTES = 30
_UNIX = 3
_DRIVE = re.compile(r"[A-Za-z]:")
# What macOS puts beside the files.
_RESOURCE_FORKS = "__MACOSX/"


def zip_entries(file: BinaryIO) -> Iterator[Entry]:
    """
    Yield the members of a zip archive.

    Raises:
        BrokenArchiveError: If it is damaged, encrypted, or packed in a way that is
            not read.
    """
    _check_directory(file)
    with _mapped(), zipfile.ZipFile(file) as archive:
        found = archive.infolist()
        _check_overlaps(found)
        for info in found:
            if not info.filename.startswith(_RESOURCE_FORKS):
                yield _entry(archive, info)


@contextlib.contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, EOFError, zlib.error, struct.error) as error:
        raise BrokenArchiveError(f"it is damaged: {error}") from error
    except (NotImplementedError, RuntimeError, ValueError) as error:
        raise BrokenArchiveError(f"it cannot be read: {error}") from error


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    path, mode = info.orig_filename, info.external_attr >> 16
    if info.flag_bits & _IS_ENCRYPTED:
        raise BrokenArchiveError(
            f"{shown(path)} in it is encrypted. Pack it without a password"
        )
    if info.compress_type not in _METHODS:
        raise BrokenArchiveError(
            f"{shown(path)} in it is compressed in a way that is not read, number "
            f"{info.compress_type}. Pack it with the usual one, deflate"
        )
    if "\\" in path or _DRIVE.match(path):
        raise BrokenArchiveError(
            f"{shown(path)} in it is a path of Windows. Pack it with / between names"
        )
    if path.endswith("/"):
        return Entry(path, "directory")
    is_unix = info.create_system == _UNIX
    if is_unix and stat.S_ISLNK(mode):
        return Entry(path, "link", target=_target(archive, info))
    if is_unix and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise BrokenArchiveError(f"{shown(path)} in it is a device, a pipe or a socket")
    return Entry(
        path,
        "file",
        is_executable=is_unix and bool(mode & stat.S_IXUSR),
        content=_content(archive, info),
    )


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with _mapped(), archive.open(info) as member:
        while chunk := member.read(_CHUNK_BYTES):
            yield chunk


def _target(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    with archive.open(info) as member:
        target = member.read(PATH_BYTES_MAX + 1)
        if member.read(1):
            raise BrokenArchiveError(
                f"the link {shown(info.filename)} in it is too long"
            )
    return target.decode("utf-8", "surrogateescape")


def _check_directory(file: BinaryIO) -> None:
    """Refuse a directory that would fill the memory, before it is read."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END_BYTES - _COMMENT_BYTES_MAX))
    end = file.read()
    at = end.rfind(_END)
    if at < 0 or len(end) - at < _END_BYTES:
        raise BrokenArchiveError("it is not complete: its directory is missing")
    (length,) = struct.unpack("<I", end[at + 12 : at + 16])
    if length == _SAID_ELSEWHERE:
        length = _length_of_large(file, max(0, size - len(end)) + at)
    if length > min(size, _DIRECTORY_BYTES_MAX):
        raise BrokenArchiveError(f"its directory is said to have {length:,} bytes")
    file.seek(0)


def _length_of_large(file: BinaryIO, end: int) -> int:
    """Return how long the directory is, from the record that large archives have."""
    file.seek(max(0, end - _LOCATOR.size))
    try:
        _, _, at, _ = _LOCATOR.unpack(file.read(_LOCATOR.size))
        file.seek(at)
        *_, length, _ = _LARGE.unpack(file.read(_LARGE.size))
    except (struct.error, OSError, OverflowError, ValueError) as error:
        raise BrokenArchiveError("it is damaged: its directory is missing") from error
    return int(length)


def _check_overlaps(found: list[zipfile.ZipInfo]) -> None:
    """Refuse members that share bytes: a little of them is unpacked to a lot."""
    end = 0
    for info in sorted(found, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise BrokenArchiveError(f"{shown(info.filename)} in it overlaps another")
        end = info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size
