"""The digest and the tar of a context: the content's own, streamed, never half."""

import io
import os
import random
import sys
import tarfile
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daeploy_lib.errors import SourceError
from daeploy_lib.sources import context as context_module
from daeploy_lib.sources.context import Context
from daeploy_lib.sources.ignoring import Ignoring
from daeploy_lib.sources.members import vetted_members

NAMES = st.sampled_from(["a", "b", "c.py", "ä", "x y", "line\nbreak"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
# Content and executable bit of files, by path.
TREES = st.dictionaries(PATHS, st.tuples(st.binary(max_size=20), st.booleans()))


def context_of(root: Path, *lines: str) -> Context:
    """Return the context of a directory."""
    return Context(root, vetted_members(root, Ignoring(lines)))


def without_clashes(
    tree: Mapping[str, tuple[bytes, bool]],
) -> dict[str, tuple[bytes, bool]]:
    """Leave out files below which there are others."""
    return {
        path: file
        for path, file in tree.items()
        if not any(other.startswith(f"{path}/") for other in tree)
    }


def write(root: Path, tree: Mapping[str, tuple[bytes, bool]], seed: int) -> None:
    """Write files in some order, with some times and rights."""
    order = random.Random(seed)  # noqa: S311 - no secret is made of it
    for path, (content, is_executable) in order.sample(sorted(tree.items()), len(tree)):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        others = order.choice([0o000, 0o044, 0o055, 0o6000])
        file.chmod((0o700 if is_executable else 0o600) | others)
        os.utime(file, (order.randrange(2**31), order.randrange(2**31)))


def tar_of(context: Context, **add: bytes) -> bytes:
    """Return the whole tar."""
    return b"".join(context.write_tar(add))


def opened(tar: bytes) -> tarfile.TarFile:
    """Return a tar, ready to be read."""
    return tarfile.open(fileobj=io.BytesIO(tar), mode="r:")


@settings(deadline=None)
@given(TREES.map(without_clashes))
def test_equal_content_is_equal(tree: dict[str, tuple[bytes, bool]]) -> None:
    """Neither times, nor rights of others, nor the order of writing matter."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        write(Path(one), tree, seed=1)
        write(Path(other), tree, seed=2)
        contexts = [context_of(Path(one)), context_of(Path(other))]
        assert contexts[0].digest == contexts[1].digest
        assert tar_of(contexts[0]) == tar_of(contexts[1])


@settings(deadline=None)
@given(TREES.map(without_clashes), TREES.map(without_clashes))
def test_different_content_is_different(
    tree: dict[str, tuple[bytes, bool]], other_tree: dict[str, tuple[bytes, bool]]
) -> None:
    """Two digests are equal only if paths, contents and executable bits are."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        write(Path(one), tree, seed=1)
        write(Path(other), other_tree, seed=1)
        digests = {context_of(Path(one)).digest, context_of(Path(other)).digest}
    assert (len(digests) == 1) == (tree == other_tree)


@settings(deadline=None)
@given(TREES.map(without_clashes))
def test_the_tar_holds_the_content(tree: dict[str, tuple[bytes, bool]]) -> None:
    """Read by the standard library, it is what was written."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), tree, seed=1)
        tar = opened(tar_of(context_of(Path(folder))))
    found = {}
    for member in tar.getmembers():
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
        if member.isfile():
            file = tar.extractfile(member)
            assert file is not None
            found[member.name] = (file.read(), member.mode == 0o755)
    assert found == tree


def test_digest_of_links_and_empty_directories(tmp_path: Path) -> None:
    """A link counts by its target and not by what is there; directories count."""
    (tmp_path / "a").write_text("x")
    (tmp_path / "link").symlink_to("a")
    digests = [context_of(tmp_path).digest]
    (tmp_path / "link").unlink()
    (tmp_path / "link").write_text("x")
    digests.append(context_of(tmp_path).digest)
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("b")
    digests.append(context_of(tmp_path).digest)
    (tmp_path / "empty").mkdir()
    digests.append(context_of(tmp_path).digest)
    assert len(set(digests)) == 4
    assert all(digest.startswith("sha256:") for digest in digests)


def test_what_stays_out_does_not_count(tmp_path: Path) -> None:
    """Neither ignored files nor a .dockerignore that ignores itself."""
    (tmp_path / "service.py").write_text("x")
    before = context_of(tmp_path).digest
    (tmp_path / ".env").write_text("x")
    (tmp_path / "big.csv").write_text("x")
    (tmp_path / ".dockerignore").write_text("x")
    lines = ("*.csv", ".dockerignore")
    assert context_of(tmp_path, *lines).digest == before
    assert context_of(tmp_path, "*.csv").digest != before


def test_added_files_stand_at_the_top(tmp_path: Path) -> None:
    """The content may go below a directory, where the builder's files are left out."""
    for name in ("Dockerfile", ".dockerignore", "service.py"):
        (tmp_path / name).write_text("theirs")
    (tmp_path / "link").symlink_to("service.py")
    context = context_of(tmp_path, ".dockerignore")
    tar = opened(b"".join(context.write_tar({"Dockerfile": b"ours"}, under="content")))
    assert tar.getnames() == [
        "Dockerfile",
        "content/Dockerfile",
        "content/link",
        "content/service.py",
    ]
    [ours, _, link, _] = tar.getmembers()
    file = tar.extractfile(ours)
    assert file is not None
    assert file.read() == b"ours"
    assert (link.type, link.linkname) == (tarfile.SYMTYPE, "service.py")
    names = opened(tar_of(context)).getnames()
    assert names == [".dockerignore", "Dockerfile", "link", "service.py"]


def test_long_and_foreign_names(tmp_path: Path) -> None:
    """Names beyond the limits of old tars come through whole."""
    path = "/".join(["Ünï" * 30] * 5)
    (tmp_path / path).mkdir(parents=True)
    (tmp_path / path / "file").touch()
    (tmp_path / "link").symlink_to(f"{path}/file")
    tar = opened(tar_of(context_of(tmp_path)))
    assert tar.getmember(f"{path}/file").isfile()
    assert tar.getmember("link").linkname == f"{path}/file"


def test_a_large_file_is_streamed(tmp_path: Path) -> None:
    """A file much larger than the memory that is taken for it."""
    size = 256 * 1024**2
    with (tmp_path / "model").open("wb") as file:
        file.truncate(size)
    context = context_of(tmp_path)
    tracemalloc.start()
    try:
        sent = sum(len(chunk) for chunk in context.write_tar({}))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent > size
    assert peak < 4 * 1024**2


def _grow(file: Path) -> None:
    file.write_text("longer than it was")


def _shrink(file: Path) -> None:
    file.write_text("")


def _vanish(file: Path) -> None:
    file.unlink()


def _become_a_link(file: Path) -> None:
    file.unlink()
    file.symlink_to("/etc/hostname")


def _become_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _become_a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _move_below_a_link(file: Path) -> None:
    folder = file.parent
    outside = folder.parent.parent / "outside"
    folder.rename(outside)
    folder.symlink_to(outside)


CHANGES = [
    _grow,
    _shrink,
    _vanish,
    _become_a_link,
    _become_a_pipe,
    _become_a_directory,
    _move_below_a_link,
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with one file, in another."""
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (root / "in" / "file").write_text("as it was")
    return root


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_before_it_is_read(
    root: Path, change: Callable[[Path], None]
) -> None:
    """It is an error that names it, and nothing else is read in its place."""
    context = context_of(root)
    change(root / "in" / "file")
    with pytest.raises(SourceError, match="in/file") as refused:
        _ = context.digest
    assert refused.value.stage == "source"


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_after_its_digest(
    root: Path, change: Callable[[Path], None]
) -> None:
    """No tar of another content is sent to its end under this digest."""
    context = context_of(root)
    assert context.digest
    change(root / "in" / "file")
    with pytest.raises(SourceError, match="in/file"):
        tar_of(context)


def test_a_file_that_changes_but_not_in_length(root: Path) -> None:
    """Also when it looks the same from outside."""
    context = context_of(root)
    assert context.digest
    (root / "in" / "file").write_text("as it is ")
    with pytest.raises(SourceError, match="in/file changed while it was read"):
        tar_of(context)


def test_a_tar_that_is_not_read_to_its_end(root: Path) -> None:
    """Whoever stops in the middle leaves no open file."""
    (root / "in" / "file").write_bytes(bytes(1024**2))
    chunks = context_of(root).write_tar({})
    before = open_files()
    for _ in range(4):
        next(chunks)
    assert open_files() == before + 1
    assert isinstance(chunks, Iterator)
    chunks.close()  # type: ignore[attr-defined]
    assert open_files() == before


def open_files() -> int:
    """Return how many files this process has open."""
    place = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
    return len(list(Path(place).iterdir()))


def test_small_files_can_be_read(root: Path) -> None:
    """A link inside is followed to its file; what is not there is None."""
    (root / "requirements.txt").symlink_to("in/link")
    (root / "in" / "link").symlink_to("../in/file")
    (root / "dangling").symlink_to("nowhere")
    (root / "in" / ".env").write_text("secret")
    (root / "to-env").symlink_to("in/.env")
    context = context_of(root)
    assert context.read("in/file") == b"as it was"
    assert context.read("requirements.txt") == b"as it was"
    for path in ("in", "nothing", "dangling", "to-env", "in/.env", "../root/in/file"):
        assert context.read(path) is None


def test_a_link_that_is_turned_to_the_outside(root: Path) -> None:
    """What a link leads to is looked at anew when it is read."""
    (root / "requirements.txt").symlink_to("in/link")
    (root / "in" / "link").symlink_to("file")
    context = context_of(root)
    (root / "in" / "link").unlink()
    (root / "in" / "link").symlink_to("/etc/hostname")
    with pytest.raises(SourceError, match=r"requirements\.txt changed"):
        context.read("requirements.txt")


def test_too_large_to_be_read_as_a_whole(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A requirements file of gigabytes is refused."""
    monkeypatch.setattr(context_module, "READ_BYTES_MAX", 8)
    with pytest.raises(SourceError, match=r"in/file has 9 bytes\. Of such"):
        context_of(root).read("in/file")
