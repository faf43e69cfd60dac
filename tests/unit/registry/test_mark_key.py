"""The secret that copies are marked with."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from daeploy_lib.registry.reader import RegistryReader
from daeploy_lib.registry.state import mark_key


def test_all_routers_of_a_directory_share_one_secret(tmp_path: Path) -> None:
    """The first one makes it, for its owner only; later ones read it."""
    first = RegistryReader(tmp_path / "state", "one")
    second = RegistryReader(tmp_path / "state", "two")
    assert first.key == second.key
    assert len(first.key) == 32
    [kept] = (tmp_path / "state").glob("router.key*")
    assert kept.stat().st_mode & 0o777 == 0o600


def test_without_a_place_each_router_has_its_own(tmp_path: Path) -> None:
    """Where no file can be kept, keys are secret all the same."""
    (tmp_path / "state").write_text("a file")
    assert mark_key(tmp_path / "state") != mark_key(tmp_path / "state")


def test_a_kept_secret_is_only_read(tmp_path: Path) -> None:
    """Nothing is written beside it, so a directory that may only be read will do."""
    state = tmp_path / "state"
    key = mark_key(state)
    before = state.stat().st_mtime_ns
    assert mark_key(state) == key
    assert state.stat().st_mtime_ns == before


def test_a_spoiled_secret_is_not_used(tmp_path: Path) -> None:
    """An empty file, or one that was cut, would be easy to guess."""
    mark_key(tmp_path)
    for content in (b"", b"short", b"x" * 33):
        (tmp_path / "router.key").write_bytes(content)
        assert len(mark_key(tmp_path)) == 32
        assert mark_key(tmp_path) != mark_key(tmp_path)


def test_routers_that_begin_at_once_share_one_secret(tmp_path: Path) -> None:
    """The first one's stays, and nothing is left of the others'."""
    for number in range(20):
        state = tmp_path / f"{number}"
        with ThreadPoolExecutor(8) as pool:
            keys = set(pool.map(mark_key, [state] * 8))
        assert len(keys) == 1
        assert [file.name for file in state.iterdir()] == ["router.key"]
