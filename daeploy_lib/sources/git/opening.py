"""A commit, fetched and opened as a vetted build context."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import SourceError
from daeploy_lib.sources.context import Context
from daeploy_lib.sources.directory import context_of
from daeploy_lib.sources.git.explaining import refusal
from daeploy_lib.sources.git.fetching import Repository
from daeploy_lib.sources.git.source import Git
from daeploy_lib.sources.git.tree import Entry, entries_of, write_tree
from daeploy_lib.sources.members import shown
from daeploy_lib.sources.reading import open_file

# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: "less than 1024 bytes".
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_POINTER_BYTES_MAX = 1024


def open_git(git: Git, spec: Spec, tell: Callable[[str], object]) -> Context:
    """
    Return the vetted context of a commit; the caller closes it.

    Args:
        git: Which commit of which repository.
        spec: What will be run from it.
        tell: Called with a line for people before each step that takes time.

    Raises:
        SourceError: If git is not installed, the repository or the commit cannot
            be had, or what is in it cannot be a source.
    """
    try:
        temporary = TemporaryDirectory(prefix="daeploy-git-")
    except OSError as error:
        raise refusal(
            git.address, f"no temporary folder can be made: {error.strerror}"
        ) from error
    try:
        return _opened(git, spec, tell, temporary)
    except BaseException as error:
        # Nobody else would: there is no context yet that removes it.
        temporary.cleanup()
        if isinstance(error, OSError):
            raise refusal(
                git.address, f"its files cannot be written: {error.strerror}"
            ) from error
        raise


def _opened(
    git: Git,
    spec: Spec,
    tell: Callable[[str], object],
    temporary: TemporaryDirectory[str],
) -> Context:
    # Not a link to it, as the system's own temporary folder may be.
    folder = Path(temporary.name).resolve()
    repository = Repository.of(git, folder)
    address = repository.address
    repository.check_program()
    commit = repository.fetch(git, tell)
    entries = entries_of(repository, commit, git.subdirectory)
    for entry in entries:
        if entry.is_submodule:
            name = shown(os.fsdecode(entry.path))
            tell(f"Leaving out the submodule {name}: only its directory is there")
    files = "1 file" if len(entries) == 1 else f"{len(entries):,} files"
    tell(f"Writing {files} of commit {commit}")
    tree = folder / "tree"
    tree.mkdir()
    write_tree(repository, commit, entries, git.subdirectory, tree)
    # The tree is all that is needed, and the disk may be small.
    shutil.rmtree(repository.folder)
    below = f"#{git.subdirectory}" if git.subdirectory else ""
    origin = f"{address.clean}@{commit}{below}"
    root = tree / git.subdirectory
    try:
        context = context_of(root, spec, origin=origin, temporary=temporary)
    except SourceError as error:
        # The temporary folder is nowhere that anybody could look.
        error.message = error.message.replace(str(root), origin)
        raise
    _check_pointers(git, origin, root, entries, context)
    return context


def _check_pointers(
    git: Git, origin: str, root: Path, entries: tuple[Entry, ...], context: Context
) -> None:
    """Refuse what is there by name alone, unless it stays out anyway."""
    prefix = f"{git.subdirectory}/" if git.subdirectory else ""
    for entry in entries:
        path = os.fsdecode(entry.path).removeprefix(prefix)
        is_small = len(_POINTER) < entry.size <= _POINTER_BYTES_MAX
        if not (is_small and entry.is_file and context.has(path)):
            continue
        with open_file(root, path) as file:
            if file.read(len(_POINTER)) != _POINTER:
                continue
        raise SourceError(
            f"Cannot use {origin} as a source: {shown(path)} is kept in Git LFS, which "
            f"is not fetched; a pointer of {entry.size} bytes would be in its place. "
            f"Clone it with git lfs and deploy the directory, have the service load "
            f"the file, or list it in .dockerignore.",
            stage="source",
        )
