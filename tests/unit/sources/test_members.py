"""What of a directory becomes a member of a context, and what is refused."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daeploy_lib.errors import SourceError
from daeploy_lib.sources import members
from daeploy_lib.sources.ignoring import Ignoring
from daeploy_lib.sources.members import Member, vetted_members

KEY = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with a service, beside a secret that is not in it."""
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "service.py").write_text("")
    return root


def listed(root: Path, *lines: str) -> list[str]:
    """Return the paths of all members but the service."""
    found = vetted_members(root, Ignoring(lines))
    return [member.path for member in found if member.path != "service.py"]


def write(root: Path, *paths: str, text: str = "") -> None:
    """Write files, and the directories above them."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def test_members_are_sorted_and_plain(root: Path) -> None:
    """Parents come before what is in them; only the executable bit is kept."""
    write(root, "b/c", "b-/c", "a")
    (root / "a").chmod(0o6711)
    (root / "service.py").chmod(0o600)
    assert vetted_members(root, Ignoring()) == (
        Member("a", "file", is_executable=True),
        Member("b", "directory", is_executable=True),
        Member("b-", "directory", is_executable=True),
        Member("b-/c", "file"),
        Member("b/c", "file"),
        Member("service.py", "file"),
    )


def test_secrets_and_caches_stay_out(root: Path) -> None:
    """Also below, also where a line brings everything back."""
    write(root, ".env", "app/.env", "app/id_rsa", "app/tls.key", ".git/config")
    write(root, "__pycache__/x.pyc", "app/.venv/bin/python", "any/pyvenv.cfg", "any/x")
    write(root, "app/main.py", ".env.example")
    assert listed(root) == [".env.example", "app", "app/main.py"]
    assert listed(root, "*", "!app", "!.env.example") == listed(root)
    assert listed(root, "*", "!app/**", "!**/*.py") == ["app/main.py"]


def test_a_line_that_names_a_secret_brings_it_in(root: Path) -> None:
    """What is wanted on purpose can be had."""
    write(root, ".env", "app/tls.key", "app/other.key", ".git/HEAD")
    assert listed(root, "!.env", "!app/tls.key") == [".env", "app", "app/tls.key"]
    assert listed(root, "!.git") == [".git", ".git/HEAD", "app"]
    assert listed(root, "!.env", ".env") == ["app"]


def test_pem_files_are_told_apart_by_content(root: Path) -> None:
    """Certificates come along and private keys do not, also behind a chain."""
    write(root, "ca.pem", text=CERTIFICATE)
    write(root, "key.pem", text=KEY)
    write(root, "both.pem", text=CERTIFICATE * 2000 + KEY)
    assert listed(root) == ["ca.pem"]
    assert listed(root, "!key.pem") == ["ca.pem", "key.pem"]


def test_a_pem_link_to_a_key_elsewhere_is_not_read(root: Path, tmp_path: Path) -> None:
    """It is refused as any link that leads out, whatever it leads to."""
    (tmp_path / "key.pem").write_text(KEY)
    (root / "key.pem").symlink_to(tmp_path / "key.pem")
    with pytest.raises(SourceError, match=r"key\.pem leads out"):
        listed(root)


def test_directories_that_are_left_out_may_hold_what_is_not(root: Path) -> None:
    """What is brought back comes without its directory as a member."""
    write(root, "data/keep/a", "data/big", "other/a")
    assert listed(root, "data", "!data/keep", "other") == ["data/keep", "data/keep/a"]


def test_the_builder_gets_its_own_files(root: Path) -> None:
    """A Dockerfile that is left out is marked and still there."""
    write(root, "Dockerfile", ".dockerignore", "app/Dockerfile")
    found = vetted_members(root, Ignoring(["**/Dockerfile", ".dockerignore"]))
    marks = {m.path: m.is_for_builder for m in found if m.kind == "file"}
    assert marks == {".dockerignore": True, "Dockerfile": True, "service.py": False}


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("link", "../secret"),
        ("link", ".."),
        ("link", "/etc/passwd"),
        ("link", "a/../../secret"),
        ("a/link", "../../secret"),
        ("a/link", "b/../../../secret"),
        # By the name that the directory has on this machine only.
        ("link", "../root/service.py"),
        ("a/link", "../../root"),
        # Over another link: "up" is the directory itself.
        ("link", "a/up/../secret"),
        ("Dockerfile", "../secret"),
        (".dockerignore", "../secret"),
    ],
)
def test_links_that_lead_out(root: Path, path: str, target: str) -> None:
    """They are refused by name, with where they lead."""
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "up").symlink_to("..")
    (root / path).symlink_to(target)
    with pytest.raises(SourceError) as refused:
        listed(root)
    assert refused.value.stage == "source"
    assert f"the link {path} leads out of it, to {target}." in str(refused.value)


def test_an_absolute_link_into_the_directory_is_refused(root: Path) -> None:
    """In the image it would lead to somewhere else."""
    (root / "link").symlink_to(root / "service.py")
    with pytest.raises(SourceError, match="the link link leads out"):
        listed(root)


@pytest.mark.parametrize(
    "target",
    ["service.py", "./service.py", "a/../service.py", "nowhere", "a/up/a", "."],
)
def test_links_inside_are_kept_as_they_are(root: Path, target: str) -> None:
    """They are not followed, wherever they lead; also nowhere."""
    (root / "a").mkdir()
    (root / "a" / "up").symlink_to("..")
    (root / "link").symlink_to(target)
    found = vetted_members(root, Ignoring())
    assert Member("link", "link", target=target) in found
    assert len(found) == 4


@pytest.mark.parametrize("target", ["link", "link/x", "a/up/link", "other"])
def test_links_in_a_circle(root: Path, target: str) -> None:
    """What could never be opened is refused by name."""
    (root / "a").mkdir()
    (root / "a" / "up").symlink_to("..")
    (root / "link").symlink_to(target)
    (root / "other").symlink_to("link")
    with pytest.raises(SourceError, match=r"the link (link|other) leads in a circle"):
        listed(root)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize("make", [_pipe, _socket])
@pytest.mark.parametrize("name", ["thing", "thing.pem", "Dockerfile", ".dockerignore"])
def test_pipes_and_sockets(
    root: Path, make: Callable[[Path], None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are refused by name, without waiting for a writer."""
    monkeypatch.chdir(root)  # the address of a socket is short
    make(Path(name))
    with pytest.raises(SourceError, match=f"{name} is a device, a pipe or a socket"):
        listed(root)


def test_devices() -> None:
    """A directory with devices is refused by the name of one."""
    lines = [path.name for path in Path("/dev").iterdir() if path.name != "null"]
    with pytest.raises(SourceError, match="null is a device"):
        vetted_members(Path("/dev"), Ignoring(lines))


def test_what_is_left_out_may_be_anything(root: Path) -> None:
    """Nothing that stays out is refused."""
    (root / "link").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe")
    (root / ".env").symlink_to("../secret")
    (root / os.fsdecode(b"\xff")).touch()
    assert listed(root, "link", "pipe", "[^a-z]") == []


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_names_that_are_not_utf8(root: Path, kind: str) -> None:
    """They are refused with a message that can be printed."""
    path = root / os.fsdecode(b"caf\xe9")
    if kind == "file":
        path.touch()
    elif kind == "directory":
        path.mkdir()
    else:
        (root / "link").symlink_to(path.name)
    with pytest.raises(SourceError, match="not UTF-8") as refused:
        listed(root)
    str(refused.value).encode()


def test_names_with_control_characters_are_shown_escaped(root: Path) -> None:
    """A message is one line, whatever a file is called."""
    os.mkfifo(root / "a\nb\x1b[31m")
    with pytest.raises(SourceError) as refused:
        listed(root)
    assert str(refused.value).isprintable()


@contextlib.contextmanager
def deep(root: Path, name: str, depth: int) -> Iterator[None]:
    """Have directories in one another, deeper than a path can say."""
    previous = Path.cwd()
    os.chdir(root)
    try:
        for _ in range(depth):
            os.mkdir(name)  # noqa: PTH102 - Path is slow here
            os.chdir(name)
        os.chdir(previous)
        yield
    finally:
        os.chdir(previous)
        # pytest cannot remove them, and would fail at the end of later runs.
        subprocess.run(["rm", "-rf", str(root)], check=True)


def test_deeper_than_python_recurses(root: Path) -> None:
    """A thousand directories in one another are listed like any others."""
    depth = sys.getrecursionlimit() + 20
    with deep(root, "d", depth):
        assert len(listed(root)) == depth


def test_deeper_than_anything_can_be_unpacked(root: Path) -> None:
    """A path that is too long for any system call is refused, and shown in part."""
    with (
        deep(root, "d" * 200, 30),
        pytest.raises(SourceError, match="too long") as refused,
    ):
        listed(root)
    assert len(str(refused.value)) < 500


def test_too_many_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are refused with what to do; what is left out does not count."""
    monkeypatch.setattr(members, "MEMBERS_MAX", 10)
    write(root, *(f"data/{n}" for n in range(20)))
    with pytest.raises(SourceError, match=r"more than 10 files.*\.dockerignore"):
        listed(root)
    assert listed(root, "data") == []


def test_too_many_bytes(root: Path) -> None:
    """A file of a terabyte is refused and not read."""
    with (root / "big").open("wb") as file:
        file.truncate(1024**4)
    with pytest.raises(SourceError, match="64 GiB"):
        listed(root)


@pytest.mark.parametrize("name", ["closed", "model.bin", "key.pem"])
def test_what_may_not_be_read(name: str) -> None:
    """It is named before anything is built, unless it is left out anyway."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        if name == "closed":
            (root / name).mkdir()
        else:
            (root / name).touch()
        (root / name).chmod(0)
        with without_rights():
            with pytest.raises(SourceError, match=f"{name} cannot be read: Permission"):
                listed(root)
            assert listed(root, name) == []


@contextlib.contextmanager
def without_rights() -> Iterator[None]:
    """Go on as a user who may read only what everybody may."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


STEPS = st.sampled_from(["a", "b", "c", "..", ".", ""])
TARGETS = st.tuples(
    st.sampled_from(["", "", "", "/"]), st.lists(STEPS, min_size=1, max_size=5)
).map(lambda found: found[0] + "/".join(found[1]))
PLACES = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3)


def really(path: Path) -> Path:
    """Return where a path leads; not ``resolve``, which raises on circles."""
    return Path(os.path.realpath(path))


@settings(deadline=None)
@given(st.lists(st.tuples(PLACES.map("/".join), TARGETS), max_size=6))
def test_no_link_of_a_context_leads_out(links: list[tuple[str, str]]) -> None:
    """Whatever links are accepted, following them from anywhere stays inside."""
    with tempfile.TemporaryDirectory() as folder:
        root = really(Path(folder)) / "a" / "b" / "root"
        root.mkdir(parents=True)
        # There is something to be found outside, whichever way is tried.
        for outside in (Path(folder), root.parent.parent, root.parent):
            for name in ("a", "b", "c"):
                (outside / name).mkdir(exist_ok=True)
        for path, target in links:
            place = root / path
            if not target or not really(place.parent).is_relative_to(root):
                continue
            with contextlib.suppress(OSError):  # something is in the way
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(target)
        try:
            found = vetted_members(root, Ignoring())
        except SourceError:
            return
        ends = [root / member.path for member in found]
        assert all(really(end).is_relative_to(root) for end in ends if end.exists())
