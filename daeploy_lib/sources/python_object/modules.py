"""
What the modules that an object needs come from: packages, or files of one's own.

A package from an index is named, with its version, and installed again. Files
that no index has, such as the modules beside a notebook or a project installed
for development, are shipped as they are on disk.
"""

import ast
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path

import attrs

# Of ours, which is in no list but written into the service.
_OWN = {"__main__", "__mp_main__", "cloudpickle", "uvicorn", ""}


@attrs.frozen
class Needs:
    """
    What modules need.

    Attributes:
        requirements: Lines for pip, sorted.
        folders: Directories and files to ship, by their name below the root
            of imports.
        unknown: Modules that are neither, and without files.
    """

    requirements: tuple[str, ...]
    folders: dict[str, Path]
    unknown: tuple[str, ...]


def needs_of(modules: Iterable[str]) -> Needs:
    """Return what some modules need, and the modules that they import."""
    distributions = importlib.metadata.packages_distributions()
    waiting = sorted(set(modules), reverse=True)
    seen: set[str] = set()
    requirements, unknown = set(), set()
    folders: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in seen or top in _OWN or top in sys.stdlib_module_names:
            continue
        seen.add(name)
        place = _place(top)
        if place is None:
            unknown.add(name)
            continue
        pins = [p for d in distributions.get(top, []) if (p := pin(d, place))]
        if pins:
            requirements.update(_of_module(name, pins, distributions[top]))
            continue
        folders[place.name] = place
        waiting += [each for file in _files(place, name) for each in _imports(*file)]
    return Needs(tuple(sorted(requirements)), folders, tuple(sorted(unknown)))


def pin(distribution: str, place: Path | None = None) -> str:
    """
    Return the line that installs a distribution as it is here.

    Args:
        distribution: Its name.
        place: The files of a package of it, if they could be shipped.

    Returns:
        "" if it was installed from files and can be shipped instead.
    """
    found = importlib.metadata.distribution(distribution)
    if place is not None and _is_from_files(found) and not _has_compiled(place):
        return ""
    # "+cpu" and the like are of one machine; "==2.1" takes them as well.
    return f"{found.metadata['Name']}=={found.version.partition('+')[0]}"


def _place(top: str) -> Path | None:
    """Return the file or the directory of a module that is not in another."""
    spec = _spec(top)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    is_file = spec.origin is not None and spec.has_location
    return Path(str(spec.origin)) if is_file else None


def _spec(top: str) -> ModuleSpec | None:
    loaded = getattr(sys.modules.get(top), "__spec__", None)
    if isinstance(loaded, ModuleSpec):
        return loaded
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None


def _is_from_files(found: importlib.metadata.Distribution) -> bool:
    """Return whether a distribution was installed from a directory or an archive."""
    # conda writes the place where it built a package, and an index has it too.
    if (found.read_text("INSTALLER") or "").strip() == "conda":
        return False
    try:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        return False
    return bool(origin.get("url"))


def _has_compiled(place: Path) -> bool:
    if place.is_file():
        return place.name.endswith(tuple(EXTENSION_SUFFIXES))
    return any(any(place.rglob(f"*{suffix}")) for suffix in EXTENSION_SUFFIXES)


def _of_module(name: str, pins: list[str], distributions: list[str]) -> list[str]:
    """Return those that a module is in, of all that share its first name."""
    if len(set(pins)) == 1:
        return pins[:1]
    start = name.replace(".", "/")
    found = [
        pin(distribution)
        for distribution in distributions
        for file in importlib.metadata.files(distribution) or ()
        if str(file).startswith((f"{start}/", f"{start}."))
    ]
    return found or pins


def _files(place: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Yield the files that are run when a module is imported, and their package."""
    if place.is_file():
        yield place, ""
        return
    folder, package = place, name.partition(".")[0]
    parts = name.split(".")[1:]
    while True:
        if (folder / "__init__.py").is_file():
            yield folder / "__init__.py", package
        if not parts:
            return
        part = parts.pop(0)
        if not (folder / part).is_dir():
            if (folder / f"{part}.py").is_file():
                yield folder / f"{part}.py", package
            return
        folder, package = folder / part, f"{package}.{part}"


def _imports(file: Path, package: str) -> Iterator[str]:
    """Yield the modules that a file may import, wherever in it."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                parent = ".".join([*above, *filter(None, [node.module])])
            yield parent
            yield from (f"{parent}.{alias.name}" for alias in node.names)
