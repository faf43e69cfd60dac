"""The files of a commit, written as a checkout would, without running anything."""

import re
from pathlib import Path, PurePosixPath

import attrs

from daeploy_lib.sources.git.explaining import failed, refusal
from daeploy_lib.sources.git.fetching import Repository
from daeploy_lib.sources.members import BYTES_MAX, MEMBERS_MAX, shown

_ENTRY = re.compile(
    rb"(?P<mode>[0-7]{6}) (?P<kind>[a-z]+) (?P<id>[0-9a-f]+) +(?P<size>\d+|-)"
    rb"\t(?P<path>.+)",
    re.DOTALL,
)
_LINK, _SUBMODULE = b"120000", b"160000"


@attrs.frozen
class Entry:
    """
    One name in a commit.

    Attributes:
        mode: As git has it, such as ``100644``.
        digits: Of the object.
        size: Of a file, in bytes.
        path: From the top of the repository.
    """

    mode: bytes
    digits: bytes
    size: int
    path: bytes

    @property
    def is_file(self) -> bool:
        """Whether it is neither a link nor a submodule."""
        return self.mode not in (_LINK, _SUBMODULE)

    @property
    def is_submodule(self) -> bool:
        """Whether it is the commit of another repository."""
        return self.mode == _SUBMODULE


def entries_of(
    repository: Repository, commit: str, subdirectory: str
) -> tuple[Entry, ...]:
    """
    Return what is in a directory of a commit.

    Raises:
        SourceError: If there is no such directory, or it holds too much, or a name
            that git gives to nobody else.
    """
    top = f"{commit}^{{tree}}"
    for path in _above(subdirectory):
        top = _directory(repository, commit, path)
    done = repository.ask("ls-tree", "-r", "-l", "-z", "--full-tree", top)
    if done.code:
        raise failed(repository.address, done)
    prefix = f"{subdirectory}/".encode() if subdirectory else b""
    found = _entries(done.output, prefix)
    size = sum(entry.size for entry in found)
    if len(found) > MEMBERS_MAX or size > BYTES_MAX:
        raise refusal(
            repository.address,
            f"commit {commit} holds more than {MEMBERS_MAX:,} files or "
            f"{BYTES_MAX // 1024**3} GiB. Name the service's own directory with "
            f"subdirectory=…",
        )
    for entry in found:
        parts = entry.path.lower().split(b"/")
        if {b"", b".", b"..", b".git"} & set(parts):
            name = shown(entry.path.decode("utf-8", "replace"))
            raise refusal(
                repository.address,
                f"commit {commit} holds {name}, a name that is git's own. It was not "
                f"made by git; do not trust it",
            )
    return found


def write_tree(
    repository: Repository,
    commit: str,
    entries: tuple[Entry, ...],
    subdirectory: str,
    folder: Path,
) -> None:
    """
    Write the files of a commit into an empty folder.

    Line ends and the like are as the repository's own ``.gitattributes`` say, as in
    every checkout; nothing that these name is run.

    Raises:
        SourceError: If they cannot be written.
    """
    # Outside of the tree, which has no name that nobody chose.
    listing = folder.with_name("entries")
    rules = _rules_above(repository, commit, subdirectory)
    lines = [b"%s %s\t%s\0" % (e.mode, e.digits, e.path) for e in (*rules, *entries)]
    listing.write_bytes(b"".join(lines))
    done = repository.ask("update-index", "-z", "--index-info", stdin=listing)
    if done.code:
        raise failed(repository.address, done)
    listing.write_bytes(b"".join(entry.path + b"\0" for entry in entries))
    done = repository.ask(
        "checkout-index", "--quiet", "-z", "--stdin", folder=folder, stdin=listing
    )
    if done.code:
        raise failed(repository.address, done)
    listing.unlink()


def _above(subdirectory: str) -> list[str]:
    """Return a directory and those above it, the outermost first."""
    if not subdirectory:
        return []
    path = PurePosixPath(subdirectory)
    return [str(each) for each in (*reversed(path.parents), path) if str(each) != "."]


def _directory(repository: Repository, commit: str, path: str) -> str:
    """Return the digits of a directory, which is none if it is a link."""
    done = repository.ask("ls-tree", "-l", "-z", "--full-tree", commit, "--", path)
    found = _ENTRY.fullmatch(done.output.removesuffix(b"\0"))
    if done.code or found is None:
        what = "it has no directory"
    elif found["mode"] == _LINK:
        what = "what is no directory but a link is"
    elif found["kind"] == b"commit":
        what = "what is no directory of it but a submodule is"
    elif found["kind"] != b"tree":
        what = "what is no directory but a file is"
    else:
        return found["id"].decode("ascii")
    raise refusal(
        repository.address,
        f"at commit {commit}, {what} {path!r}. Check subdirectory=…",
    )


def _rules_above(
    repository: Repository, commit: str, subdirectory: str
) -> tuple[Entry, ...]:
    """Return the ``.gitattributes`` that also count for a directory below."""
    above = _above(subdirectory)[:-1]
    if not subdirectory:
        return ()
    paths = [".gitattributes", *(f"{path}/.gitattributes" for path in above)]
    done = repository.ask("ls-tree", "-l", "-z", "--full-tree", commit, "--", *paths)
    return tuple(entry for entry in _entries(done.output, b"") if entry.is_file)


def _entries(output: bytes, prefix: bytes) -> tuple[Entry, ...]:
    found = []
    for line in output.split(b"\0"):
        entry = _ENTRY.fullmatch(line)
        if entry is not None and entry["kind"] != b"tree":
            size = int(entry["size"]) if entry["size"].isdigit() else 0
            found.append(
                Entry(entry["mode"], entry["id"], size, prefix + entry["path"])
            )
    return tuple(found)
