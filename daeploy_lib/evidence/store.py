"""
Evidence in files: one of each process, and one of all that have ended.

A process replaces its file as a whole, so that a kill damages nothing. A file
whose process has ended, which its lock tells, is folded into one that names what
it holds: until the file is gone, it is not counted twice.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import attrs
import orjson

from daeploy_lib.evidence import stored as plain
from daeploy_lib.evidence.examples import Example, Examples
from daeploy_lib.evidence.totals import Totals

_FOLDED = "folded.json"
_FOLDING = "folding.lock"
_FORMAT = 1
# Of one name, main and shadow in the folded file; older ones become one.
_MAX_SINCES = 16
_MAX_STORED = 256
# Readers that were slow must still find what they have read elsewhere.
_MAX_NAMES = 1000


@attrs.frozen
class Stored:
    """
    What was seen of one pairing from one moment on.

    Attributes:
        name: Of the service.
        main: Its main version then.
        shadow: The version that was compared with it.
        since: The moment, in seconds since 1970.
        totals: What was seen.
        examples: Some exchanges that differ.
    """

    name: str
    main: str
    shadow: str
    since: float
    totals: Totals
    examples: tuple[Example, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """The pairing."""
        return self.name, self.main, self.shadow

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON can hold."""
        return {
            "pairing": [*self.key, self.since],
            "totals": self.totals.to_dict(),
            "examples": [example.to_dict() for example in self.examples],
        }


@attrs.frozen
class Reading:
    """
    What all processes have stored.

    Attributes:
        stored: By pairing and moment.
        unreadable: Files that could not be read.
    """

    stored: list[Stored]
    unreadable: int = 0


def _stored(data: object) -> Stored:
    (pairing,) = plain.rows([plain.member(data, "pairing")], 4, "pairing")
    name, main, shadow = (plain.text(part, "pairing") for part in pairing[:3])
    return Stored(
        *(name, main, shadow),
        plain.number(pairing[3], "since"),
        Totals.from_dict(plain.member(data, "totals")),
        tuple(Examples.from_dict(plain.member(data, "examples"))),
    )


def place(directory: Path, project: str) -> Path:
    """Return where the evidence of a project is."""
    # A project named ".." stays below.
    return directory / "evidence" / (quote(project, safe="").replace(".", "%2E") or "%")


def encode(one: Stored) -> bytes:
    """Return the bytes of one pairing, for ``Writer.write``."""
    return orjson.dumps(one.to_dict())


class Writer:
    """The file of one process. Making one does nothing."""

    def __init__(self, directory: Path, project: str) -> None:
        self._place = place(directory, project)
        self._id = ""
        self._lock = -1

    def write(self, pairings: Iterable[bytes]) -> None:
        """
        Replace the file.

        Args:
            pairings: Each as ``encode`` returned it.

        Raises:
            OSError: If it cannot be written; then it is as it was.
        """
        if self._lock < 0:
            self._open()
        content = b'{"format":%d,"pairings":[%b]}' % (_FORMAT, b",".join(pairings))
        try:
            _replace(self._place / f"{self._id}.json", content)
        except FileNotFoundError:
            # The directory was removed; it is made again the next time.
            self.close()
            raise

    def _open(self) -> None:
        self._place.mkdir(parents=True, exist_ok=True, mode=0o700)
        identity = f"{os.getpid()}-{secrets.token_hex(8)}"
        path = self._place / f"{identity}.lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who folds may have taken it for one of an ended process.
            if os.fstat(lock).st_ino != path.stat().st_ino:
                raise FileNotFoundError(str(path))
        except OSError:
            os.close(lock)
            raise
        self._id, self._lock = identity, lock

    def close(self) -> None:
        """Let go of the file; it stays, to be folded."""
        if self._lock >= 0:
            os.close(self._lock)
        self._id, self._lock = "", -1


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".tmp")
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(file, "wb") as writing:  # noqa: PTH123 - of a descriptor
            writing.write(content)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _load(path: Path) -> tuple[list[Stored], list[str]]:
    data = orjson.loads(path.read_bytes())
    if plain.member(data, "format") != _FORMAT:
        raise ValueError("Damaged evidence: its format is unknown.")
    found = [_stored(one) for one in plain.member(data, "pairings")]
    return found, [plain.text(n, "name") for n in data.get("folded", [])]


def read(directory: Path, project: str) -> Reading:
    """
    Return what all processes have stored; damaged files are counted.

    Args:
        directory: The state directory.
        project: Of the services.
    """
    where = place(directory, project)
    try:
        names = sorted(p.name for p in where.glob("*.json") if p.name != _FOLDED)
    except OSError:
        return Reading([], 1)
    parts: dict[str, list[Stored]] = {}
    unreadable = 0
    # The folded file last: what is folded meanwhile is gone, or named there.
    for name in [*names, _FOLDED]:
        try:
            parts[name], folded = _load(where / name)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            unreadable += 1
            continue
        for gone in folded:
            parts.pop(gone, None)
    return Reading(_merged(one for part in parts.values() for one in part), unreadable)


def _joined(one: Stored, other: Stored) -> Stored:
    examples = Examples([*one.examples, *other.examples])
    totals = one.totals.merged(other.totals)
    since = min(one.since, other.since)
    return attrs.evolve(one, since=since, totals=totals, examples=tuple(examples))


def _merged(found: Iterable[Stored]) -> list[Stored]:
    merged: dict[tuple[object, ...], Stored] = {}
    for one in found:
        key = (*one.key, one.since)
        known = merged.get(key)
        merged[key] = one if known is None else _joined(known, one)
    return list(merged.values())


def _bounded(found: Iterable[Stored]) -> list[Stored]:
    groups: dict[tuple[str, str, str], list[Stored]] = {}
    for one in sorted(_merged(found), key=lambda s: s.since, reverse=True):
        group = groups.setdefault(one.key, [])
        # With the older moment: it then counts for less, never for more.
        if len(group) == _MAX_SINCES:
            group[-1] = _joined(group[-1], one)
        else:
            group.append(one)
    everything = [one for group in groups.values() for one in group]
    return sorted(everything, key=lambda s: s.since, reverse=True)[:_MAX_STORED]


def fold(directory: Path, project: str) -> None:
    """
    Put the files of processes that have ended into one; safe to kill.

    Raises:
        OSError: If it cannot be written; nothing is lost.
    """
    where = place(directory, project)
    with _locked(where / _FOLDING, is_kept=True) as is_mine:
        if is_mine:
            _fold(where)


def _fold(where: Path) -> None:
    kept: list[Stored] = []
    known: list[str] = []
    try:
        kept, known = _load(where / _FOLDED)
    except FileNotFoundError:
        pass
    except (ValueError, TypeError, AttributeError, RecursionError):
        # Damaged from outside: kept for who looks into it, counted no more.
        (where / _FOLDED).replace(where / "damaged.txt")
    added, gone = [], []
    for part in sorted(where.glob("*.json")):
        if part.name == _FOLDED or not _has_ended(part):
            continue
        gone.append(part)
        if part.name not in known:
            try:
                kept += _load(part)[0]
                added.append(part.name)
            except (ValueError, TypeError, AttributeError, RecursionError):
                gone.pop()
    if added:
        content = {
            "format": _FORMAT,
            "folded": [*known, *added][-max(_MAX_NAMES, len(added)) :],
            "pairings": [one.to_dict() for one in _bounded(kept)],
        }
        _replace(where / _FOLDED, orjson.dumps(content))
    for part in gone:
        part.unlink(missing_ok=True)
    _sweep(where)


def _sweep(where: Path) -> None:
    """Remove what ended processes have left beside their files."""
    for left in [*where.glob("*.tmp"), *where.glob("*.lock")]:
        part = left.with_suffix(".json")
        if left.stem in ("folding", "folded") or part.exists() or not _has_ended(part):
            continue
        left.unlink(missing_ok=True)


def _has_ended(part: Path) -> bool:
    with _locked(part.with_suffix(".lock"), is_kept=False) as is_mine:
        return is_mine


@contextlib.contextmanager
def _locked(path: Path, *, is_kept: bool) -> Iterator[bool]:
    """Hold a lock if nobody has it; a file that is not there is nobody's."""
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if is_kept else 0)
    try:
        lock = os.open(path, flags, 0o600)
    except FileNotFoundError:
        yield True
        return
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)
