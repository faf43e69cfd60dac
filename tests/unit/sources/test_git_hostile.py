"""Repositories that mean harm: nothing runs, and nothing leaves the tree."""

import os
import tempfile
from pathlib import Path

import pytest

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import SourceError
from daeploy_lib.sources import Git, open_source
from daeploy_lib.sources.git import fetching, program, tree
from git_repositories import ANSWER, Repository, repository

SPEC = Spec("default", "hello", "1.0.0")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, which is empty after each test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def hello(tmp_path: Path) -> Repository:
    """A repository with a service."""
    return repository(tmp_path / "hello")


def refusal(git: Git) -> str:
    """Return why a source is refused; nothing of it is left."""
    with pytest.raises(SourceError) as refused:
        open_source(git, SPEC)
    assert not list(Path(tempfile.gettempdir()).iterdir())
    return str(refused.value)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc/passwd", "a/../.."])
def test_a_link_that_leads_out(hello: Repository, target: str) -> None:
    """It is refused by its name, as in a directory."""
    (hello.path / "data").symlink_to(target)
    commit = hello.commit()
    error = refusal(Git(hello.path))
    assert f"{hello.path}@{commit} as a source: the link data leads out of it" in error


def test_a_link_out_of_the_subdirectory(hello: Repository) -> None:
    """What is beside it in the repository is out as well."""
    hello.write({"a/service.py": ANSWER})
    (hello.path / "a/link").symlink_to("../service.py")
    hello.commit()
    assert "the link link leads out of it" in refusal(Git(hello.path, subdirectory="a"))


def test_a_file_below_a_link(hello: Repository, tmp_path: Path) -> None:
    """A tree in which a link and a directory have one name writes nothing outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    blob = hello.blob("x")
    link = hello.blob(str(outside))
    below = hello.tree(f"100644 {blob} service.py")
    top = hello.tree(f"120000 {link} a", f"40000 {below} a")
    hello.commit_tree(top)
    assert refusal(Git(hello.path))
    assert not list(outside.iterdir())


@pytest.mark.parametrize(
    "name", [".git", ".GIT", ".Git", "..", ".", "git~1", ".g\u200cit"]
)
def test_names_that_are_gits_own(hello: Repository, name: str) -> None:
    """Also as they would be read by other file systems; nothing is written."""
    blob = hello.blob("x")
    below = hello.tree(f"100755 {blob} config")
    service = hello.blob(ANSWER)
    entries = [f"40000 {below} {name}", f"100644 {service} service.py"]
    hello.commit_tree(hello.tree(*entries))
    assert "Cannot fetch" in refusal(Git(hello.path))


def test_a_name_with_slashes(hello: Repository) -> None:
    """It is vetted as the path it would be."""
    blob = hello.blob("x")
    hello.commit_tree(hello.tree(f"100644 {blob} ../../x"))
    assert refusal(Git(hello.path))


def test_names_like_options_and_of_several_lines(hello: Repository) -> None:
    """They are files like others."""
    names = ["-x", "--exec=touch x", "a\nb", ":(top)x", "*", 'a"b', "README", "readme"]
    hello.commit(dict.fromkeys(names, "x"))
    context = open_source(Git(hello.path), SPEC)
    assert all(context.read(name) == b"x" for name in names)
    context.close()


def test_refs_like_options(hello: Repository, tmp_path: Path) -> None:
    """A branch that is named like an option is never one."""
    commit = hello.git("rev-parse", "HEAD")
    mark = tmp_path / "ran"
    name = f"refs/heads/--upload-pack=touch${{IFS}}{mark}"
    (hello.path / ".git/packed-refs").write_text(f"{commit} {name}\n")
    hello.git("update-ref", "refs/heads/--output=x", commit)
    context = open_source(Git(hello.path, "refs/heads/--output=x"), SPEC)
    assert context.origin.endswith(commit)
    context.close()
    assert refusal(Git(hello.path, "nothing"))
    assert not mark.exists()


def test_filters_and_drivers_of_the_repository(
    hello: Repository, tmp_path: Path
) -> None:
    """Its attributes name programs, and its own configuration too; none runs."""
    mark = tmp_path / "ran"
    evil = f"touch {mark}; cat"
    hello.commit({".gitattributes": "* filter=evil diff=evil merge=evil\n"})
    for key in ("smudge", "clean", "process"):
        hello.git("config", f"filter.evil.{key}", evil)
    hello.git("config", "core.fsmonitor", evil)
    hello.git("config", "core.sshCommand", evil)
    hello.git("config", "uploadpack.packObjectsHook", evil)
    hook = hello.path / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    for name in ("post-checkout", "pre-receive", "post-index-change"):
        hook.with_name(name).write_text(f"#!/bin/sh\n{evil}\n")
        hook.with_name(name).chmod(0o755)
    context = open_source(Git(hello.path), SPEC)
    assert context.read("service.py") == ANSWER.encode()
    context.close()
    assert not mark.exists()


def test_submodules_are_left_out(hello: Repository, tmp_path: Path) -> None:
    """Whatever their address would run; it is told, and the directory is empty."""
    mark = tmp_path / "ran"
    text = f'[submodule "x"]\n path = x\n url = ext::sh -c "touch {mark}"\n'
    hello.write({".gitmodules": text})
    commit = hello.git("rev-parse", "HEAD")
    hello.git("update-index", "--add", "--cacheinfo", f"160000,{commit},x")
    hello.git("add", ".gitmodules")
    hello.git("commit", "--quiet", "-m", "x")
    told: list[str] = []
    context = open_source(Git(hello.path), SPEC, told.append)
    assert "Leaving out the submodule x: only its directory is there" in told
    assert not context.has("x/service.py")
    context.close()
    assert not mark.exists()
    assert "but a submodule is 'x'" in refusal(Git(hello.path, subdirectory="x"))


def test_pointers_of_lfs_are_refused(hello: Repository) -> None:
    """A pointer is not the model that was meant, unless it stays out."""
    pointer = (
        "version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{'a' * 64}\nsize 12345\n"
    )
    hello.commit({"models/best.bin": pointer, ".gitattributes": "*.bin filter=lfs\n"})
    error = refusal(Git(hello.path))
    assert "models/best.bin is kept in Git LFS, which is not fetched" in error
    hello.commit({".dockerignore": "models\n"})
    open_source(Git(hello.path), SPEC).close()


def test_a_tree_of_many_files(
    hello: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused before a file is written."""
    monkeypatch.setattr(tree, "MEMBERS_MAX", 3)
    hello.commit(dict.fromkeys("abc", ""))
    assert "holds more than 3 files" in refusal(Git(hello.path))


def test_a_tree_that_multiplies(
    hello: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few objects that are billions of files are not listed to the end."""
    monkeypatch.setattr(program, "OUTPUT_BYTES_MAX", 1024**2)
    digits = hello.tree(f"100644 {hello.blob('x')} f")
    for _ in range(9):
        digits = hello.tree(*(f"40000 {digits} {name}" for name in "abcdefghij"))
    hello.commit_tree(digits)
    assert "more names than anybody would have" in refusal(Git(hello.path))


def test_a_repository_of_many_bytes(
    hello: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused by the size of its files, before these are written."""
    monkeypatch.setattr(tree, "BYTES_MAX", 10)
    assert "holds more than" in refusal(Git(hello.path))


def test_what_is_fetched_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has too many bytes while it is fetched ends with that."""
    monkeypatch.setattr(fetching, "BYTES_MAX", 1)
    folder = tmp_path / "fetched"
    folder.mkdir()
    made = fetching.Repository.of(Git("https://example.com/x"), folder)
    made.folder.mkdir()
    (made.folder / "pack").write_bytes(b"xx")
    with pytest.raises(SourceError, match="GiB"):
        made._check_size()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_temporary_folder_that_cannot_be_written(
    hello: Repository, temporary: Path
) -> None:
    """It says so."""
    temporary.chmod(0o500)
    assert "no temporary folder can be made" in refusal(Git(hello.path))
