"""The scaffold appears as a whole, under its name, or not at all."""

import ast
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daeploy_lib.domain.spec import Spec
from daeploy_lib.sources import open_source, write_project

FILES = {
    ".dockerignore",
    "README.md",
    "requirements.txt",
    "service.py",
    "test_service.py",
}


@pytest.mark.parametrize("name", ["hello", "iris-model_2", "7"])
def test_the_files(tmp_path: Path, name: str) -> None:
    """Each file is there, names the service, and is valid."""
    folder = write_project(name, tmp_path / "not" / "yet")
    assert folder == tmp_path / "not" / "yet" / name
    assert {file.name for file in folder.iterdir()} == FILES
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    for file in folder.iterdir():
        assert "SERVICE_NAME" not in file.read_text()
        if file.suffix == ".py":
            ast.parse(file.read_text())
    assert f'title="{name}"' in (folder / "service.py").read_text()
    assert os.listdir(folder.parent) == [name]  # noqa: PTH208 - also hidden ones


def test_it_is_a_source(tmp_path: Path) -> None:
    """What is deployed are the service and its requirements."""
    folder = write_project("hello", tmp_path)
    context = open_source(folder, Spec("default", "hello", "1.0.0"))
    assert not context.has_dockerfile
    assert context.read("service.py")
    assert b"fastapi" in (context.read("requirements.txt") or b"")
    assert context.read("test_service.py") is None


@pytest.mark.parametrize(
    "name", ["", "Hello", "a b", "../x", "a/b", ".hidden", "x" * 41, "a--b"]
)
def test_a_name_that_is_not_allowed(tmp_path: Path, name: str) -> None:
    """The name is checked before anything is written."""
    with pytest.raises(ValueError, match="name"):
        write_project(name, tmp_path)
    assert not any(tmp_path.iterdir())


def test_what_is_there_stays(tmp_path: Path) -> None:
    """A directory with content, a file and a link are left as they are."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "dangling").symlink_to("nowhere")
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    for name in ("full", "file", "link", "dangling"):
        with pytest.raises(FileExistsError, match="nothing was written"):
            write_project(name, tmp_path)
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before
    assert (tmp_path / "full" / "mine").read_text() == "mine"


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    """An empty directory of that name is no obstacle."""
    (tmp_path / "hello").mkdir()
    write_project("hello", tmp_path)
    assert {file.name for file in (tmp_path / "hello").iterdir()} == FILES


def test_of_many_at_once_one_succeeds(tmp_path: Path) -> None:
    """The others get FileExistsError, and leave nothing behind."""

    def attempt(_: int) -> bool:
        try:
            write_project("hello", tmp_path)
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1
    assert os.listdir(tmp_path) == ["hello"]  # noqa: PTH208 - also hidden ones
    assert {file.name for file in (tmp_path / "hello").iterdir()} == FILES


def test_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle leaves neither the directory nor a hidden one."""
    written: list[Path] = []

    def interrupt(self: Path, *_: object) -> int:
        written.append(self)
        if len(written) == 3:
            raise KeyboardInterrupt
        return self.write_bytes(b"")

    monkeypatch.setattr(Path, "write_text", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_project("hello", tmp_path)
    assert not any(tmp_path.iterdir())
