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
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from daeploy_lib.domain.pickling import reduced
from daeploy_lib.sources import host_packages
from daeploy_lib.sources.requirements import (
    REQUIREMENTS,
    Content,
    Packages,
    packages_of,
)

BASE_VARIABLE = "DAEPLOY_BASE_IMAGE"
# A user without rights and without an entry in the image.
USER = "10001:10001"
# Where the service's files are in the context, apart from ours.
CONTENT = "content"
DOCKERFILE = "Dockerfile"
_CARRIER = "FTP_PROXY"
_CA_FILE = "ca.pem"
# Linux hands a program at most 128 KiB in one variable.
_CARRIED_MAX = 96 * 1024
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*")
_OPTION = re.compile(r"[a-z][a-z0-9-]*")
_VARIABLE = re.compile(r"[A-Za-z_]+")

# Debian calls it python3 only. A base may have another user than root.
_MAKE_VENV = (
    "USER 0:0",
    'RUN "$(command -v python3 || command -v python)" -m venv /opt/venv',
)
# pip is not asked to prompt for a password, nor to draw a progress bar.
_INSTALL = (
    "RUN set -eu;"
    ' printf %s "${FTP_PROXY:-}" | base64 -d > /dev/shm/pip.conf;'
    " unset FTP_PROXY ftp_proxy;"
    " PIP_CONFIG_FILE=/dev/shm/pip.conf PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1"
    " /opt/venv/bin/python -m pip install --no-cache-dir --progress-bar off "
)
_OURS = "/tmp/daeploy"  # noqa: S108 - in a stage of the image
_HOME = "/app"
# What a service finds in an image without a PATH of its own, such as an import.
_USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _names_only(options: Mapping[str, Any]) -> str:
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

    files: Mapping[str, bytes] = attrs.field(repr=_names_only)
    under: str
    build_args: Mapping[str, str] = attrs.field(repr=_names_only)


def _default_base() -> str:
    return os.environ.get(BASE_VARIABLE) or f"python:3.{sys.version_info[1]}-slim"


def _texts(values: Mapping[Any, Any], what: str, name: re.Pattern[str]) -> None:
    """
    Check the names and types of options; values stay out of every message.

    Raises:
        TypeError, ValueError: If one is not as it should be.
    """
    for key, value in values.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"{what} is a mapping from text to text; see {key!r}.")
        if not name.fullmatch(key):
            raise ValueError(
                f"Invalid name {key!r} in {what}. Allowed: {name.pattern}."
            )


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
        ValueError: If the base is no name of an image, an option has no name of
            one, the certificates hold a private key, or the options together
            are longer than 70 KiB.
        TypeError: If an option is no text.

    Example:
        >>> PythonImage("python:3.12-slim").base
        'python:3.12-slim'
    """

    base: str = attrs.field(
        factory=_default_base, validator=attrs.validators.instance_of(str)
    )
    pip_options: Mapping[str, str] = attrs.field(
        factory=dict, converter=_frozen_options, repr=_names_only
    )
    ca_certificates: bytes | None = attrs.field(default=None, repr=False)
    proxies: Mapping[str, str] = attrs.field(
        factory=dict, converter=_frozen_options, repr=_names_only
    )

    def __attrs_post_init__(self) -> None:
        if not _IMAGE.fullmatch(self.base):
            raise ValueError(
                f"Invalid base image {self.base!r}. Allowed: the name of an image, "
                f"such as 'python:3.12-slim', here or in {BASE_VARIABLE}."
            )
        _texts(self.pip_options, "pip_options", _OPTION)
        _texts(self.proxies, "proxies", _VARIABLE)
        if b"PRIVATE KEY" in (self.ca_certificates or b""):
            raise ValueError("ca_certificates holds a private key; leave it out.")
        if len(self._carried()) > _CARRIED_MAX:
            raise ValueError("pip_options are too long: at most 70 KiB together.")

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return reduced(self)

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
        packages = packages_of(content)
        if packages.requirements is not None:
            files[REQUIREMENTS] = packages.requirements
        if self.ca_certificates is not None and packages != Packages():
            files[_CA_FILE] = self.ca_certificates
        files[DOCKERFILE] = self._dockerfile(packages, _CA_FILE in files).encode()
        return Build(files, CONTENT, {**self.proxies, _CARRIER: self._carried()})

    def _dockerfile(self, packages: Packages, has_certificates: bool) -> str:
        """
        Return the Dockerfile; the service's own files come last.

        A stage of its own installs, so that certificates and build tools stay
        out of the image, and a change of the code installs nothing again.
        """
        lines = [f"FROM {self.base} AS packages", *_MAKE_VENV]
        if has_certificates:
            lines.append(f"COPY {_CA_FILE} {_OURS}/{_CA_FILE}")
        if packages.requirements is not None:
            lines.append(f"COPY {REQUIREMENTS} {_OURS}/{REQUIREMENTS}")
            lines.append(f"{_INSTALL}-r {_OURS}/{REQUIREMENTS}")
        if packages.in_content is not None:
            # Where it will be in the end: "-e ." remembers the path.
            lines.append(f"COPY {CONTENT} {_HOME}")
            lines.append(f"WORKDIR {_HOME}")
            lines.append(_INSTALL + packages.in_content)
        lines += [
            f"FROM {self.base}",
            "COPY --from=packages /opt/venv /opt/venv",
            f"ENV PATH=/opt/venv/bin:${{PATH:-{_USUAL_PATH}}}",
            # Its user has no home, and the root can only be read.
            "ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp",
            "ENV HOST=0.0.0.0 PORT=8000",
            f"WORKDIR {_HOME}",
            f"COPY {CONTENT} {_HOME}",
            f"USER {USER}",
            # A base may have one that takes our command for arguments.
            "ENTRYPOINT []",
            'CMD ["/opt/venv/bin/python", "service.py"]',
        ]
        return "\n".join(lines) + "\n"

    def _carried(self) -> str:
        """Return pip's configuration as the builder carries it."""
        options = dict(self.pip_options)
        if self.ca_certificates is not None:
            options["cert"] = f"{_OURS}/{_CA_FILE}"
        lines = ["[global]"]
        for name, value in sorted(options.items()):
            lines.append(f"{name} = " + "\n    ".join(value.splitlines()))
        return base64.b64encode("\n".join(lines).encode()).decode()
