"""
A build context: vetted members with one digest, streamed as a tar.

The same content gives the same bytes, whenever and by whomever it was written:
members are sorted, owned by root, dated alike, and readable by everybody, since
the service runs as another user than the one who wrote them.
"""

import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from daeploy_lib import interruption
from daeploy_lib.errors import SourceError
from daeploy_lib.sources.members import Member, refused, shown, unreadable
from daeploy_lib.sources.reading import LinkError, end_of_link, open_file

_CHUNK_BYTES = 256 * 1024
# What is read as a whole: requirements and the like. 1000 times a long one.
READ_BYTES_MAX = 16 * 1024**2
# 2000-01-01. Not 0: a wheel, which is a zip, cannot hold times before 1980.
_MTIME = 946_684_800
_TYPES = {
    "file": tarfile.REGTYPE,
    "link": tarfile.SYMTYPE,
    "directory": tarfile.DIRTYPE,
}
_MODE_EXECUTABLE, _MODE_PLAIN = 0o755, 0o644


class Context:
    """
    A vetted directory, as runtimes take it.

    Files are read in chunks and never as a whole. One that changes between its
    digest and its use is an error and not another program under this digest.

    Args:
        root: The directory.
        members: What of it is in the context, sorted by path.
        name, version: What it is for; errors tell.
        origin: Where the content came from, for people; *root* if not given.
        temporary: The directory that is removed with the context; None: none.
    """

    def __init__(
        self,
        root: Path,
        members: tuple[Member, ...],
        name: str = "",
        version: str = "",
        *,
        origin: str = "",
        temporary: TemporaryDirectory[str] | None = None,
    ) -> None:
        self.origin = origin or str(root)
        self._root = root
        self._name, self._version = name, version
        self._temporary = temporary
        self._members = {member.path: member for member in members}

    def close(self) -> None:
        """Remove what was fetched or unpacked for it; it can be read no more."""
        if self._temporary is not None:
            self._temporary.cleanup()

    @property
    def has_dockerfile(self) -> bool:
        """Whether the content says itself how it is built."""
        return self.has("Dockerfile")

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be in an image of it."""
        return all(member.is_for_builder for member in self._members.values())

    def has(self, path: str) -> bool:
        """Return whether there is a file or a link of this path."""
        return path in self._members and self._members[path].kind != "directory"

    @cached_property
    def digest(self) -> str:
        """
        ``sha256:…`` over paths, kinds, executable bits, targets and contents.

        Raises:
            SourceError: If a file cannot be read.
        """
        total = hashlib.sha256()
        for member in self._members.values():
            if member.is_for_builder and member.path == ".dockerignore":
                continue  # what it says is seen in what is there
            mark = "x" if member.kind == "file" and member.is_executable else "-"
            content = self._file_digests.get(member.path, "")
            # No field can hold a NUL, so different contents are different bytes.
            fields = (mark, member.kind, member.path, member.target, content)
            total.update("\0".join(fields).encode() + b"\0\n")
        return f"sha256:{total.hexdigest()}"

    @cached_property
    def _file_digests(self) -> Mapping[str, str]:
        digests = {}
        for member in self._members.values():
            if member.kind == "file":
                content = hashlib.sha256()
                for chunk in self._chunks(member):
                    content.update(chunk)
                digests[member.path] = content.hexdigest()
        return digests

    def read(self, path: str) -> bytes | None:
        """
        Return the content of a small file; None if it is not there.

        A link inside the content is followed to its file.

        Raises:
            SourceError: If it has more than ``READ_BYTES_MAX``, or changed.
        """
        member = self._members.get(path)
        if member is not None and member.kind == "link":
            try:
                end = end_of_link(self._root, path, member.target)
            except LinkError:
                raise self._changed(member) from None
            member = self._members.get(end)
        if member is None or member.kind != "file":
            return None
        if member.size > READ_BYTES_MAX:
            raise self._about(
                refused(
                    self._root,
                    f"{shown(path)} has {member.size:,} bytes. Of such a file at most "
                    f"{READ_BYTES_MAX:,} are read",
                )
            )
        return b"".join(self._chunks(member))

    def write_tar(
        self, add: Mapping[str, bytes], *, under: str = ""
    ) -> Iterator[bytes]:
        """
        Yield the context as a tar.

        Args:
            add: More files, by path; they stand at the top.
            under: A directory that the content is put in; "": at the top.

        Raises:
            SourceError: If a file has changed since its digest was taken.
        """
        prefix = f"{under}/" if under else ""
        for path, content in sorted(add.items()):
            yield _header(Member(path, "file", size=len(content)), path)
            yield content
            yield _padding(len(content))
        for member in self._members.values():
            if under and member.is_for_builder:
                continue  # the builder looks for its own files at the top
            yield _header(member, prefix + member.path)
            if member.kind == "file":
                yield from self._unchanged(member)
                yield _padding(member.size)
        yield bytes(2 * tarfile.BLOCKSIZE)

    def _unchanged(self, member: Member) -> Iterator[bytes]:
        wanted = self._file_digests[member.path]
        content = hashlib.sha256()
        for chunk in self._chunks(member):
            content.update(chunk)
            yield chunk
        if content.hexdigest() != wanted:
            raise self._changed(member)

    def _chunks(self, member: Member) -> Iterator[bytes]:
        """Yield the content, exactly as long as it was when it was listed."""
        left = member.size
        with self._open(member) as file:
            while left:
                interruption.check()
                chunk = file.read(min(_CHUNK_BYTES, left))
                if not chunk:
                    raise self._changed(member)
                left -= len(chunk)
                yield chunk
            if file.read(1):
                raise self._changed(member)

    def _open(self, member: Member) -> BinaryIO:
        try:
            return open_file(self._root, member.path)
        except OSError as error:
            raise self._about(unreadable(self._root, member.path, error)) from error

    def _changed(self, member: Member) -> SourceError:
        return self._about(
            refused(
                self._root,
                f"{shown(member.path)} changed while it was read. Deploy when it is "
                f"complete",
            )
        )

    def _about(self, error: SourceError) -> SourceError:
        error.name, error.version = self._name, self._version
        return error


def _header(member: Member, path: str) -> bytes:
    info = tarfile.TarInfo(path)
    info.type = _TYPES[member.kind]
    info.mode = _MODE_EXECUTABLE if member.is_executable else _MODE_PLAIN
    info.mtime = _MTIME
    info.linkname = member.target
    info.size = member.size
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
