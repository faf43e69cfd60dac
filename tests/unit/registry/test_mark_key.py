"""The secret that copies are marked with."""

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
