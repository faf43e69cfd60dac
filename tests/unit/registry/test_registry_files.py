"""The registry's file: made safely, and left as it is when it is not ours."""

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from daeploy_lib.errors import StateError
from daeploy_lib.registry.registry import Registry
from daeploy_lib.registry.schema import APPLICATION_ID, SCHEMA_VERSION
from daeploy_lib.registry.state import (
    COMMITS,
    DATABASE,
    registry_id,
    state_directory,
)
from registry_process import PROJECT, deploy, open_registry


def refusal(state: Path) -> str:
    """Return the message with which a registry refuses to open."""
    path = state / DATABASE
    before = path.read_bytes()
    with pytest.raises(StateError) as caught:
        Registry(state, PROJECT).prepare()
    assert caught.value.path == str(path)
    assert path.read_bytes() == before
    assert list(state.iterdir()) == [path]
    return str(caught.value)


def test_a_missing_directory_is_made_for_this_user_only(tmp_path: Path) -> None:
    """Parents too; neither directory nor file can be read by others."""
    state = tmp_path / "a" / "b"
    open_registry(state)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for name in (DATABASE, COMMITS):
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "name", ["with space", "q?mode=ro", "#hash", "100%41", "naïve-\U0001f680", "a&b=c"]
)
def test_any_directory_name_will_do(tmp_path: Path, name: str) -> None:
    """SQLite gets the name as part of a URI and still opens this very file."""
    registry = open_registry(tmp_path / name)
    assert deploy(registry, "hello", "1")
    assert (tmp_path / name / DATABASE).is_file()
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_relative_directory_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changing the working directory afterwards does not move the registry."""
    monkeypatch.chdir(tmp_path)
    registry = open_registry(Path("state"))
    monkeypatch.chdir("/")
    assert deploy(registry, "hello", "1")


def test_the_settings_are_those_of_the_contract(state: Path) -> None:
    """Our own mark, the schema's version, and a rollback journal."""
    open_registry(state)
    connection = sqlite3.connect(state / DATABASE)
    pragmas = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version", "journal_mode")
    }
    connection.close()
    assert pragmas == {
        "application_id": APPLICATION_ID,
        "user_version": SCHEMA_VERSION,
        "journal_mode": "delete",
    }


def test_connections_sync_fully_and_check_foreign_keys(state: Path) -> None:
    """Every transaction of ours; EXTRA is more than FULL."""
    registry = open_registry(state)
    with registry._database.writing() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 3
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_preparing_again_says_whether_it_is_another_file(state: Path) -> None:
    """True the first time and after the file was deleted, else False."""
    registry = Registry(state, PROJECT)
    assert registry.prepare()
    assert not registry.prepare()
    (state / DATABASE).unlink()
    assert registry.prepare()
    assert not registry.prepare()


def test_an_empty_file_becomes_a_registry(state: Path) -> None:
    """That is what a crash while it was made leaves."""
    (state / DATABASE).touch()
    assert deploy(open_registry(state), "hello", "1")


def test_a_text_file_is_refused_and_left(state: Path) -> None:
    """What is no SQLite file is called damaged; the remedy is to move it away."""
    (state / DATABASE).write_text("name,version\nhello,1\n" * 100)
    assert "damaged (file is not a database)" in refusal(state)
    assert "Move the file away" in refusal(state)


def test_another_programs_file_is_refused_and_left(state: Path) -> None:
    """Tables, a version or a mark of their own each tell it."""
    for statement in (
        "CREATE TABLE songs (title)",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 1",
    ):
        connection = sqlite3.connect(state / DATABASE)
        connection.execute(statement)
        connection.commit()
        connection.close()
        assert "SQLite file of another program" in refusal(state)
        (state / DATABASE).unlink()


def test_an_older_schema_is_brought_up_to_date(state: Path) -> None:
    """What it holds stays; where a version came from is not known of old ones."""
    registry = open_registry(state)
    deploy(registry, "hello", "1")
    connection = sqlite3.connect(state / DATABASE)
    connection.execute("ALTER TABLE versions DROP COLUMN source_origin")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    (state / COMMITS).unlink()
    for again in (registry, Registry(state, PROJECT)):
        again.prepare()
        [record] = again.versions()
        assert (record.name, record.deployed.source_origin) == ("hello", "")
    deploy(registry, "hello", "2")


def test_a_newer_schema_is_refused_and_left(state: Path) -> None:
    """The message names both versions and says to update."""
    open_registry(state)
    connection = sqlite3.connect(state / DATABASE)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    (state / COMMITS).unlink()
    message = refusal(state)
    assert f"schema {SCHEMA_VERSION + 1}, newer than {SCHEMA_VERSION}" in message
    assert "Update daeploy-lib" in message


@pytest.mark.parametrize("page", range(1, 8))
def test_a_damaged_file_is_refused_and_left(state: Path, page: int) -> None:
    """Garbage in any page, or a file that was cut, is noticed at the start."""
    registry = open_registry(state)
    deploy(registry, "hello", "1")
    (state / COMMITS).unlink()
    path = state / DATABASE
    content = path.read_bytes()
    start = page * 4096
    path.write_bytes(content[:start] + b"\xff" * 4096 + content[start + 4096 :])
    assert "damaged" in refusal(state)
    path.write_bytes(content[: start + 100])
    assert "damaged" in refusal(state)
    path.write_bytes(content)
    assert [record.name for record in registry.versions()] == ["hello"]


def test_a_deleted_file_is_an_error_until_it_is_prepared(state: Path) -> None:
    """A verb does not make an empty registry by accident."""
    registry = open_registry(state)
    deploy(registry, "hello", "1")
    (state / DATABASE).unlink()
    with pytest.raises(StateError, match="unable to open database file"):
        registry.versions()
    with pytest.raises(StateError, match="unable to open database file"):
        registry.assign("hello", "1")
    assert not (state / DATABASE).exists()


@pytest.mark.parametrize("name", ["file", "file/below", "/dev/null/x"])
def test_a_directory_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    """The message says why, and how to name another."""
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match=r"Deployer\(state=...\) or \$DAEPLOY_STATE"):
        Registry(tmp_path / name, PROJECT).prepare()


def test_a_directory_in_the_place_of_the_file_is_refused(state: Path) -> None:
    """SQLite cannot open it, and nothing is removed."""
    (state / DATABASE).mkdir()
    with pytest.raises(StateError, match="cannot be used"):
        Registry(state, PROJECT).prepare()
    assert (state / DATABASE).is_dir()


def test_a_failed_transaction_changes_nothing(state: Path) -> None:
    """Whatever is raised in the middle, Ctrl-C included, is rolled back."""
    registry = open_registry(state)
    deploy(registry, "hello", "1")
    commits = (state / COMMITS).stat().st_size

    def interrupted(error: type[BaseException]) -> None:
        with registry._database.writing() as connection:
            connection.execute("DELETE FROM mains")
            raise error

    for error in (KeyboardInterrupt, ValueError, SystemExit):
        with pytest.raises(error):
            interrupted(error)
    assert registry.versions()[0].is_main
    assert (state / COMMITS).stat().st_size == commits


def test_every_commit_is_acknowledged_once(state: Path) -> None:
    """One byte for each transaction that committed, none for reads."""
    registry = open_registry(state)
    before = (state / COMMITS).stat().st_size
    deploy(registry, "hello", "1")
    registry.versions()
    registry.history("hello")
    assert (state / COMMITS).stat().st_size == before + 2


def test_the_state_directory_is_the_argument_then_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the user's own; always absolute, and never made by asking."""
    monkeypatch.setenv("DAEPLOY_STATE", str(tmp_path / "variable"))
    assert state_directory(tmp_path / "argument") == tmp_path / "argument"
    assert state_directory() == tmp_path / "variable"
    monkeypatch.setenv("DAEPLOY_STATE", "")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_directory() == tmp_path / "daeploy"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_directory("here") == tmp_path / "here"
    assert state_directory("~/there") == tmp_path / "there"
    assert list(tmp_path.iterdir()) == []


def test_the_registrys_id_is_kept_and_found_again(tmp_path: Path) -> None:
    """The same after the directory was deleted, or moved; others have others."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    identity = registry_id(one)
    assert identity == registry_id(one)
    assert identity != registry_id(other)
    for file in one.iterdir():
        file.unlink()
    assert registry_id(one) == identity
    assert registry_id(one.rename(tmp_path / "moved")) == identity


def test_an_id_that_cannot_be_read_is_refused(state: Path) -> None:
    """With the file's name."""
    (state / "registry.id").write_bytes(b"\xff\xfe")
    with pytest.raises(StateError, match=r"registry\.id: The file cannot be used"):
        registry_id(state)
    os.unlink(state / "registry.id")  # noqa: PTH108 - it may be no regular file
    (state / "registry.id").mkdir()
    with pytest.raises(StateError, match=r"registry\.id"):
        registry_id(state)
