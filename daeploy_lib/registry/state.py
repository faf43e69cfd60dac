"""The state directory: where it is, and which registry lives in it."""

import contextlib
import hashlib
import os
import platform
import secrets
from pathlib import Path

import platformdirs

from daeploy_lib.errors import StateError

DATABASE = "registry.sqlite"
# One byte for each acknowledged commit; see reader.py.
COMMITS = "registry.commits"
_IDENTITY = "registry.id"
_MARK_KEY = "router.key"
_MARK_KEY_BYTES = 32


def state_directory(state: str | os.PathLike[str] | None = None) -> Path:
    """
    Return the absolute state directory; nothing is created.

    Args:
        state: The directory; by default ``$DAEPLOY_STATE``, and without it the
            user's state directory of the operating system.
    """
    chosen = state or os.environ.get("DAEPLOY_STATE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_state_path("daeploy", appauthor=False).absolute()


def prepare(directory: Path) -> None:
    """
    Create the state directory if needed, for this user only.

    Raises:
        StateError: If it cannot be created or is no directory.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StateError(
            str(directory),
            f"The state directory cannot be used: {error.strerror}. Name another "
            f"with Deployer(state=...) or $DAEPLOY_STATE.",
        ) from error


def registry_id(directory: Path) -> str:
    """
    Return the id under which this directory's services are labelled.

    It is derived from host and path, so that it is the same again when the
    directory was deleted, and kept in a file, so that it stays the same when
    the host is renamed or the directory is mounted elsewhere.

    Raises:
        StateError: If the file cannot be read or written.
    """
    path = directory / _IDENTITY
    try:
        kept = path.read_text("ascii").strip() if path.exists() else ""
        if kept:
            return kept
        place = f"{platform.node()}\0{directory.resolve()}"
        identity = hashlib.sha256(place.encode()).hexdigest()[:16]
        # Racing writers write the same bytes.
        path.write_text(identity + "\n", "ascii")
    except (OSError, UnicodeError) as error:
        raise StateError(str(path), f"The file cannot be used: {error}.") from error
    return identity


def mark_key(directory: Path) -> bytes:
    """
    Return the secret that all routers of this directory mark copies with.

    Where it cannot be kept, each caller gets one of its own: copies are still
    told from forgeries, but not recognised by another router.
    """
    path = directory / _MARK_KEY
    try:
        if not path.exists():
            _keep_key(path)
        key = path.read_bytes()
    except OSError:
        key = b""
    # One that was cut short, or emptied, could be guessed.
    is_whole = len(key) == _MARK_KEY_BYTES
    return key if is_whole else secrets.token_bytes(_MARK_KEY_BYTES)


def _keep_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    making = path.with_name(f"{_MARK_KEY}.{secrets.token_hex(4)}")
    descriptor = os.open(making, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(_MARK_KEY_BYTES))
        # Of several routers that begin at once, the first one's key stays.
        with contextlib.suppress(FileExistsError):
            os.link(making, path)
    finally:
        os.close(descriptor)
        making.unlink()
