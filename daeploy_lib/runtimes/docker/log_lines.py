"""The engine's log stream as lines: frames are not lines. Pure."""

import re
from collections.abc import Iterator

from daeploy_lib.domain.service import LogLine
from daeploy_lib.runtimes.docker.times import parse_time

HEADER_BYTES = 8
_STREAMS = {1: "stdout", 2: "stderr"}
# Bytes; a line without an end is given in pieces of this size.
LINE_MAX = 1024 * 1024
# The engine begins each frame with the time; a long line comes in several.
_STAMP = re.compile(rb"(\S{20,40}) ")


class LineReader:
    r"""
    Cuts frames into lines, each stream for itself.

    Example:
        >>> reader = LineReader()
        >>> list(reader.read(1, b"2026-11-22T11:30:00Z hel"))
        []
        >>> [line.text for line in reader.read(1, b"2026-11-22T11:30:00Z lo\n")]
        ['hello']
    """

    def __init__(self) -> None:
        self._partial: dict[int, bytes] = {}
        self._stamp: dict[int, str] = {}

    def read(self, stream: int, frame: bytes) -> Iterator[LogLine]:
        """Yield the lines that a frame completes."""
        stamp, text = _split_stamp(frame)
        if stream not in self._partial:
            self._stamp[stream] = stamp
        *lines, rest = (self._partial.pop(stream, b"") + text).split(b"\n")
        for line in lines:
            yield self._line(stream, line)
            self._stamp[stream] = stamp
        if len(rest) > LINE_MAX:
            yield self._line(stream, rest)
        elif rest:
            self._partial[stream] = rest

    def end(self) -> Iterator[LogLine]:
        """Yield what was written last and has no end."""
        for stream, rest in self._partial.items():
            yield self._line(stream, rest)
        self._partial.clear()

    def _line(self, stream: int, line: bytes) -> LogLine:
        return LogLine(
            at=parse_time(self._stamp.get(stream)),
            stream=_STREAMS.get(stream, "stdout"),
            text=line.removesuffix(b"\r").decode("utf-8", "replace"),
        )


def _split_stamp(frame: bytes) -> tuple[str, bytes]:
    match = _STAMP.match(frame)
    if match is None:
        return "", frame
    stamp = match[1].decode("ascii", "replace")
    return (stamp, frame[match.end() :]) if parse_time(stamp) else ("", frame)


def frame_header(header: bytes) -> tuple[int, int]:
    """
    Return stream and length of the frame that a header announces.

    Source:
        Docker Engine API, "Attach to a container", stream format.
    """
    return header[0], int.from_bytes(header[4:HEADER_BYTES], "big")
