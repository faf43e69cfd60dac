"""
What never enters a build context by accident.

An image is copied, pushed and kept: a key that went into a layer is public. So
these names stay out even where a ``.dockerignore`` brings back everything, as
``*`` and then ``!app`` do; only a ``!`` line that names one brings it back.
"""

import re
from fnmatch import fnmatchcase, translate

from daeploy_lib.sources.ignoring import Ignoring

_SECRETS = (
    ".env",
    ".env.*",
    ".envrc",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.ppk",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
    ".netrc",
    ".pgpass",
    ".pypirc",
    ".git-credentials",
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
)
# Version control, and what Python and its tools make anew.
_NEEDLESS = (
    ".git",
    ".hg",
    ".svn",
    ".venv",
    ".tox",
    ".nox",
    "__pycache__",
    "*.pyc",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
    ".ipynb_checkpoints",
)
# Meant to be shared: they show which settings there are, without values.
_EXAMPLES = (".env.example", ".env.sample", ".env.template", ".env.dist")
_KEPT_OUT = re.compile("|".join(map(translate, (*_SECRETS, *_NEEDLESS))))
# What a virtual environment of any name holds.
VENV_MARK = "pyvenv.cfg"
# A PEM file may be a key or a certificate; its content tells.
PEM = "*.pem"
PRIVATE_KEY = b"PRIVATE KEY-----"
# Bundles of certificates are some 200 KiB; a key may stand behind its chain.
PEM_BYTES_MAX = 1024 * 1024


def is_kept_out(name: str) -> bool:
    """
    Return whether a file or directory of this name stays out by default.

    Example:
        >>> is_kept_out(".env.production"), is_kept_out(".env.example")
        (True, False)
    """
    name = name.lower()
    return name not in _EXAMPLES and _KEPT_OUT.match(name) is not None


def is_named(path: str, ignoring: Ignoring) -> bool:
    """
    Return whether a ``!`` line names what stays out by default.

    ``!config/tls.key``, ``!**/*.key`` and ``!.env`` do; ``!config/**`` does not.
    """
    lasts = (p.rpartition("/")[2] for p in ignoring.patterns_bringing_back(path))
    return any(is_kept_out(last) or fnmatchcase(last, PEM) for last in lasts)
