"""What an archive says of one member; nothing of it is trusted yet."""

from collections.abc import Iterable

import attrs


class BrokenArchiveError(Exception):
    """An archive cannot be used; the text says why, as the end of a sentence."""


@attrs.frozen
class Entry:
    """
    One member, as it is written in the archive.

    Attributes:
        path: Its name.
        kind: ``file``, ``directory``, ``link``, or ``same``: a second name of an
            earlier file.
        is_executable: Whether its owner may run it.
        target: Of a link, or of a second name.
        content: Of a file; to be read before the next entry is asked for.
    """

    path: str
    kind: str
    is_executable: bool = False
    target: str = ""
    content: Iterable[bytes] = ()
