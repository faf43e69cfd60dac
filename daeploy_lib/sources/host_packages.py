"""What the host knows of its package index: pip's configuration, certificates."""

import configparser
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

# What makes sense in a container. Paths, caches and destinations do not.
_OPTIONS = frozenset(
    {
        "default-timeout",
        "extra-index-url",
        "find-links",
        "index-url",
        "no-binary",
        "only-binary",
        "pre",
        "prefer-binary",
        "proxy",
        "retries",
        "timeout",
        "trusted-host",
    }
)
_ADDRESSES = frozenset({"extra-index-url", "find-links", "index-url"})
# Certificates are public and small; this is some fifty times a usual bundle.
_CA_BYTES_MAX = 16 * 1024**2
_CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_LOCAL_PROXY = re.compile(r"//([^/@]*@)?(localhost|127\.|\[::1\])")


def pip_options(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    Return the host's pip options that serve an installation elsewhere.

    Files in pip's own order, then ``PIP_*`` variables; addresses of this
    machine's files are left out. pip itself need not be installed.

    Source:
        https://pip.pypa.io/en/stable/topics/configuration/
    """
    merged = _merged(os.environ if environ is None else environ)
    options = {}
    for name, value in merged.items():
        kept = _remote_only(value) if name in _ADDRESSES else value.strip()
        if name in _OPTIONS and kept:
            options[name] = kept
    return options


def ca_certificates(environ: Mapping[str, str] | None = None) -> bytes | None:
    """Return the bundle of certificates that the host's own installs trust."""
    environ = os.environ if environ is None else environ
    candidates = [_merged(environ).get("cert", "")]
    candidates += [environ.get(name, "") for name in _CA_VARIABLES]
    for candidate in filter(None, candidates):
        file = Path(candidate).expanduser()
        try:
            if file.is_file() and file.stat().st_size <= _CA_BYTES_MAX:
                return file.read_bytes()
        except OSError:
            continue
    return None


def proxies(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the host's proxies, but for those that only this host can reach."""
    environ = os.environ if environ is None else environ
    found = {}
    for name in _PROXY_VARIABLES:
        value = environ.get(name) or environ.get(name.lower())
        if value and not _LOCAL_PROXY.search(value):
            found[name] = found[name.lower()] = value
    return found


def _merged(environ: Mapping[str, str]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for file in _files(environ):
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(file, "utf-8")
        except (configparser.Error, UnicodeError, OSError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                for name, value in parser.items(section):
                    merged[name.replace("_", "-")] = value or ""
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            merged[name[len("PIP_") :].lower().replace("_", "-")] = value
    return merged


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    home = Path(environ.get("HOME") or Path.home())
    config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    for folder in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"):
        yield Path(folder, "pip", "pip.conf")
    yield Path("/etc/pip.conf")
    yield home / ".pip" / "pip.conf"
    yield home / "Library" / "Application Support" / "pip" / "pip.conf"
    yield config_home / "pip" / "pip.conf"
    yield Path(sys.prefix, "pip.conf")
    if named:
        yield Path(named)


def _remote_only(addresses: str) -> str:
    remote = [a for a in addresses.split() if a.startswith(("http://", "https://"))]
    return "\n".join(remote)
