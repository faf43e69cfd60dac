"""Archives: what they hold is deployed, and nothing of it gets anywhere else."""

import contextlib
import gzip
import io
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daeploy_lib import (
    Archive,
    Deployer,
    Event,
    SourceError,
    VersionExistsError,
)
from daeploy_lib.domain.spec import Spec
from daeploy_lib.interruption import Interrupted, Interruption, under
from daeploy_lib.sources import Directory, open_source
from daeploy_lib.sources.archive import unpacking
from daeploy_lib.testing import MemoryRuntime

SPEC = Spec("default", "hello", "1.0.0")
KINDS = ["tar.gz", "tgz", "tar", "zip"]
SERVICE = b"print()"


@pytest.fixture(autouse=True)
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where archives are unpacked; nothing is left there."""
    folder = tmp_path / "unpacked"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """A directory with whatever a directory may have."""
    root = tmp_path / "hello"
    (root / "data" / "empty").mkdir(parents=True)
    (root / "service.py").write_bytes(SERVICE)
    (root / "run.sh").write_text("#!/bin/sh")
    (root / "run.sh").chmod(0o755)
    (root / "data" / f"{'long' * 40}.txt").write_text("x" * 300_000)
    (root / "data" / "grüße 🎉").write_text("hello")
    (root / "current").symlink_to("data/grüße 🎉")
    (root / "same").hardlink_to(root / "service.py")
    (root / ".env").write_text("PASSWORD=1")
    (root / ".dockerignore").write_text("*.tmp")
    (root / "left.tmp").write_text("out")
    return root


def pack(kind: str, root: Path, to: Path, *, prefix: str = "") -> Path:
    """Pack a directory as people do: with tar, and with zip as of Info-ZIP."""
    path = to / f"packed.{kind}"
    if kind != "zip":
        mode = "w" if kind == "tar" else "w:gz"
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
            archive.add(root, prefix or ".")
        return path
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in sorted(root.rglob("*")):
            info = zipfile.ZipInfo(f"{prefix}{file.relative_to(root).as_posix()}")
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr, info.create_system = file.lstat().st_mode << 16, 3
            if file.is_symlink():
                zipped.writestr(info, str(file.readlink()))
            elif file.is_dir():
                info.filename += "/"
                zipped.writestr(info, b"")
            else:
                zipped.writestr(info, file.read_bytes())
    return path


def members_of(packed: bytes) -> dict[str, tarfile.TarInfo]:
    """Return what a context is sent as, by path."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {member.name: member for member in archive}


def refused(source: object) -> str:
    """Return why a source is refused, by a message that names it."""
    with pytest.raises(SourceError) as caught:
        open_source(source, SPEC)  # type: ignore[arg-type]
    assert (caught.value.name, caught.value.version) == ("hello", "1.0.0")
    return str(caught.value)


@pytest.mark.parametrize("prefix", ["", "hello-1.0/"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_directory_that_was_packed(
    hello: Path, tmp_path: Path, kind: str, prefix: str
) -> None:
    """The same members with the same digest; a lone directory at its top is none."""
    path = pack(kind, hello, tmp_path, prefix=prefix)
    told: list[str] = []
    for source in (path, str(path), Archive(path)):
        context = open_source(source, SPEC, told.append)
        assert context.digest == open_source(hello, SPEC).digest
        assert context.origin == str(path)
        assert context.read("current") == b"hello"
        assert not context.has(".env")
        assert not context.has("left.tmp")
        packed = b"".join(context.write_tar({}))
        context.close()
        assert "data/empty" in members_of(packed)
    assert told == [f"Unpacking {path}"] * 3


def test_archives_of_other_programs(hello: Path, tmp_path: Path) -> None:
    """GNU tar in each of its formats, and git archive with its comment."""
    digest = open_source(hello, SPEC).digest
    for form in ("gnu", "oldgnu", "posix", "pax"):
        path = tmp_path / f"{form}.tar.gz"
        words = ["tar", f"--format={form}", "-czf", str(path), "-C", str(hello), "."]
        subprocess.run(words, check=True)
        context = open_source(path, SPEC)
        assert context.digest == digest
        context.close()


def test_a_directory_may_be_named_like_one(hello: Path, tmp_path: Path) -> None:
    """And a file that is named otherwise is an archive if one says so."""
    hello.rename(tmp_path / "hello.zip")
    digest = open_source(tmp_path / "hello.zip", SPEC).digest
    path = pack("zip", tmp_path / "hello.zip", tmp_path)
    path = path.rename(tmp_path / "model")
    assert "is not a directory" in refused(path)
    context = open_source(Archive(path), SPEC)
    assert context.digest == digest
    context.close()


def test_a_whole_deployment(hello: Path, tmp_path: Path) -> None:
    """It says that it unpacks, and where the version came from."""
    events: list[Event] = []
    path = pack("tar.gz", hello, tmp_path)
    with Deployer(MemoryRuntime(), state=tmp_path / "state") as deployer:
        service = deployer.deploy("hello", "1.0.0", path, on_event=events.append)
        assert service.source_origin == str(path)
        assert events[0] == Event("source", f"Unpacking {path}")
        # A version that is taken is refused before anything is unpacked.
        events.clear()
        path.write_bytes(b"not even an archive")
        with pytest.raises(VersionExistsError):
            deployer.deploy("hello", "1.0.0", path, on_event=events.append)
        assert not events
        with pytest.raises(SourceError, match="is no archive"):
            deployer.deploy("hello", "2.0.0", path, on_event=events.append)
        deployer.kill_all(grace=0.0)


def test_bad_archives(hello: Path, tmp_path: Path) -> None:
    """Each is told what it is, and what to do."""
    nowhere = tmp_path / "nowhere.zip"
    assert f"Cannot use {nowhere} as a source: it does not exist" in refused(nowhere)
    assert "(seen from" in refused("nowhere.tgz")
    assert "Name it without Archive(…)" in refused(Archive(hello))
    empty = tmp_path / "empty.zip"
    empty.touch()
    assert "it is empty" in refused(empty)
    for content, said in (
        (b"hello", "it is no archive"),
        (b"BZh91AY", "it is packed with bzip2. Pack it as .tar.gz or .zip"),
        (b"\xfd7zXZ\0", "packed with xz"),
        (b"\x1f\x8b" + b"junk" * 10, "it is damaged, or not complete"),
        (gzip.compress(b"no tar" * 200), "a header has a wrong checksum"),
        (b"PK\3\4" + b"junk" * 10, "its directory is missing"),
    ):
        empty.write_bytes(content)
        assert said in refused(empty)
    with zipfile.ZipFile(empty, "w"):
        pass
    assert f"Cannot use {empty} as a source: it is empty" in refused(empty)
    (hello / "service.py").unlink()
    packed = pack("tar", hello, tmp_path)
    assert f"Cannot use {packed} as a source: it has neither" in refused(packed)


@pytest.mark.parametrize("value", ["", "a\0b"])
def test_bad_paths(value: str) -> None:
    """They are wrong at once."""
    with pytest.raises(ValueError, match="Invalid path"):
        Archive(Path(value) if "\0" in value else value)
    with pytest.raises(TypeError):
        Archive(3)  # type: ignore[arg-type]


def test_an_address_is_none() -> None:
    """Its password is not repeated."""
    for source in ("https://me:secret@host/x.tar.gz", Archive("https://me:secret@h/x")):
        said = refused(source)
        assert "Git(…)" in said
        assert "secret" not in said


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_is_noticed(hello: Path, tmp_path: Path, kind: str) -> None:
    """Wherever it ends early, between two members too."""
    path = pack(kind, hello, tmp_path)
    whole = path.read_bytes()
    # A tar ends with two blocks of zeros, and is filled up with more.
    end = len(whole.rstrip(b"\0")) if kind == "tar" else len(whole) - 1
    cuts = {1, 2, 3, *range(0, end, 512), end}
    for cut in sorted(cuts)[-60:]:
        path.write_bytes(whole[:cut])
        refused(path)


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Return a tar archive of members as they are, with a service."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info, content in (*members, named("service.py", SERVICE)):
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def named(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, target: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    """Return one member of a tar archive."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, len(content)
    return info, content


HOSTILE = {
    "absolute": ([named("/etc/cron.d/x", b"x")], "is an absolute path"),
    "up": ([named("../x", b"x")], "leads out of it"),
    "up inside": ([named("a/../../x", b"x")], "leads out of it"),
    "device": ([named("null", kind=tarfile.CHRTYPE)], "is a device"),
    "pipe": ([named("pipe", kind=tarfile.FIFOTYPE)], "is a pipe"),
    "unknown": ([named("x", kind=b"D")], "of an unknown kind"),
    "sparse": ([named("x", kind=tarfile.GNUTYPE_SPARSE)], "is a sparse file"),
    "link out": (
        [named("out", kind=tarfile.SYMTYPE, target="../../etc/passwd")],
        "the link out leads out of it",
    ),
    "absolute link": (
        [named("out", kind=tarfile.SYMTYPE, target="/etc/passwd")],
        "the link out leads out of it",
    ),
    "through a link": (
        [
            named("out", kind=tarfile.SYMTYPE, target="../.."),
            named("out/x", b"written"),
        ],
        "is a link and a directory as well",
    ),
    "over a link": (
        [named("x", kind=tarfile.SYMTYPE, target="/tmp/x"), named("x", b"written")],  # noqa: S108
        "holds x more than once",
    ),
    "directory over a link": (
        [
            named("x", kind=tarfile.SYMTYPE, target="/"),
            named("x", kind=tarfile.DIRTYPE),
        ],
        "is a link and a directory as well",
    ),
    "second name of a stranger": (
        [named("x", kind=tarfile.LNKTYPE, target="/etc/passwd")],
        "is an absolute path",
    ),
    "second name of a link": (
        [
            named("a", kind=tarfile.SYMTYPE, target="/etc/passwd"),
            named("b", kind=tarfile.LNKTYPE, target="a"),
        ],
        "which is no file before it",
    ),
    "link to nothing": (
        [named("a", kind=tarfile.SYMTYPE, target="")],
        "leads nowhere",
    ),
    "twice": ([named("a", b"1"), named("./a", b"2")], "holds a more than once"),
    "file and directory": ([named("a", b"1"), named("a/b", b"2")], "is a file and a"),
    "long name": ([named("n" * 300, b"")], "is too long"),
    "long path": ([named("/".join(["n" * 200] * 30), b"")], "is too long"),
    "not UTF-8": ([named("\udcff", b"")], "is not UTF-8"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_tar(tmp_path: Path, case: str) -> None:
    """It is refused by name, and nothing is written anywhere."""
    members, said = HOSTILE[case]
    path = tmp_path / "hostile.tar"
    path.write_bytes(tar_of(*members))
    around = set(tmp_path.parent.rglob("*"))
    assert said in (told := refused(path)), told
    assert str(path) in told
    assert set(tmp_path.parent.rglob("*")) == around


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [("path", 2**40, "a header of"), ("comment", 2**21, "a header of")],
)
def test_a_header_does_not_fill_the_memory(
    tmp_path: Path, name: str, size: int, said: str
) -> None:
    """However long it says it is."""
    info = tarfile.TarInfo(name)
    info.type, info.size = tarfile.XHDTYPE, size
    path = tmp_path / "large.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    assert said in refused(path)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}, "sparse"),
        ({"size": "-512"}, "a size is no number"),
        ({"path": "../../x"}, "leads out of it"),
    ],
)
def test_hostile_extended_fields(
    tmp_path: Path, fields: dict[str, str], said: str
) -> None:
    """They count like those of the member itself."""
    info, content = named("x", b"content")
    info.pax_headers = fields
    path = tmp_path / "fields.tar"
    path.write_bytes(tar_of((info, content)))
    assert said in refused(path)


def test_global_fields(tmp_path: Path) -> None:
    """A comment is none of ours; a path for everybody is refused."""
    path = tmp_path / "global.tar"
    for fields, is_fine in (({"comment": "0" * 40}, True), ({"path": "x"}, False)):
        with tarfile.open(path, "w", pax_headers=fields) as archive:
            archive.addfile(named("service.py")[0])
        if is_fine:
            open_source(path, SPEC).close()
        else:
            assert "gives all members the same path" in refused(path)


def zip_of(fields: Mapping[str, object], content: bytes = b"") -> bytes:
    """Return a zip archive with a service, and a member with these fields."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("service.py", SERVICE)
        info = zipfile.ZipInfo("member")
        info.create_system = 3
        for name, value in fields.items():
            setattr(info, name, value)
        archive.writestr(info, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("fields", "content", "said"),
    [
        ({"filename": "/etc/x"}, b"", "is an absolute path"),
        ({"filename": "../x"}, b"", "leads out of it"),
        ({"filename": "a\\..\\x"}, b"", "is a path of Windows"),
        ({"filename": "C:/x"}, b"", "is a path of Windows"),
        ({"external_attr": stat.S_IFCHR << 16}, b"", "is a device"),
        ({"external_attr": stat.S_IFLNK << 16}, b"/etc/passwd", "leads out of it"),
        ({"external_attr": stat.S_IFLNK << 16}, b"x" * 5000, "is too long"),
        ({"external_attr": stat.S_IFLNK << 16}, b"", "leads nowhere"),
        ({"compress_type": zipfile.ZIP_LZMA}, b"x", "Pack it with the usual one"),
    ],
)
def test_a_hostile_zip(
    tmp_path: Path, fields: dict[str, object], content: bytes, said: str
) -> None:
    """It is refused by name."""
    path = tmp_path / "hostile.zip"
    path.write_bytes(zip_of(fields, content))
    assert said in (told := refused(path)), told


def test_an_encrypted_zip(tmp_path: Path) -> None:
    """It is told to be packed without a password."""
    path = tmp_path / "secret.zip"
    content = bytearray(zip_of({}, b"secret"))
    for mark, flags in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        at = content.rfind(mark)
        content[at + flags] |= 1
    path.write_bytes(content)
    assert "Pack it without a password" in refused(path)


def test_a_zip_that_lies(tmp_path: Path) -> None:
    """Another checksum, another directory, members that overlap."""
    path = tmp_path / "lies.zip"
    content = zip_of({}, b"the content")
    path.write_bytes(content.replace(b"the content", b"the Content"))
    assert "it is damaged" in refused(path)
    end = content.rfind(b"PK\5\6")
    for length in (2**31, 2**32 - 1):
        field = length.to_bytes(4, "little")
        path.write_bytes(content[: end + 12] + field + content[end + 16 :])
        assert "its directory is" in refused(path)
    first, second = content.find(b"PK\1\2"), content.rfind(b"PK\1\2")
    overlapping = bytearray(content)
    overlapping[second + 42 : second + 46] = overlapping[first + 42 : first + 46]
    path.write_bytes(overlapping)
    refused(path)


def test_what_a_mac_adds_is_left_out(tmp_path: Path) -> None:
    """So that the directory that was packed is the lone one."""
    path = tmp_path / "mac.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello/service.py", SERVICE)
        archive.writestr("__MACOSX/hello/._service.py", b"fork")
    context = open_source(path, SPEC)
    assert context.has("service.py")
    context.close()


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """What counts is what is written, not what a header says."""
    monkeypatch.setattr(unpacking, "_FREE_BYTES", 1_000_000)
    root = tmp_path / "bomb"
    root.mkdir()
    (root / "service.py").write_bytes(bytes(8_000_000))
    assert "unpacks to more than a service has" in refused(pack(kind, root, tmp_path))


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted before they are written."""
    monkeypatch.setattr(unpacking, "MEMBERS_MAX", 10)
    path = tmp_path / "many.tar"
    path.write_bytes(tar_of(*(named(str(number)) for number in range(20))))
    assert "holds more than 10 files" in refused(path)


def test_modes_that_give_rights_stay_behind(tmp_path: Path) -> None:
    """Of a mode only that its owner may run it counts."""
    info, content = named("run", b"x")
    info.mode = 0o7777
    path = tmp_path / "modes.tar"
    path.write_bytes(tar_of((info, content)))
    context = open_source(path, SPEC)
    assert members_of(b"".join(context.write_tar({})))["run"].mode == 0o755
    context.close()


def test_one_that_changes_while_it_is_read(
    hello: Path, tmp_path: Path, unpacked: Path
) -> None:
    """It is said, whatever came of it."""
    path = pack("tar", hello, tmp_path)
    for change in (
        lambda: os.utime(path, (1, 1)),
        lambda: path.write_bytes(path.read_bytes()[:700]),
        path.unlink,
    ):
        pack("tar", hello, tmp_path)
        with pytest.raises(SourceError, match="it changed while it was read"):
            open_source(path, SPEC, lambda _, change=change: change())  # type: ignore[misc]
    assert not list(unpacked.iterdir())


def test_it_can_be_interrupted(hello: Path, tmp_path: Path) -> None:
    """What was unpacked is removed."""
    path = pack("zip", hello, tmp_path)
    asked = Interruption()
    with under(asked), pytest.raises(Interrupted):
        open_source(path, SPEC, lambda _: asked.set())


def test_a_full_disk(tmp_path: Path) -> None:
    """Where there is no room is said; here a limit of the process plays the disk."""
    path = tmp_path / "large.tar.gz"
    root = tmp_path / "large"
    root.mkdir()
    (root / "service.py").write_bytes(os.urandom(3_000_000))
    pack("tar.gz", root, tmp_path).rename(path)
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "from daeploy_lib.domain.spec import Spec\n"
        "from daeploy_lib.sources import open_source\n"
        "open_source(sys.argv[1], Spec('default', 'hello', '1.0.0'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path / "unpacked")},
    )
    assert "set TMPDIR to another directory" in done.stderr


PARTS = st.sampled_from(["a", "b", "..", ".", "", "c" * 300, "é", "A"])
MEMBERS = st.tuples(
    st.lists(PARTS, min_size=1, max_size=4).map("/".join),
    st.sampled_from(
        [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE]
    ),
    st.lists(PARTS, max_size=3).map("/".join),
)


@settings(max_examples=300)
@given(st.lists(MEMBERS, max_size=6))
def test_whatever_it_holds_nothing_gets_out(
    members: list[tuple[str, bytes, str]],
) -> None:
    """It is refused, or everything is below the directory that was made for it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "here").mkdir()
        path = folder / "some.tar"
        found = [named(p, b"x" if k == b"0" else b"", k, t) for p, k, t in members]
        path.write_bytes(tar_of(*found))
        before = tempfile.tempdir
        tempfile.tempdir = str(folder / "here")
        try:
            context = open_source(path, SPEC)
        except SourceError:
            assert not list((folder / "here").iterdir())
        else:
            assert b"".join(context.write_tar({}))
            context.close()
        finally:
            tempfile.tempdir = before
        assert sorted(p.name for p in folder.iterdir()) == ["here", "some.tar"]
        assert not list((folder / "here").iterdir())


@settings(max_examples=300)
@given(st.data())
def test_damage_is_a_source_error(data: st.DataObject) -> None:
    """Any byte may be another; nobody sees an error of a library."""
    whole = data.draw(
        st.sampled_from([SOME_TAR, gzip.compress(SOME_TAR, mtime=0), SOME_ZIP])
    )
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "damaged")
        path.write_bytes(content)
        with contextlib.suppress(SourceError):
            open_source(Archive(path), SPEC).close()


SOME_TAR = tar_of(
    named("a/b", b"content"), named("link", kind=tarfile.SYMTYPE, target="a/b")
)
SOME_ZIP = zip_of({}, b"some content")


def test_a_directory_is_still_a_directory(hello: Path) -> None:
    """An archive that is given as one is refused with the reason."""
    path = pack("zip", hello, hello.parent)
    assert "is not a directory" in refused(Directory(path))
