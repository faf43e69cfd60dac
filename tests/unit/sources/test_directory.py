"""A directory as a source: what is one, and what is said of what is not."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import SourceError
from daeploy_lib.sources import Directory, open_source

SPEC = Spec("default", "hello", "1.0.0")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with a service."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "service.py").write_text("print()")
    return root


def refusal(source: Any, spec: Spec = SPEC) -> str:
    """Return why a source is refused; the error knows what it was for."""
    with pytest.raises(SourceError) as refused:
        open_source(source, spec)
    error = refused.value
    assert (error.name, error.version, error.stage) == ("hello", "1.0.0", "source")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301
    return str(error)


def test_text_path_and_directory_are_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All three name a directory, also relative to the working directory or home."""
    digest = open_source(root, SPEC).digest
    assert open_source(str(root), SPEC).digest == digest
    assert open_source(Directory(root), SPEC).digest == digest
    monkeypatch.chdir(root.parent)
    assert open_source("root", SPEC).digest == digest
    monkeypatch.setenv("HOME", str(root.parent))
    assert open_source("~/root", SPEC).digest == digest


def test_a_context_stays_where_it_is(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changing the working directory afterwards changes nothing."""
    monkeypatch.chdir(root.parent)
    context = open_source("root", SPEC)
    monkeypatch.chdir("/")
    assert context.read("service.py") == b"print()"


def test_the_directory_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    """As a deployment's "current" often is; what is inside is still vetted."""
    (tmp_path / "current").symlink_to("root")
    (root / "link").symlink_to("service.py")
    assert open_source(tmp_path / "current", SPEC).read("link") == b"print()"


def test_values_are_frozen_and_compare() -> None:
    """A Directory is a value."""
    assert Directory("a") == Directory(Path("a"))
    assert hash(Directory("a")) == hash(Directory("a"))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Directory("a").path = Path("b")  # type: ignore[misc]


@pytest.mark.parametrize("source", [None, 5, b"hello", ["hello"], object()])
def test_no_source_at_all(source: Any) -> None:
    """A wrong type is an error of the caller."""
    with pytest.raises(TypeError, match="source is a path or Directory"):
        open_source(source, SPEC)
    with pytest.raises(TypeError):
        Directory(source)


def test_a_path_in_bytes() -> None:
    """A path object that is bytes is no text."""

    class Bytes(os.PathLike[bytes]):
        def __fspath__(self) -> bytes:
            return b"hello"

    with pytest.raises(TypeError, match="text or a Path, not bytes"):
        open_source(Bytes(), SPEC)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["", "a\0b", "~nobody-of-this-name/hello"])
def test_no_path_at_all(path: str) -> None:
    """Nobody means the working directory by an empty text."""
    with pytest.raises(ValueError, match="Invalid path"):
        Directory(path)


def test_nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says from where a relative path was looked for."""
    monkeypatch.chdir(tmp_path)
    assert refusal("nothing").endswith(
        f"Cannot use nothing as a source: it does not exist (seen from {tmp_path})."
    )
    assert refusal(tmp_path / "nothing").endswith("it does not exist.")
    (tmp_path / "circle").symlink_to("circle")
    assert "does not exist" in refusal("circle")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "a directory that was removed" in refusal("nothing")


def test_no_directory(root: Path) -> None:
    """A file is not one."""
    assert "it is not a directory" in refusal(root / "service.py")
    assert "File name too long" in refusal("a" * 300)


@pytest.mark.parametrize(
    "source",
    [
        "https://user:hunter2@host/hello.git",
        Path("https://user:hunter2@host/hello.git"),
        "git+ssh://hunter2@host/hello",
        "hunter2@host:hello.git",
        "file:///hunter2/hello.tar.gz",
    ],
)
def test_an_address(source: str | Path) -> None:
    """It is told what can be deployed, and a password in it is not repeated."""
    message = refusal(source)
    assert "The source is an address, and not a path" in message
    assert "Git(…)" in message
    assert "hunter2" not in message


def test_a_directory_that_looks_like_an_address(tmp_path: Path) -> None:
    """What is a directory is one, whatever it is called."""
    folder = tmp_path / "me@host:hello.tar.gz"
    folder.mkdir()
    (folder / "service.py").touch()
    assert open_source(folder, SPEC).digest


def test_empty(tmp_path: Path) -> None:
    """Nothing in it, or nothing but what stays out."""
    assert "it is empty" in refusal(tmp_path)
    (tmp_path / ".env").touch()
    (tmp_path / ".dockerignore").write_text("*")
    assert "it is empty, or everything in it is left out" in refusal(tmp_path)


def test_nothing_to_run(tmp_path: Path) -> None:
    """A Dockerfile, a service.py or a command is needed."""
    (tmp_path / "main.py").touch()
    (tmp_path / "Dockerfile").mkdir()
    (tmp_path / "service.py" / "x").mkdir(parents=True)
    assert "neither a Dockerfile nor a service.py" in refusal(tmp_path)
    spec = attrs.evolve(SPEC, command=("python", "main.py"))
    assert open_source(tmp_path, spec).digest
    (tmp_path / "Dockerfile").rmdir()
    (tmp_path / "Dockerfile").touch()
    assert open_source(tmp_path, SPEC).has_dockerfile


def test_a_service_that_is_left_out(root: Path) -> None:
    """The message does not ask for what is there."""
    (root / "main.py").touch()
    (root / ".dockerignore").write_text("service.py")
    assert "service.py is left out by its .dockerignore" in refusal(root)


def test_the_dockerignore_is_read_as_docker_does(root: Path) -> None:
    """With a byte order mark, carriage returns and comments."""
    (root / "data").touch()
    (root / ".dockerignore").write_bytes(b"\xef\xbb\xbf# all\r\ndata\r\n\r\n")
    assert not open_source(root, SPEC).has("data")


def test_a_dockerignore_over_a_link(root: Path) -> None:
    """It may be a link to another file inside; then that one's lines count."""
    (root / "data").touch()
    (root / "ignored").write_text("data")
    (root / ".dockerignore").symlink_to("ignored")
    assert not open_source(root, SPEC).has("data")
    (root / ".dockerignore").unlink()
    (root / ".dockerignore").symlink_to("nowhere")
    assert open_source(root, SPEC).has("data")


def test_a_dockerignore_that_leads_out(root: Path, tmp_path: Path) -> None:
    """It is refused before it is read, so no line of another file is shown."""
    (tmp_path / "secret").write_text("[secret")
    (root / ".dockerignore").symlink_to("../secret")
    message = refusal(root)
    assert ".dockerignore leads out" in message
    assert "[secret" not in message


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"[a", "invalid pattern '[a'"), (b"!", "invalid line '!'"), (b"\xff", "utf-8")],
)
def test_a_dockerignore_that_cannot_be_read(
    root: Path, content: bytes, why: str
) -> None:
    """What Docker would refuse is refused, with the reason."""
    (root / ".dockerignore").write_bytes(content)
    message = refusal(root)
    assert ".dockerignore cannot be read" in message
    assert why in message


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_dockerignore_that_is_no_file(
    root: Path, make: Callable[[Path], None]
) -> None:
    """It is no list of patterns, and is not waited for."""
    make(root / ".dockerignore")
    assert ".dockerignore cannot be read: it is no regular file" in refusal(root)


def test_hostile_members_are_refused(root: Path) -> None:
    """The vetting of members reaches the user with name and version."""
    (root / "link").symlink_to("/etc/passwd")
    assert "hello 1.0.0: Cannot use" in refusal(root)


def test_later_errors_tell_what_it_was_for(root: Path) -> None:
    """So do those that come up when the content is read."""
    context = open_source(root, SPEC)
    (root / "service.py").unlink()
    with pytest.raises(SourceError, match=r"service\.py cannot be read") as failed:
        _ = context.digest
    assert (failed.value.name, failed.value.version) == ("hello", "1.0.0")
