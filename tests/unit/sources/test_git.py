"""Commits of repositories on this machine: which is meant, and what is in it."""

import os
import pickle
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import attrs
import pytest

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import SourceError
from daeploy_lib.sources import Directory, Git, open_source
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


def opened(git: Git) -> tuple[str, str]:
    """Return the commit that a source is, and its digest."""
    context = open_source(git, SPEC)
    try:
        found = re.fullmatch(r".*@([0-9a-f]{40})(?:#.*)?", context.origin)
        assert found is not None, context.origin
        return found[1], context.digest
    finally:
        context.close()
        assert not list(Path(tempfile.gettempdir()).iterdir())


def commit_of(git: Git) -> str:
    """Return the commit that a source is."""
    return opened(git)[0]


def refusal(git: Git) -> str:
    """Return why a source is refused; nothing of it is left."""
    with pytest.raises(SourceError) as refused:
        open_source(git, SPEC)
    assert not list(Path(tempfile.gettempdir()).iterdir())
    error = refused.value
    assert (error.name, error.version, error.stage) == ("hello", "1.0.0", "source")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301
    return str(error)


def test_a_git_is_a_value() -> None:
    """Frozen, compared, pickled, and shown without the secret."""
    git = Git("https://me:hunter2@example.com/hello.git", "v1", "a//b/.")
    assert git == Git("https://me:hunter2@example.com/hello.git", "v1", "a/b")
    assert pickle.loads(pickle.dumps(git)) == git  # noqa: S301
    assert repr(git) == (
        "Git(url='https://example.com/hello.git', ref='v1', subdirectory='a/b')"
    )
    assert "hunter2" not in repr(git.address)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        git.ref = "v2"  # type: ignore[misc]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "-x",
        "--upload-pack=touch x",
        "ext::sh -c touch% x",
        "fd::17",
        "ext://sh",
        "ftp://example.com/x",
        "https://",
        "https://example.com",
        "https://-x/y",
        "https://host:port/x",
        "https://[::1/x",
        "ssh://-oProxyCommand=touch/x",
        "ssh://-x@host/y",
        "ssh://me:hunter2@host/y",
        "git://me@host/y",
        "-oProxyCommand=x:y",
        "-x@host:y",
        "host:-y",
        "me:hunter2@host:y",
        "file://host/x",
        "https://example.com/x?token=hunter2",
        "https://example.com/x#hunter2",
        "https://me:hunter2%0apassword=x@example.com/x",
        "https://example.com/x\n",
        "a\0b",
        "file:///x%00",
        "a\udcff",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    """By themselves, with what may be written, and never with the secret."""
    with pytest.raises(ValueError, match=r"\.$") as refused:
        Git(url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "clean", "scheme"),
    [
        ("https://t0ken@example.com/x", "https://example.com/x", "https"),
        ("HTTPS://a:b%40@example.com:8/x", "https://example.com:8/x", "https"),
        ("http://[::1]:80/x", "http://[::1]:80/x", "http"),
        ("ssh://git@host:22/~/x", "ssh://git@host:22/~/x", "ssh"),
        ("git@host:team/x.git", "git@host:team/x.git", "ssh"),
        ("host:x", "host:x", "ssh"),
        ("git://host/x", "git://host/x", "git"),
        ("file:///a%20b", "/a b", "file"),
        ("./a:b", "a:b", "file"),
        ("/a b", "/a b", "file"),
    ],
)
def test_addresses(url: str, clean: str, scheme: str) -> None:
    """Of each kind that is allowed, what is shown of it."""
    address = Git(url).address
    assert (address.clean, address.scheme) == (clean, scheme)


@pytest.mark.parametrize(
    "ref", ["", "-x", "a..b", "a b", "a~1", "a^", "a:b", "x.lock", "@", "a\n", "a@{1}"]
)
def test_refs_that_are_refused(ref: str) -> None:
    """Options, expressions of git's, and what no ref can be."""
    with pytest.raises(ValueError, match="ref must be"):
        Git("x", ref)


@pytest.mark.parametrize("path", ["..", "a/../..", "/a", "-a", ".git", "a/.GIT", "a\n"])
def test_subdirectories_that_are_refused(path: str) -> None:
    """Those that leave the repository, and options."""
    with pytest.raises(ValueError, match="subdirectory must be"):
        Git("x", subdirectory=path)


def test_other_wrong_arguments() -> None:
    """Types and times that are none are errors of the caller."""
    wrong: Any = 5
    for given in ({"ref": wrong}, {"subdirectory": wrong}, {"timeout": "1"}):
        with pytest.raises(TypeError):
            Git("x", **given)
    with pytest.raises(TypeError):
        Git(b"x")  # type: ignore[arg-type]
    for seconds in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="timeout"):
            Git("x", timeout=seconds)


def test_what_may_be_named(hello: Repository) -> None:
    """A branch, a tag of either kind, a commit, its first digits, and the default."""
    first = hello.git("rev-parse", "HEAD")
    hello.git("tag", "plain")
    hello.git("tag", "-a", "annotated", "-m", "x")
    second = hello.commit({"service.py": "2"})
    hello.git("branch", "team/feature", first)
    path = hello.path
    for ref in ("plain", "annotated", "team/feature", first, first[:7], first.upper()):
        assert commit_of(Git(path, ref)) == first
    tag = hello.git("rev-parse", "annotated")
    for ref in ("refs/tags/plain", "refs/heads/team/feature", "tags/plain", tag):
        if ref == "tags/plain":
            assert "Did you mean plain?" in refusal(Git(path, ref))
        else:
            assert commit_of(Git(path, ref)) == first
    for ref in ("HEAD", "main", second):
        assert commit_of(Git(path, ref)) == second
    hello.git("checkout", "--quiet", "team/feature")
    assert commit_of(Git(path)) == first


def test_a_commit_that_no_ref_is_at(hello: Repository) -> None:
    """Its digits are enough, also a few of them."""
    middle = hello.commit({"service.py": "2"})
    hello.commit({"service.py": "3"})
    assert commit_of(Git(hello.path, middle)) == middle
    assert commit_of(Git(hello.path, middle[:8])) == middle


def test_a_commit_of_sha256(tmp_path: Path) -> None:
    """It is fetched as well, and recorded with its 64 digits."""
    path = tmp_path / "new"
    path.mkdir()
    made = Repository(path)
    made.git("init", "--quiet", "--object-format=sha256", "-b", "main")
    commit = made.commit({"service.py": ANSWER})
    context = open_source(Git(path), SPEC)
    assert context.origin == f"{path}@{commit}"
    assert len(commit) == 64
    context.close()


def test_a_branch_that_moves(hello: Repository) -> None:
    """Two times the same source are two commits."""
    git = Git(hello.path, "main")
    first = opened(git)
    second = hello.commit({"service.py": "2"})
    assert opened(git)[0] == second != first[0]
    assert opened(git)[1] != first[1]


def test_the_digest_is_that_of_a_checkout(hello: Repository, tmp_path: Path) -> None:
    """With modes, links, line ends that the repository asks for, and empty files."""
    hello.write(
        {
            ".gitattributes": "*.bat text eol=crlf\n*.id ident\n",
            "a/.gitattributes": "*.txt text eol=crlf\n",
            "x.bat": "one\ntwo\n",
            "a/b/y.txt": "one\ntwo\n",
            "a/b/service.py": ANSWER,
            "a/b/run.sh": "true",
            "a/b/version.id": "$Id$\n",
            "a/b/empty": "",
            "a/b/-x": "",
            "a/b/line\nbreak": "",
        }
    )
    (hello.path / "a/b/run.sh").chmod(0o755)
    (hello.path / "a/b/link").symlink_to("service.py")
    hello.commit()
    hello.git("clone", "--quiet", ".", str(tmp_path / "checkout"))
    for below in ("", "a/b"):
        checkout = open_source(Directory(tmp_path / "checkout" / below), SPEC)
        assert opened(Git(hello.path, subdirectory=below))[1] == checkout.digest
        assert checkout.has("service.py")


def test_the_users_configuration_does_not_change_content(
    hello: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Line ends, filters, hooks and templates of the user do not count."""
    hello.commit({".gitattributes": "*.py filter=evil text\n"})
    before = opened(Git(hello.path))
    mark = tmp_path / "ran"
    hook = tmp_path / "template/hooks/post-index-change"
    hook.parent.mkdir(parents=True)
    for name in ("post-index-change", "reference-transaction", "post-checkout"):
        hook = hook.with_name(name)
        hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.chmod(0o755)
    config = tmp_path / "config"
    config.write_text(
        f"[core]\n autocrlf = true\n eol = crlf\n hooksPath = {hook.parent}\n"
        f' fsmonitor = "touch {mark}"\n'
        f"[init]\n templateDir = {hook.parent.parent}\n"
        f'[filter "evil"]\n smudge = "touch {mark}; cat"\n required = true\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    assert opened(Git(hello.path)) == before
    assert not mark.exists()


def test_variables_of_another_git_do_not_count(
    hello: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are set in a hook, or by somebody who looks for an error."""
    other = repository(tmp_path / "other", {"service.py": "other"})
    before = opened(Git(hello.path))
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "objects"))
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "nonsense")
    assert opened(Git(hello.path)) == before
    assert not (tmp_path / "trace").exists()


def test_a_path_is_never_an_address() -> None:
    """Whatever is in it."""
    for name in ("host:x", "ext::sh", "a"):
        assert Git(Path(name)).address.path == Path(name)


def test_a_path_is_seen_from_here(
    hello: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative, from home, and as an address; recorded as a whole."""
    commit = hello.git("rev-parse", "HEAD")
    monkeypatch.chdir(hello.path.parent)
    monkeypatch.setenv("HOME", str(hello.path.parent))
    for url in ("hello", "./hello", "~/hello", hello.path.as_uri()):
        context = open_source(Git(url), SPEC)
        assert context.origin == f"{hello.path}@{commit}"
        context.close()


def test_changes_that_are_not_committed_are_not_in_it(hello: Repository) -> None:
    """Neither is the repository itself."""
    hello.write({"service.py": "changed", "new.py": ""})
    context = open_source(Git(hello.path), SPEC)
    assert context.read("service.py") == ANSWER.encode()
    assert not context.has("new.py")
    assert not context.has(".git/HEAD")
    context.close()


def test_each_step_is_told(hello: Repository) -> None:
    """With the commit, before it is fetched."""
    commit = hello.git("rev-parse", "HEAD")
    told: list[str] = []
    open_source(Git(hello.path, "main"), SPEC, told.append).close()
    assert told == [
        f"Asking {hello.path} for main",
        f"Fetching commit {commit} of {hello.path}",
        f"Writing 1 file of commit {commit}",
    ]


def test_unknown_refs(hello: Repository, tmp_path: Path) -> None:
    """The close ones are named, or some."""
    hello.git("branch", "release-1.2")
    assert refusal(Git(hello.path, "relase-1.2")).endswith(
        "it has no branch, tag or commit 'relase-1.2'. Did you mean release-1.2?"
    )
    assert refusal(Git(hello.path, "zzz")).endswith("There is main, release-1.2.")
    assert "has no commit 1234567, or" in refusal(Git(hello.path, "1234567"))
    assert "has no commit aaaa" in refusal(Git(hello.path, "a" * 40))
    blob = hello.git("rev-parse", "HEAD:service.py")
    assert f"has no commit {blob}" in refusal(Git(hello.path, blob))
    hello.git("tag", "main", hello.commit())
    hello.commit()
    assert "main is a branch and a tag, of different commits. Name refs/h" in (
        refusal(Git(hello.path, "main"))
    )
    hello.git("symbolic-ref", "HEAD", "refs/heads/nothing")
    assert "does not say which branch is its default" in refusal(Git(hello.path))
    empty = repository(tmp_path / "empty", {})
    assert "it is empty: it has no commit yet. Push one." in refusal(Git(empty.path))


def test_subdirectories_that_are_none(hello: Repository) -> None:
    """Missing, a file, a link, or below one of these."""
    hello.write({"a/service.py": ANSWER, "file": ""})
    (hello.path / "link").symlink_to("a")
    hello.commit()
    context = open_source(Git(hello.path, subdirectory="a"), SPEC)
    assert context.origin.endswith("#a")
    context.close()
    for below, why in (
        ("b", "it has no directory 'b'"),
        ("a/b", "it has no directory 'a/b'"),
        ("file", "no directory but a file is 'file'"),
        ("file/a", "no directory but a file is 'file'"),
        ("link", "no directory but a link is 'link'"),
        ("link/a", "no directory but a link is 'link'"),
        ("*", "it has no directory '*'"),
        (":(top)a", "it has no directory ':(top)a'"),
    ):
        assert why in refusal(Git(hello.path, subdirectory=below))


def test_no_repository(tmp_path: Path, hello: Repository) -> None:
    """A path that is not there, and one of something else."""
    assert refusal(Git(tmp_path / "none")).endswith("none: it does not exist.")
    (tmp_path / "plain").mkdir()
    assert "there is no repository" in refusal(Git(tmp_path / "plain"))
    (tmp_path / "file").write_text("x")
    assert "file: " in refusal(Git(tmp_path / "file"))
    (hello.path / ".git/objects/pack").rmdir()
    for folder in (hello.path / ".git/objects").glob("??"):
        for file in folder.iterdir():
            file.unlink()
    assert "git said" in refusal(Git(hello.path))


def test_no_git(hello: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "the program git is not installed" in refusal(Git(hello.path))


def test_an_old_git(
    hello: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says which is needed."""
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\necho git version 2.20.1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "installed git is 2.20, and 2.32 or newer" in refusal(Git(hello.path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_of_another_user(hello: Repository) -> None:
    """Git's own caution stays, and is explained."""
    subprocess.run(["chown", "-R", "12345", hello.path], check=True)
    error = refusal(Git(hello.path))
    assert "it belongs to another user" in error
    assert f"safe.directory {hello.path}" in error


def test_what_is_in_it_is_refused_by_its_name(hello: Repository) -> None:
    """As in a directory, with the commit in place of a temporary path."""
    (hello.path / "service.py").unlink()
    commit = hello.commit({"other.py": ""})
    assert f"{hello.path}@{commit} as a source: it has neither" in (
        refusal(Git(hello.path))
    )
