"""One commit of a repository, fetched into an empty one."""

import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from daeploy_lib.sources.git.address import Address
from daeploy_lib.sources.git.environment import for_fetching, for_writing
from daeploy_lib.sources.git.explaining import failed, late, refusal
from daeploy_lib.sources.git.program import (
    Done,
    GitMissingError,
    OutOfTimeError,
    OutputError,
    Program,
)
from daeploy_lib.sources.git.refs import Refs, UnknownRefError, is_whole, refs_of
from daeploy_lib.sources.git.source import Git
from daeploy_lib.sources.members import BYTES_MAX

# GIT_CONFIG_GLOBAL is obeyed since then.
_OLDEST = (2, 32)
_VERSION = re.compile(rb"git version (\d+)\.(\d+)")
# What is fetched when the server gives no commit but those with a name.
_EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_NOT_ALONE = re.compile(
    r"unadvertised object|not our ref|remote ref|shallow|depth|upload-pack: "
)
# No template: the user's may hold hooks.
_INIT = ("init", "--quiet", "--bare", "--template=")
_FETCH = (
    "fetch",
    "--progress",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-recurse-submodules",
    "--no-auto-maintenance",
)


@attrs.frozen
class Repository:
    """
    The repository that is fetched into, and the git that does it.

    Args:
        address: Where it is fetched from.
        folder: Where it is; removed by the one who made it.
        program: What is run.
    """

    address: Address
    folder: Path
    program: Program

    @classmethod
    def of(cls, git: Git, folder: Path) -> "Repository":
        """
        Return the one for a source.

        Raises:
            SourceError: If its address is relative to a directory that is gone.
        """
        program = Program(folder, git.timeout, time.monotonic() + git.timeout)
        return cls(git.address.absolute(), folder / "repository.git", program)

    def check_program(self) -> None:
        """
        Do nothing if a git is installed that can be used.

        Raises:
            SourceError: If none is.
        """
        done = self._run(["--version"], for_writing())
        found = _VERSION.match(done.output)
        if done.code or found is None:
            raise failed(self.address, done)
        version = int(found[1]), int(found[2])
        if version < _OLDEST:
            raise refusal(
                self.address,
                f"the installed git is {version[0]}.{version[1]}, and "
                f"{_OLDEST[0]}.{_OLDEST[1]} or newer is needed. Update it",
            )

    def fetch(self, git: Git, tell: Callable[[str], object]) -> str:
        """
        Fetch the commit that is meant; return all digits of it.

        Raises:
            SourceError: If there is no such repository or commit, or it cannot be
                had.
        """
        shown = self.address.clean
        tell(f"Asking {shown} for {git.ref}")
        refs = self._refs(git)
        try:
            commit = refs.find(git.ref)
        except UnknownRefError as error:
            raise refusal(self.address, str(error)) from None
        self._initialise(refs)
        if commit:
            tell(f"Fetching commit {commit} of {shown}")
            done = self._fetched([commit], "--depth=1")
            if done.code == 0:
                return self._commit(commit, git.ref)
            if not _NOT_ALONE.search(done.errors):
                raise failed(self.address, done)
        tell(f"Fetching all of {shown}, to find commit {commit or git.ref}")
        done = self._fetched(_EVERYTHING)
        if done.code:
            raise failed(self.address, done)
        return self._commit(commit or git.ref.lower(), git.ref)

    def ask(
        self, *arguments: str, folder: Path | None = None, stdin: Path | None = None
    ) -> Done:
        """
        Run git on what was fetched, without anybody's configuration.

        Raises:
            SourceError: If git takes too long, or prints too much.
        """
        environment = {**for_writing(), "GIT_DIR": str(self.folder)}
        if folder is not None:
            environment["GIT_WORK_TREE"] = str(folder)
        return self._run(arguments, environment, folder=folder, stdin=stdin)

    def _refs(self, git: Git) -> Refs:
        path = self.address.path
        if path is not None and not os.path.lexists(path):
            raise refusal(self.address, "it does not exist")
        done = self._run(
            ["ls-remote", "--quiet", "--", self.address.clean],
            for_fetching(self.address),
        )
        if done.code:
            raise failed(self.address, done)
        refs = refs_of(done.output)
        if not refs.commits and not is_whole(git.ref):
            raise refusal(self.address, "it is empty: it has no commit yet. Push one")
        return refs

    def _initialise(self, refs: Refs) -> None:
        kind = "sha256" if refs.is_sha256 else "sha1"
        done = self._run(
            [*_INIT, f"--object-format={kind}", "--", str(self.folder)],
            for_writing(),
        )
        if done.code:
            raise failed(self.address, done)

    def _fetched(self, wanted: Sequence[str], *options: str) -> Done:
        return self._run(
            [*_FETCH, *options, "--", self.address.clean, *wanted],
            {**for_fetching(self.address), "GIT_DIR": str(self.folder)},
            look=self._check_size,
        )

    def _commit(self, digits: str, ref: str) -> str:
        """Return the commit of some digits, or of the tag with these."""
        named = f"{digits}^{{commit}}"
        done = self.ask("rev-parse", "--verify", "--end-of-options", named)
        if done.code and "ambiguous" in done.errors:
            raise refusal(
                self.address, f"several commits begin with {ref}. Name more digits"
            )
        if done.code:
            raise refusal(self.address, _no_commit(ref))
        return done.output.decode("ascii").strip()

    def _check_size(self) -> None:
        size = 0
        for place, _, files in os.walk(self.folder):
            for file in files:
                try:
                    size += os.lstat(os.path.join(place, file)).st_size  # noqa: PTH118
                except FileNotFoundError:
                    continue  # git has renamed it
        if size > BYTES_MAX:
            raise refusal(
                self.address,
                f"it has more than {BYTES_MAX // 1024**3} GiB. Name a smaller one",
            )

    def _run(
        self,
        arguments: Sequence[str],
        environment: dict[str, str],
        *,
        folder: Path | None = None,
        stdin: Path | None = None,
        look: Callable[[], None] = lambda: None,
    ) -> Done:
        try:
            return self.program.run(
                arguments, environment, folder=folder, stdin=stdin, look=look
            )
        except GitMissingError:
            raise refusal(
                self.address,
                "the program git is not installed, or not on the PATH. Install it, "
                "such as with apt-get install git",
            ) from None
        except OutOfTimeError as error:
            raise late(self.address, error) from None
        except OutputError:
            raise refusal(
                self.address, "it lists more names than anybody would have in it"
            ) from None


def _no_commit(ref: str) -> str:
    return (
        f"it has no commit {ref}, or gives it to nobody. Check the digits, or name a "
        f"branch or a tag"
    )
