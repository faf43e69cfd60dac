"""Where the engine is: an argument, ``DOCKER_HOST``, the CLI's context, or default."""

import hashlib
import ipaddress
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import attrs

DEFAULT_URL = "unix:///var/run/docker.sock"
_SCHEMES = ("unix", "tcp", "http", "https", "ssh", "npipe")


@attrs.frozen
class TlsFiles:
    """Paths of certificates for an engine behind TLS; None where there is none."""

    ca: str | None
    cert: str | None
    key: str | None
    is_verified: bool


@attrs.frozen
class Endpoint:
    """
    The address of an engine, and how it was found.

    Attributes:
        url: As in ``DOCKER_HOST``.
        origin: Where it came from, for people.
        tls: Certificates, if it is behind TLS.
        problem: Why there is no usable address; "" if there is one.
    """

    url: str
    origin: str = "argument"
    tls: TlsFiles | None = None
    problem: str = ""

    def __str__(self) -> str:
        return _without_password(self.url)

    @property
    def host(self) -> str | None:
        """The engine's host name; None for a local socket."""
        parts = urlsplit(self.url)
        return parts.hostname if parts.scheme not in ("unix", "npipe") else None

    @property
    def socket(self) -> str | None:
        """The path of a local socket; None for other endpoints."""
        scheme, _, path = self.url.partition("://")
        # The client takes paths without their first slash as well.
        return f"/{path.lstrip('/')}" if scheme == "unix" else None

    @property
    def is_local(self) -> bool:
        """Whether a port that the engine opens on loopback is reached from here."""
        return self.host is None or (
            urlsplit(self.url).scheme != "ssh" and is_loopback(self.host)
        )


def find_endpoint(
    url: str | None = None, environ: Mapping[str, str] | None = None
) -> Endpoint:
    """
    Return the engine that the ``docker`` command would use; contacts nothing.

    Order: *url*, ``DOCKER_HOST``, ``DOCKER_CONTEXT``, the current context of
    the command line's configuration, the default socket.

    Args:
        url: An address such as ``unix:///var/run/docker.sock``.
        environ: Environment variables; by default the process's own.

    Raises:
        ValueError: If *url* is no such address.

    Example:
        >>> find_endpoint(environ={"DOCKER_HOST": "tcp://build:2375"}).url
        'tcp://build:2375'
    """
    environ = os.environ if environ is None else environ
    if url is not None:
        if urlsplit(url).scheme not in _SCHEMES:
            allowed = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
            raise ValueError(
                f"Invalid endpoint {_without_password(url)!r}. It begins with one of "
                f"{allowed}."
            )
        return Endpoint(url, tls=_environment_tls(url, environ))
    if host := environ.get("DOCKER_HOST"):
        if urlsplit(host).scheme in _SCHEMES:
            return Endpoint(host, "DOCKER_HOST", _environment_tls(host, environ))
        return Endpoint(host, "DOCKER_HOST", problem="it is no address of an engine")
    directory = _config_directory(environ)
    name = environ.get("DOCKER_CONTEXT") or _current_context(directory)
    if name in ("", "default"):
        return Endpoint(DEFAULT_URL, "default socket")
    return _of_context(directory, name)


def is_loopback(host: str) -> bool:
    """Return whether *host* is this machine's loopback, by name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _config_directory(environ: Mapping[str, str]) -> Path:
    given = environ.get("DOCKER_CONFIG")
    return Path(given) if given else Path.home() / ".docker"


def _current_context(directory: Path) -> str:
    # The command line, too, goes on with the default if its file is damaged.
    name = _read_object(directory / "config.json").get("currentContext")
    return name if isinstance(name, str) else ""


def _of_context(directory: Path, name: str) -> Endpoint:
    origin = f"context {name}"
    identity = hashlib.sha256(name.encode()).hexdigest()
    path = directory / "contexts" / "meta" / identity / "meta.json"
    endpoints = _read_object(path).get("Endpoints")
    engine = endpoints.get("docker") if isinstance(endpoints, dict) else None
    if not isinstance(engine, dict) or not isinstance(engine.get("Host"), str):
        return Endpoint(
            name,
            origin,
            problem=f"the Docker context {name!r} is not found in {path.parent}",
        )
    is_verified = not engine.get("SkipTLSVerify", False)
    files = directory / "contexts" / "tls" / identity / "docker"
    return Endpoint(engine["Host"], origin, _tls_files(files, is_verified=is_verified))


def _environment_tls(url: str, environ: Mapping[str, str]) -> TlsFiles | None:
    # As for the command line: certificates count for TCP only.
    directory = environ.get("DOCKER_CERT_PATH", "")
    is_verified = bool(environ.get("DOCKER_TLS_VERIFY"))
    if urlsplit(url).scheme not in ("tcp", "https") or not (directory or is_verified):
        return None
    path = Path(directory) if directory else _config_directory(environ)
    return _tls_files(path, is_verified=is_verified)


def _tls_files(directory: Path, *, is_verified: bool) -> TlsFiles | None:
    paths = (directory / name for name in ("ca.pem", "cert.pem", "key.pem"))
    ca, cert, key = (str(path) if path.is_file() else None for path in paths)
    if not (ca or cert or key):
        return None
    return TlsFiles(ca, cert, key, is_verified)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _without_password(url: str) -> str:
    try:
        parts = urlsplit(url)
        if "@" not in parts.netloc:
            return url
        user = (parts.username or "").partition(":")[0]
        place = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(unreadable address)"
    return urlunsplit(parts._replace(netloc=f"{user}@{place}" if user else place))
