"""The project that ``Deployer.init`` writes."""

import errno
import os
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path

from daeploy_lib.domain.names import check_name

# Somebody else was faster.
_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR})
_PLACEHOLDER = "SERVICE_NAME"
# Kept under another name in the package, where tools would take it for theirs.
_NAMES = {
    "dockerignore": ".dockerignore",
    "service.py.txt": "service.py",
    "test_service.py.txt": "test_service.py",
}


def write_project(name: str, directory: str | os.PathLike[str] = ".") -> Path:
    """
    Write a small service that deploys as it is; return its directory.

    It appears as a whole or not at all.

    Args:
        name: The service's name, and the name of the new directory.
        directory: Where the new directory is made.

    Raises:
        ValueError: If the name is not allowed.
        FileExistsError: If the directory exists and is not empty.
    """
    target = Path(directory).expanduser() / check_name(name)
    if os.path.lexists(target) and not _is_empty_directory(target):
        raise _exists(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=target.parent))
    try:
        _write_files(making, name)
        making.chmod(0o755)
        # Takes the place of an empty directory, and of nothing else.
        making.rename(target)
    except BaseException as error:
        shutil.rmtree(making, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in _TAKEN:
            raise _exists(target) from None
        raise
    return target


def _is_empty_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def _exists(target: Path) -> FileExistsError:
    return FileExistsError(
        f"{target} exists and is not an empty directory; nothing was written. Choose "
        f"another name or directory."
    )


def _write_files(folder: Path, name: str) -> None:
    for template in files("daeploy_lib.sources").joinpath("scaffold").iterdir():
        text = template.read_text("utf-8").replace(_PLACEHOLDER, name)
        file = folder / _NAMES.get(template.name, template.name)
        file.write_text(text, "utf-8")
