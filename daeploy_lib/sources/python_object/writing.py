"""The service that is written around a Python object."""

import json
import pickle
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError
from importlib.resources import files
from pathlib import Path
from typing import Any

from daeploy_lib.errors import SourceError
from daeploy_lib.sources.ignoring import Ignoring
from daeploy_lib.sources.members import vetted_members
from daeploy_lib.sources.python_object.application import importable
from daeploy_lib.sources.python_object.kinds import is_starlette, name_of
from daeploy_lib.sources.python_object.modules import needs_of, pin
from daeploy_lib.sources.python_object.pickled import OBJECT_BYTES_MAX, pickled

_PICKLE = "object.pkl"
_SERVER = "uvicorn>=0.31"
_MAKE_IN_MODULE = "Make it in a module of its own, and import it from there."
_NO_NAME = re.compile(r"[^\w<>. -]")
_TITLES = {
    "application": "The ASGI application",
    "estimator": "The estimator",
    "function": "The function",
}
_REQUESTS = {
    "application": "It answers what the application answers.",
    "function": """\
| request | answer |
|---|---|
| `GET /` | 200 as soon as it is ready, and the signature |
| `POST /` with a JSON object of the arguments | the result, as JSON |""",
    "estimator": """\
| request | answer |
|---|---|
| `GET /` | 200 as soon as it is ready, and the features |
| `POST /predict` with `{"inputs": [row, row]}` | `{"outputs": [value, value]}` |
| `POST /predict_proba`, if it has that | probabilities, and the classes |""",
}


def written(
    value: Any, kind: str, requirements: tuple[str, ...] | None, folder: Path
) -> None:
    """
    Write the service around an object into an empty folder.

    Args:
        value: The object.
        kind: ``application``, ``estimator`` or ``function``.
        requirements: Lines for pip; None: what is found.
        folder: Where to.

    Raises:
        SourceError: If it cannot be taken to another process.
        ImportError: If cloudpickle is missing and needed.
    """
    name = name_of(value)
    imported = importable(value) if kind == "application" else None
    if imported is None:
        if kind == "application":
            content = pickled(value, name, _MAKE_IN_MODULE)
            _check_readable(content.content, name)
        else:
            content = pickled(value, name)
        (folder / _PICKLE).write_bytes(content.content)
        modules, is_pickled = content.modules, True
    else:
        modules, is_pickled = frozenset({imported[0]}), False
    found = needs_of(modules)
    missing = [m for m in found.unknown if m in modules and m in sys.modules]
    if missing:
        raise _refused(
            f"{name} needs the module {missing[0]}, which has no file that could be "
            f"shipped. Define what it needs beside it"
        )
    _ship(found.folders, folder / "modules")
    lines = found.requirements if requirements is None else requirements
    lines = _complete(lines, value, kind, is_pickled, is_found=requirements is None)
    text = "".join(f"{line}\n" for line in lines)
    (folder / "requirements.txt").write_text(text, "utf-8")
    # It stands in a docstring.
    title = f"{_TITLES[kind]} {_NO_NAME.sub('?', name)}"
    readme = _template("README.md").replace("SERVICE_TITLE", title)
    readme = readme.replace("SERVICE_REQUESTS", _REQUESTS[kind])
    (folder / "README.md").write_text(readme, "utf-8")
    if kind == "application":
        service = _application(value, imported)
    else:
        service = _object(kind, name)
    service = service.replace("SERVICE_TITLE", title)
    (folder / "service.py").write_text(service, "utf-8")


def _check_readable(content: bytes, name: str) -> None:
    """
    Read an application again; some frameworks only find out then.

    Raises:
        SourceError: If that fails.
    """
    try:
        pickle.loads(content)  # noqa: S301 - our own bytes
    except Exception as error:
        raise _refused(
            f"the application {name} was not made in a module, and cannot be read "
            f"again from a pickle ({type(error).__name__}). {_MAKE_IN_MODULE}"
        ) from error


def _application(value: Any, imported: tuple[str, str] | None) -> str:
    if imported is None:
        lines = (
            "import pickle  # noqa: E402\n\n"
            "# Other versions of Python cannot read its byte code.\n"
            f"PYTHON = (3, {sys.version_info[1]})\n"
            "if sys.version_info[:2] != PYTHON:\n"
            '    sys.exit(f"It was written by Python {PYTHON}. Run it with that.")\n'
            f'with (HERE / "{_PICKLE}").open("rb") as file:\n'
            "    application = pickle.load(file)"
        )
    else:
        module, attribute = imported
        lines = f"from {module} import {attribute} as application  # noqa: E402"
    text = _template("application.py.txt").replace("#SERVICE_APPLICATION", lines)
    return text.replace("IS_STARLETTE", str(is_starlette(value)))


def _object(kind: str, name: str) -> str:
    paths = ["/", f"/{name}"] if name.isidentifier() else ["/"]
    part = _template(f"{kind}.py.txt").strip()
    part = part.replace("SERVICE_NAME", json.dumps(name))
    part = part.replace("SERVICE_PATHS", json.dumps(paths))
    text = _template("object_service.py.txt")
    text = text.replace("PYTHON_MINOR", str(sys.version_info[1]))
    return text.replace("#SERVICE_KIND", part)


def _template(name: str) -> str:
    folder = files("daeploy_lib.sources.python_object").joinpath("templates")
    return folder.joinpath(name).read_text("utf-8")


def _complete(
    lines: tuple[str, ...], value: Any, kind: str, is_pickled: bool, *, is_found: bool
) -> tuple[str, ...]:
    """Return the requirements with what serves the object and reads the pickle."""
    wanted = set(lines)
    more = ["cloudpickle"] if is_pickled else []
    if is_found and kind == "application":
        # Which frameworks use without importing them by name.
        more += ["websockets"]
        more += ["python-multipart"] if is_starlette(value) else []
    if is_found and kind == "estimator" and "numpy" in sys.modules:
        more += ["numpy"]
        has_names = hasattr(value, "feature_names_in_")
        more += ["pandas"] if has_names and "pandas" in sys.modules else []
    wanted.update(filter(None, map(_pin_if_here, more)))
    if not any(line.startswith("uvicorn") for line in wanted):
        wanted.add(_pin_if_here("uvicorn") or _SERVER)
    return tuple(sorted(wanted))


def _pin_if_here(distribution: str) -> str:
    try:
        return pin(distribution)
    except PackageNotFoundError:
        return ""


def _ship(folders: dict[str, Path], target: Path) -> None:
    """Copy modules, without caches, environments and keys."""
    size = 0
    for name, place in sorted(folders.items()):
        target.mkdir(exist_ok=True)
        if place.is_file():
            shutil.copyfile(place, target / name)
            continue
        for member in vetted_members(place.absolute(), Ignoring()):
            path = target / name / member.path
            path.parent.mkdir(parents=True, exist_ok=True)
            size += member.size
            if size > OBJECT_BYTES_MAX:
                raise _refused(
                    f"the module {name} has more than {OBJECT_BYTES_MAX // 1024**2} "
                    f"MiB in {place}. Keep its data elsewhere"
                )
            if member.kind == "directory":
                path.mkdir(exist_ok=True)
            elif member.kind == "link":
                path.symlink_to(member.target)
            else:
                shutil.copyfile(place / member.path, path)


def _refused(why: str) -> SourceError:
    return SourceError(
        f"Cannot use this object as a source: {why.removesuffix('.')}.", stage="source"
    )
