"""A file that is there as a whole, or not at all."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """
    Write a file, or leave the one that is there as it is.

    Raises:
        OSError: If it cannot be written, such as in a directory that is not there.
    """
    # Of a name as short as any: that of the file may be as long as a name can be.
    beside = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with beside.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(beside, path)  # noqa: PTH105 - what it is called everywhere
    finally:
        beside.unlink(missing_ok=True)
