"""
The members of a tar archive, read in one pass.

``tarfile`` is not used: it takes an archive that was cut off between two members for a
whole one, reads a header into memory however long it says it is, and the releases of
Python that this library runs on differ in which of its faults are mended.

Source:
    IEEE Std 1003.1-2017, pax, "ustar Interchange Format" and "pax Interchange Format";
    GNU tar, "Basic Tar Format"; CVE-2025-8194, CVE-2024-12718, CVE-2025-4517.
"""

from collections.abc import Iterator
from typing import BinaryIO

import attrs

from daeploy_lib.sources.archive.entry import BrokenArchiveError, Entry

_BLOCK = 512
_CHUNK_BYTES = 256 * 1024
# Of a long name or of extended fields; a path has at most 4,096.
_HEADER_BYTES_MAX = 1024**2
_CHECKSUM = slice(148, 156)
_KINDS = {b"1": "same", b"2": "link", b"5": "directory"}
_EXTENDED, _GLOBAL, _LONG_NAME, _LONG_LINK = b"x", b"g", b"L", b"K"
_ODD = {
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"S": "a sparse file, which not everybody reads alike",
}
_EXECUTABLE = 0o100
# GNU's way to write a number that is too large for its digits.
_IS_BINARY = b"\x80"


def is_tar(start: bytes) -> bool:
    """Return whether a file that begins with these 512 bytes is a tar archive."""
    return start[257:262] == b"ustar" or (
        len(start) == _BLOCK and start[0] != 0 and _has_sum(start)
    )


def tar_entries(file: BinaryIO) -> Iterator[Entry]:
    """
    Yield the members of a tar archive.

    Raises:
        BrokenArchiveError: If it is damaged, not complete, or holds what is neither
            file, directory nor link.
    """
    fields = _Fields()
    while True:
        header = _read(file, _BLOCK)
        if not header.strip(b"\0"):
            break
        if not _has_sum(header):
            raise BrokenArchiveError("it is damaged: a header has a wrong checksum")
        kind, size = header[156:157], _number(header[124:136])
        if kind in (_EXTENDED, _GLOBAL, _LONG_NAME, _LONG_LINK):
            fields.take(kind, _field(file, size))
            continue
        entry, size = fields.entry(header, kind, size)
        rest = _Rest(file, size)
        yield attrs.evolve(entry, content=iter(rest))
        rest.skip()
        _read(file, -size % _BLOCK)
        fields = _Fields()
    _drain(file)


@attrs.define
class _Fields:
    """What extended headers say of the next member, instead of its own."""

    path: str | None = None
    target: str | None = None
    size: int | None = None

    def take(self, kind: bytes, content: bytes) -> None:
        """Take the content of an extended header."""
        if kind == _LONG_NAME:
            self.path = _text(content)
        elif kind == _LONG_LINK:
            self.target = _text(content)
        else:
            for name, value in _records(content):
                self._set(kind, name, value)

    def _set(self, kind: bytes, name: str, value: str) -> None:
        if name.startswith("GNU.sparse."):
            raise BrokenArchiveError(f"it holds {_ODD[b'S']}")
        if name not in ("path", "linkpath", "size"):
            return
        if kind == _GLOBAL:
            raise BrokenArchiveError(f"one header gives all members the same {name}")
        if name == "path":
            self.path = value
        elif name == "linkpath":
            self.target = value
        elif value.isascii() and value.isdigit():
            self.size = int(value)
        else:
            raise BrokenArchiveError("it is damaged: a size is no number")

    def entry(self, header: bytes, kind: bytes, size: int) -> tuple[Entry, int]:
        """Return the member behind a header, and how many bytes follow it."""
        path = _name(header) if self.path is None else self.path
        if kind in _ODD:
            raise BrokenArchiveError(f"{path!r} in it is {_ODD[kind]}")
        target = _text(header[157:257]) if self.target is None else self.target
        if kind in _KINDS:
            # Of a link some write the size of its file; nothing follows.
            return Entry(path, _KINDS[kind], target=target), 0
        if kind not in (b"0", b"\0", b"7"):
            raise BrokenArchiveError(f"{path!r} in it is of an unknown kind, {kind!r}")
        if path.endswith("/"):
            return Entry(path, "directory"), 0  # as it was before 1988
        is_executable = bool(_number(header[100:108]) & _EXECUTABLE)
        size = size if self.size is None else self.size
        return Entry(path, "file", is_executable=is_executable), size


class _Rest:
    """The content of the member at hand."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            chunk = _read(self._file, min(_CHUNK_BYTES, self._left))
            self._left -= len(chunk)
            yield chunk

    def skip(self) -> None:
        """Read what nobody has read."""
        for _ in self:
            pass


def _read(file: BinaryIO, count: int) -> bytes:
    content = file.read(count)
    if len(content) != count:
        raise BrokenArchiveError("it is not complete: its end is missing")
    return content


def _drain(file: BinaryIO) -> None:
    """Read on, since what it was packed with has its checksum at its end."""
    while file.read(_CHUNK_BYTES):
        pass


def _field(file: BinaryIO, size: int) -> bytes:
    if size > _HEADER_BYTES_MAX:
        raise BrokenArchiveError(f"it has a header of {size:,} bytes")
    content = _read(file, size)
    _read(file, -size % _BLOCK)
    return content


def _records(content: bytes) -> Iterator[tuple[str, str]]:
    """Yield the fields of an extended header: ``LENGTH NAME=VALUE``, each a line."""
    while content.strip(b"\0"):
        length, _, _ = content.partition(b" ")
        end = int(length) if length.isdigit() else 0
        record, content = content[len(length) + 1 : end], content[end:]
        name, equals, value = record.partition(b"=")
        if not (equals and value.endswith(b"\n")):
            raise BrokenArchiveError("it is damaged: an extended header makes no sense")
        yield _text(name), _text(value[:-1])


def _name(header: bytes) -> str:
    name = _text(header[:100])
    # In GNU's own format other things stand there.
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _number(field: bytes) -> int:
    if field[:1] == _IS_BINARY:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    try:
        number = int(digits, 8) if digits else 0
    except ValueError:
        number = -1
    if number < 0:
        raise BrokenArchiveError("it is damaged: a number in a header is none")
    return number


def _has_sum(header: bytes) -> bool:
    bare = bytearray(header)
    bare[_CHECKSUM] = b" " * 8
    try:
        said = int(header[_CHECKSUM].strip(b" \0") or b"-1", 8)
    except ValueError:
        return False
    # Some old programs took bytes for signed ones.
    signed = sum(byte - 256 if byte > 127 else byte for byte in bare)  # noqa: PLR2004
    return said in (sum(bare), signed)
