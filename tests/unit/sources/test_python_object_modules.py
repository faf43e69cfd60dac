"""What the modules of a Python object come from: an index, or files of one's own."""

import json
from pathlib import Path

import pytest

from daeploy_lib.sources.python_object.modules import Needs, needs_of, pin


def installed(
    folder: Path, name: str, *, version: str = "1.0", url: str = "", by: str = "pip"
) -> None:
    """Put a distribution with a package of its own name into a folder."""
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text("import orjson\n")
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )
    (about / "RECORD").write_text(f"{name}/__init__.py,,\n")
    (about / "INSTALLER").write_text(f"{by}\n")
    if url:
        (about / "direct_url.json").write_text(json.dumps({"url": url}))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that modules are imported from."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def requirements(module: str) -> tuple[str, ...]:
    """Return the lines for pip that a module needs; nothing is shipped for it."""
    needs = needs_of([module])
    assert (needs.folders, needs.unknown) == ({}, ())
    return needs.requirements


def test_from_an_index_it_is_pinned(folder: Path) -> None:
    """And what it depends on is its own affair; local labels are left out."""
    installed(folder, "indexed", version="2.1.0+cpu")
    assert requirements("indexed.inner") == ("indexed==2.1.0",)


def test_from_files_it_is_shipped(folder: Path) -> None:
    """As for development, or from a repository; then what it imports is needed."""
    installed(folder, "developed", url="file:///home/ada/developed")
    needs = needs_of(["developed"])
    assert needs == Needs((pin("orjson"),), {"developed": folder / "developed"}, ())


def test_from_files_with_compiled_parts_it_is_pinned(folder: Path) -> None:
    """They may not run elsewhere."""
    installed(folder, "compiled", url="file:///home/ada/compiled")
    (folder / "compiled" / "fast.so").write_bytes(b"")
    assert requirements("compiled") == ("compiled==1.0",)


def test_conda_knows_where_it_built(folder: Path) -> None:
    """That is no reason to ship what an index has."""
    installed(folder, "fromconda", url="file:///croot/fromconda", by="conda")
    assert requirements("fromconda") == ("fromconda==1.0",)


def test_packages_that_share_their_first_name(folder: Path) -> None:
    """Only the one that has the module is needed."""
    for name in ("shared_one", "shared_two"):
        part = name.removeprefix("shared_")
        about = folder / f"{name}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        (about / "RECORD").write_text(f"shared/{part}/__init__.py,,\n")
        (folder / "shared" / part).mkdir(parents=True)
        (folder / "shared" / part / "__init__.py").write_text("")
    assert requirements("shared.two") == ("shared_two==1.0",)


def test_relative_and_optional_imports(folder: Path) -> None:
    """The former are followed; what is not here was not needed here."""
    inner = folder / "alone" / "inner"
    inner.mkdir(parents=True)
    (folder / "alone" / "__init__.py").write_text("")
    (folder / "alone" / "near.py").write_text("import tabulate")
    (folder / "alone" / "unused.py").write_text("import attrs")
    (inner / "__init__.py").write_text("from .. import near\nfrom .part import x")
    (inner / "part.py").write_text("try:\n  import nowhere\nexcept ImportError: x = 0")
    needs = needs_of(["alone.inner"])
    assert needs.requirements == (pin("tabulate"),)
    assert needs.folders == {"alone": folder / "alone"}


def test_the_standard_library_is_there() -> None:
    """Nothing is needed for it, nor for modules that nobody has."""
    assert needs_of(["os.path", "json", "__main__"]) == Needs((), {}, ())
    assert needs_of(["no_such_module"]).unknown == ("no_such_module",)
