"""
pip's configuration, read as pip reads it.

pip itself need not be installed: what deploys may be an environment without it.

Source:
    https://pip.pypa.io/en/stable/topics/configuration/;
    pip, ``_internal/configuration.py`` and ``_internal/utils/appdirs.py``.
"""

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

_NAME = "pip.conf"
# Variables of pip that are no options.
_NO_OPTIONS = frozenset({"version", "help"})


def pip_configuration(
    environ: Mapping[str, str], command: str = "install"
) -> dict[str, str]:
    """
    Return the options that a command of pip would use, by their long names.

    Later files override earlier ones, the command's own section overrides
    ``[global]`` whatever the file, and ``PIP_*`` variables override both. A file
    that cannot be read counts as empty.
    """
    sections: dict[tuple[str, str], str] = {}
    for file in _files(environ):
        sections.update(_read(file))
    options: dict[str, str] = {}
    for wanted in ("global", command):
        for (section, name), value in sections.items():
            # An empty value leaves the earlier section's in force.
            if section == wanted and value:
                options[name] = value
    for variable, value in environ.items():
        name = _option(variable.removeprefix("PIP_"))
        if variable.startswith("PIP_") and value and name not in _NO_OPTIONS:
            options[name] = value
    return options


def _read(file: Path) -> Iterator[tuple[tuple[str, str], str]]:
    # Raw: a "%" in an address is no interpolation.
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(file, "utf-8")
    except (configparser.Error, UnicodeError, OSError):
        return
    for section in parser.sections():
        for name, value in parser.items(section):
            yield (section, _option(name)), value


def _option(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the files that may be there, those that override last."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    home = Path(environ.get("HOME") or Path.home())
    is_darwin = sys.platform == "darwin"
    if is_darwin:
        yield Path("/Library/Application Support/pip", _NAME)
    else:
        folders = environ.get("XDG_CONFIG_DIRS", "").strip() or "/etc/xdg"
        for folder in filter(None, folders.split(os.pathsep)):
            yield _expanded(folder, home) / "pip" / _NAME
        yield Path("/etc", _NAME)
    if not (named and Path(named).exists()):
        yield home / ".pip" / _NAME
        yield _user_folder(environ, home, is_darwin=is_darwin) / "pip" / _NAME
    yield Path(sys.prefix, _NAME)
    if named:
        yield Path(named)


def _user_folder(environ: Mapping[str, str], home: Path, *, is_darwin: bool) -> Path:
    if is_darwin:
        folder = home / "Library" / "Application Support"
        return folder if (folder / "pip").is_dir() else home / ".config"
    folder_name = environ.get("XDG_CONFIG_HOME", "").strip()
    return _expanded(folder_name, home) if folder_name else home / ".config"


def _expanded(folder: str, home: Path) -> Path:
    return home / folder[2:] if folder.startswith("~/") else Path(folder)
