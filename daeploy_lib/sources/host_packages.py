"""What of the host's package index serves an installation elsewhere."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from daeploy_lib.sources.pip_configuration import pip_configuration

# What makes sense in a container. Paths, caches and destinations do not.
_OPTIONS = frozenset(
    {
        "default-timeout",
        "extra-index-url",
        "find-links",
        "index-url",
        "no-binary",
        "no-index",
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
# In the order of requests, which pip uses; then what other programs read.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_CERTIFICATE = re.compile(
    rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL
)
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_LOCAL_HOST = re.compile(r"localhost|.*\.localhost|127\..*|::1|0\.0\.0\.0")


def pip_options(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    Return the host's pip options that serve an installation elsewhere.

    Addresses of this machine's files, and its local proxy, are left out.
    """
    configured = pip_configuration(os.environ if environ is None else environ)
    options = {}
    for name in sorted(_OPTIONS & configured.keys()):
        value = configured[name]
        kept = _remote_only(value) if name in _ADDRESSES else value.strip()
        if kept and not (name == "proxy" and _is_local(kept)):
            options[name] = kept
    if "find-links" not in options:
        # With neither an index nor links nothing could be installed.
        options.pop("no-index", None)
    return options


def ca_certificates(environ: Mapping[str, str] | None = None) -> bytes | None:
    """
    Return the certificates that the host's own installs trust; None: pip's own.

    The certificates and nothing else of the file, which may hold a key.
    """
    environ = os.environ if environ is None else environ
    candidates = [pip_configuration(environ).get("cert", "")]
    candidates += [environ.get(name, "") for name in _CA_VARIABLES]
    for candidate in filter(None, candidates):
        found = _certificates(candidate)
        if found:
            return found
    return None


def proxies(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the host's proxies, but for those that only this host can reach."""
    environ = os.environ if environ is None else environ
    found = {}
    for name in _PROXY_VARIABLES:
        value = environ.get(name.lower()) or environ.get(name)
        if value and (name == "NO_PROXY" or not _is_local(value)):
            found[name] = found[name.lower()] = value
    return found


def _certificates(path: str) -> bytes:
    try:
        file = Path(path).expanduser()
        if not file.is_file() or file.stat().st_size > _CA_BYTES_MAX:
            return b""
        found = _CERTIFICATE.findall(file.read_bytes())
    except (OSError, RuntimeError):
        # RuntimeError: a "~name" that nobody has.
        return b""
    return b"".join(certificate + b"\n" for certificate in found)


def _is_local(address: str) -> bool:
    try:
        host = urlsplit(address if "://" in address else f"//{address}").hostname
    except ValueError:
        return False
    return bool(_LOCAL_HOST.fullmatch(host or ""))


def _remote_only(addresses: str) -> str:
    is_remote = re.compile(r"https?://", re.IGNORECASE).match
    return "\n".join(filter(is_remote, addresses.split()))
