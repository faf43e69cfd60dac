"""
The image for a directory without a Dockerfile: Python, packages, the service.

The configuration of the package index may hold a password, and must end in no
layer, no history and no cache of the engine. The classic builder has one channel
that leads to neither: the values of its *predefined* build arguments. So pip's
configuration travels as ``FTP_PROXY``, and lives during the installation in a
file in memory.

Source:
    https://docs.docker.com/reference/dockerfile/#predefined-args: "excluded
    from the output of docker history" and "not affecting the build cache".
"""

import base64
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import attrs

from daeploy_lib.errors import SourceError
from daeploy_lib.sources import host_packages

BASE_VARIABLE = "DAEPLOY_BASE_IMAGE"
# A user without rights and without an entry in the image.
USER = "10001:10001"
# Where the service's files are in the context, apart from ours.
CONTENT = "content"
DOCKERFILE = "Dockerfile"
_CARRIER = "FTP_PROXY"
_CA_FILE = "ca.pem"
_REQUIREMENTS = "requirements.txt"
# Linux hands a program at most 128 KiB in one variable.
_CARRIED_MAX = 96 * 1024
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*")

# Debian calls it python3 only.
_MAKE_VENV = 'RUN "$(command -v python3 || command -v python)" -m venv /opt/venv'
_INSTALL = (
    "RUN set -eu;"
    ' printf %s "${FTP_PROXY:-}" | base64 -d > /dev/shm/pip.conf;'
    " unset FTP_PROXY ftp_proxy;"
    " PIP_CONFIG_FILE=/dev/shm/pip.conf PIP_DISABLE_PIP_VERSION_CHECK=1"
    " /opt/venv/bin/python -m pip install --no-cache-dir "
)
_OURS = "/tmp/daeploy"  # noqa: S108 - in a stage of the image
# Requirements that name other files of the content.
_NAMES_FILES = re.compile(
    rb"^\s*(-r|--requirement|-c|--constraint|-e|--editable|\.|/|file:)|@\s*file:",
    re.MULTILINE,
)


class Content(Protocol):
    """What the image asks of a build context."""

    def read(self, path: str) -> bytes | None:
        """Return the content of a small file; None if it is not there."""
        ...


def _names_only(options: Mapping[str, str]) -> str:
    return repr(sorted(options))


@attrs.frozen
class Build:
    """
    How a context becomes an image.

    Attributes:
        files: Files to add at the top of the context, the Dockerfile included.
        under: Directory of the context that the content is put in.
        build_args: Values for the builder that end nowhere.
    """

    files: Mapping[str, bytes]
    under: str
    build_args: Mapping[str, str] = attrs.field(repr=_names_only)


def _default_base() -> str:
    return os.environ.get(BASE_VARIABLE) or f"python:3.{sys.version_info[1]}-slim"


def _frozen_options(options: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(options))


@attrs.frozen
class PythonImage:
    """
    How directories without a Dockerfile are built.

    Args:
        base: The image to begin with; it has Python 3 with ``venv`` and pip. By
            default ``$DAEPLOY_BASE_IMAGE``, and without it
            ``python:3.X-slim`` of this Python's version.
        pip_options: Options of pip by their long names without ``--``, such as
            ``{"index-url": "https://…"}``. They serve the installation only.
        ca_certificates: PEM certificates that pip shall trust; None: its own.
        proxies: ``HTTP_PROXY`` and the like, for the installation only.

    Raises:
        ValueError: If the base is no name of an image.

    Example:
        >>> PythonImage("python:3.12-slim").base
        'python:3.12-slim'
    """

    base: str = attrs.field(factory=_default_base)
    pip_options: Mapping[str, str] = attrs.field(
        factory=dict, converter=_frozen_options, repr=_names_only
    )
    ca_certificates: bytes | None = attrs.field(default=None, repr=False)
    proxies: Mapping[str, str] = attrs.field(
        factory=dict, converter=_frozen_options, repr=_names_only
    )

    def __attrs_post_init__(self) -> None:
        if not _IMAGE.fullmatch(self.base):
            raise ValueError(f"Invalid base image {self.base!r}.")

    @classmethod
    def from_host(cls, base: str | None = None) -> "PythonImage":
        """
        Return the image that installs as this host does.

        pip's index options, its certificates and the proxies are taken over;
        paths of this machine are not.
        """
        return cls(
            base=base or _default_base(),
            pip_options=host_packages.pip_options(),
            ca_certificates=host_packages.ca_certificates(),
            proxies=host_packages.proxies(),
        )

    def build(self, content: Content) -> Build:
        """
        Return how a context is built into this image.

        Raises:
            SourceError: If its ``pyproject.toml`` cannot be read.
        """
        files = {}
        if self.ca_certificates is not None:
            files[_CA_FILE] = self.ca_certificates
        packages = _packages(content)
        if packages.requirements is not None:
            files[_REQUIREMENTS] = packages.requirements
        files[DOCKERFILE] = self._dockerfile(packages).encode()
        return Build(files, CONTENT, self._build_args())

    def _dockerfile(self, packages: "_Packages") -> str:
        """
        Return the Dockerfile; the service's own files come last.

        A stage of its own installs, so that certificates and build tools stay
        out of the image, and a change of the code installs nothing again.
        """
        lines = [f"FROM {self.base} AS packages", _MAKE_VENV]
        if self.ca_certificates is not None:
            lines.append(f"COPY {_CA_FILE} {_OURS}/{_CA_FILE}")
        if packages.requirements is not None:
            lines.append(f"COPY {_REQUIREMENTS} {_OURS}/{_REQUIREMENTS}")
            lines.append(f"{_INSTALL}-r {_OURS}/{_REQUIREMENTS}")
        if packages.in_content is not None:
            lines.append(f"COPY {CONTENT} {_OURS}/{CONTENT}")
            lines.append(f"WORKDIR {_OURS}/{CONTENT}")
            lines.append(_INSTALL + packages.in_content)
        path = "/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
        lines += [
            f"FROM {self.base}",
            "COPY --from=packages /opt/venv /opt/venv",
            f"ENV PATH={path}:/sbin:/bin",
            "ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 PORT=8000",
            "WORKDIR /app",
            f"COPY {CONTENT} /app",
            f"USER {USER}",
            'CMD ["/opt/venv/bin/python", "service.py"]',
        ]
        return "\n".join(lines) + "\n"

    def _build_args(self) -> dict[str, str]:
        options = dict(self.pip_options)
        if self.ca_certificates is not None:
            options["cert"] = f"{_OURS}/{_CA_FILE}"
        lines = ["[global]"]
        for name, value in sorted(options.items()):
            lines.append(f"{name} = " + "\n    ".join(value.split("\n")))
        carried = base64.b64encode("\n".join(lines).encode()).decode()
        if len(carried) > _CARRIED_MAX:
            raise ValueError("pip_options are too long to be handed to the builder.")
        return {**self.proxies, _CARRIER: carried}


@attrs.frozen
class _Packages:
    """
    What is installed.

    Attributes:
        requirements: Of a file that stands for itself.
        in_content: pip's arguments for what needs the content beside it.
    """

    requirements: bytes | None = None
    in_content: str | None = None


def _packages(content: Content) -> _Packages:
    requirements = content.read(_REQUIREMENTS)
    if requirements is None:
        return _of_project(content.read("pyproject.toml"))
    if _NAMES_FILES.search(requirements):
        return _Packages(in_content=f"-r {_REQUIREMENTS}")
    return _Packages(requirements)


def _of_project(pyproject: bytes | None) -> _Packages:
    """Return a project's dependencies, then the project itself."""
    if pyproject is None:
        return _Packages()
    try:
        project = tomllib.loads(pyproject.decode()).get("project")
        if project is None:
            return _Packages()
        requirements = [str(line) for line in project.get("dependencies", [])]
    except (tomllib.TOMLDecodeError, UnicodeError, AttributeError, TypeError) as error:
        raise SourceError(
            f"Its pyproject.toml cannot be read: {error}", stage="source"
        ) from error
    return _Packages("\n".join([*requirements, ""]).encode(), ".")
