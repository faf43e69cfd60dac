"""
Virtual environments: one for all versions that need the same packages.

Installing is what takes long, and versions of a service mostly need what the one before
needed. What stands for itself is therefore shared, by its content; what refers to files
of the service is installed for that one build.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

from daeploy_lib import interruption
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import BuildError
from daeploy_lib.runtimes.base import Event, OnEvent
from daeploy_lib.runtimes.process.folders import Folders, make
from daeploy_lib.runtimes.process.settings import Settings
from daeploy_lib.runtimes.shield import uninterrupted
from daeploy_lib.sources.pip_configuration import pip_configuration
from daeploy_lib.sources.requirements import REQUIREMENTS, Packages

_MINDED = Path(__file__).with_name("minded.py")
_COMPLETE = "daeploy-complete"
_LAST_LINES = 50
_PIP = ("-m", "pip", "install", "--disable-pip-version-check", "--no-input")

# Options of pip, what uv calls them, and what it wants between several values.
_UV_VARIABLES = (
    ("index-url", "UV_DEFAULT_INDEX", " "),
    ("extra-index-url", "UV_INDEX", " "),
    ("find-links", "UV_FIND_LINKS", ","),
    ("trusted-host", "UV_INSECURE_HOST", " "),
)


class Environments:
    """
    Makes them, and removes those that nobody uses.

    Args:
        folders: Where they are.
        settings: Of the runtime.
    """

    def __init__(self, folders: Folders, settings: Settings) -> None:
        self._folders = folders
        self._settings = settings
        self._uv = shutil.which("uv") if settings.uses_uv else None

    def key(self, packages: Packages, build: str) -> str:
        """
        Return the name of the environment that a build needs.

        Args:
            packages: What is installed.
            build: Id of the build.
        """
        if packages.in_content is not None:
            return build
        # One interpreter has many names: those of its own virtual environments too.
        python = str(self._settings.python.resolve())
        fields = (sys.version, python, packages.requirements or b"")
        return hashlib.sha256(repr(fields).encode()).hexdigest()[:24]

    def path(self, key: str) -> Path:
        """Return where an environment is."""
        return self._folders.packages / key

    def ensure(
        self, key: str, packages: Packages, content: Path, spec: Spec, on_event: OnEvent
    ) -> None:
        """
        Make an environment, unless it is there.

        Args:
            key: Its name.
            packages: What is installed.
            content: The service's files.
            spec: What it is for; errors tell.
            on_event: Told of each line.

        Raises:
            BuildError: With the last lines of the installer's output.
        """
        place = self.path(key)
        make(self._folders.packages)
        with self._folders.locked(f"lock-{key}"):
            if (place / _COMPLETE).exists():
                on_event(Event("build", "Using packages that are installed already"))
                return
            self._folders.remove(place)  # what a crash has left
            try:
                self._make(place, packages, content, spec, on_event)
                (place / _COMPLETE).touch()
            except BaseException:
                self._folders.remove(place)
                raise

    def remove(self, key: str) -> None:
        """Remove an environment."""
        with self._folders.locked(f"lock-{key}"):
            self._folders.remove(self.path(key))

    def _make(
        self,
        place: Path,
        packages: Packages,
        content: Path,
        spec: Spec,
        on_event: OnEvent,
    ) -> None:
        arguments = _arguments(content.parent, packages)
        # Where the paths in the arguments begin.
        directory = content if packages.in_content else content.parent
        for words in self._steps(place, arguments):
            run = _Run(spec, directory, self._settings.build_timeout)
            for line in run.lines(words, self._variables()):
                on_event(Event("build", line))

    def _steps(self, place: Path, arguments: list[str]) -> Iterator[list[str]]:
        python, settings = place / "bin" / "python", self._settings
        if self._uv is not None:
            yield [self._uv, "venv", "--python", str(settings.python), str(place)]
            if arguments:
                words = [self._uv, "pip", "install", "--python", str(python)]
                yield [*words, *arguments]
            return
        bare = [] if arguments else ["--without-pip"]
        yield [str(settings.python), "-m", "venv", *bare, str(place)]
        if arguments:
            yield [str(python), *_PIP, "--progress-bar", "off", *arguments]

    def _variables(self) -> Mapping[str, str]:
        variables = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
        # An installer that thinks it is in another environment installs there.
        for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PIP_TARGET"):
            variables.pop(name, None)
        # What is said to uv itself counts for more.
        return variables if self._uv is None else {**_uv_variables(), **variables}


def _arguments(build: Path, packages: Packages) -> list[str]:
    """Return what the installer is told to install; nothing if there is nothing."""
    if packages.requirements is not None:
        (build / REQUIREMENTS).write_bytes(packages.requirements)
        return ["-r", REQUIREMENTS]
    return packages.in_content.split() if packages.in_content else []


def _uv_variables() -> dict[str, str]:
    """Return pip's options for uv, which reads none; not as words that ``ps`` shows."""
    options = pip_configuration(os.environ)
    variables = {
        variable: between.join(options[name].split())
        for name, variable, between in _UV_VARIABLES
        if options.get(name, "").split()
    }
    if "UV_INDEX" in variables:
        # To pip a version is as good from any index; uv asks the first one only.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if options.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        variables["UV_NO_INDEX"] = "1"
    if options.get("pre", "").lower() in ("1", "true", "yes", "on"):
        variables["UV_PRERELEASE"] = "allow"
    if "cert" in options:
        variables["SSL_CERT_FILE"] = options["cert"]
    return variables


class _Run:
    """One program of the installation, which ends with us."""

    def __init__(self, spec: Spec, directory: Path, timeout: float) -> None:
        self._spec = spec
        self._directory = directory
        self._timeout = timeout
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._is_late = False

    def lines(self, words: list[str], variables: Mapping[str, str]) -> Iterator[str]:
        """
        Yield its lines of output as they come.

        Raises:
            BuildError: If it fails, or takes too long.
        """
        started: list[subprocess.Popen[str]] = []
        timer = threading.Timer(self._timeout, self._late, [started])
        timer.daemon = True
        try:
            uninterrupted(lambda: started.append(self._started(words, variables)))
            timer.start()
            [program] = started
            with interruption.ended_by(lambda: _kill(program)):
                for line in program.stdout or ():
                    text = line.rstrip()
                    if text:
                        self._last.append(text)
                        yield text
                program.wait()
        finally:
            timer.cancel()
            for one in started:
                _end(one)
        if self._is_late:
            raise self._error(f"it took longer than {self._timeout:g} s")
        if program.returncode:
            raise self._error("its packages cannot be installed", program.returncode)

    def _started(
        self, words: list[str], variables: Mapping[str, str]
    ) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603 - words of our own
            [sys.executable, "-P", str(_MINDED), *words],
            cwd=self._directory,
            env=variables,
            # Whose end is that of the program: it ends with us, by SIGKILL too.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def _late(self, started: "list[subprocess.Popen[str]]") -> None:
        self._is_late = True
        for program in started:
            _kill(program)

    def _error(self, what: str, code: int | None = None) -> BuildError:
        spec = self._spec
        lines = tuple(self._last)
        words = f": {lines[-1]}" if lines else ""
        return BuildError(
            f"It cannot be built: {what}{words}.",
            spec.name,
            spec.version,
            "build",
            code,
            log_lines=lines,
        )


def _kill(program: "subprocess.Popen[str]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)


def _end(program: "subprocess.Popen[str]") -> None:
    """Leave nothing of a program that may still run."""
    if program.poll() is None:
        _kill(program)
        program.wait()
    for pipe in (program.stdin, program.stdout):
        if pipe is not None:
            pipe.close()
