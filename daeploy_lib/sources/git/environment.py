"""
The environment that git runs in.

To fetch, the user's configuration counts: credential helpers, proxies, authorities,
ssh. To write files, none does, so that a commit gives the same files everywhere and
no filter of anybody's runs.
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import PurePath

from daeploy_lib.sources.git.address import Address

# Of GIT_…, what says how to reach a server. The rest, such as GIT_DIR in a hook or
# GIT_TRACE, which writes secrets, is about somebody else's git.
_KEPT = (
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_VALUE_",
    "GIT_EXEC_PATH",
    "GIT_HTTP_",
    "GIT_PROXY_",
    "GIT_SSH",
    "GIT_SSL_",
)
_ALWAYS = {
    # Its messages are read.
    "LC_ALL": "C",
    "LANGUAGE": "",
    # Nobody is asked: no terminal, no window.
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}
# After the user's, so that these count.
_SETTINGS = (
    ("core.hooksPath", os.devnull),
    ("core.fsmonitor", "false"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("credential.interactive", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("submodule.recurse", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("transfer.bundleURI", "false"),
)
_WRITING = (
    ("core.attributesFile", os.devnull),
    ("core.autocrlf", "false"),
    ("core.eol", "lf"),
    ("core.fileMode", "true"),
    ("core.symlinks", "true"),
)
# The password is in a variable that only this user can read, not in an argument.
_HELPER = (
    '!f() { test "$1" = get || exit 0; '
    'printf "%s\\n" "username=$DAEPLOY_GIT_USER" "password=$DAEPLOY_GIT_PASSWORD"; }; f'
)


def for_fetching(address: Address) -> dict[str, str]:
    """Return the environment of a git that asks a server."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(_KEPT)
    }
    settings = [*_SETTINGS]
    secrets = {}
    if address.password is not None:
        settings += [
            # The empty one ends the user's own list.
            (f"credential.{address.host}.helper", ""),
            (f"credential.{address.host}.helper", _HELPER),
        ]
        secrets["DAEPLOY_GIT_USER"] = address.user
        secrets["DAEPLOY_GIT_PASSWORD"] = address.password
    elif address.user:
        settings.append((f"credential.{address.host}.username", address.user))
    # A server's redirect, unlike its user, must not lead from https to http.
    allowed = ":".join(sorted({"https", "ssh", "file", address.scheme}))
    ssh = _ssh_command(kept)
    return {
        **_with_settings(kept, settings),
        **_ALWAYS,
        **secrets,
        **ssh,
        "GIT_ALLOW_PROTOCOL": allowed,
    }


def for_writing() -> dict[str, str]:
    """Return the environment of a git that reads and writes own files alone."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    if "GIT_EXEC_PATH" in os.environ:
        kept["GIT_EXEC_PATH"] = os.environ["GIT_EXEC_PATH"]
    return {
        **_with_settings(kept, [*_SETTINGS, *_WRITING]),
        **_ALWAYS,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": "",
    }


def _with_settings(
    environment: Mapping[str, str], settings: list[tuple[str, str]]
) -> dict[str, str]:
    """Add settings behind those that the environment has."""
    count = environment.get("GIT_CONFIG_COUNT", "")
    start = int(count) if count.isascii() and count.isdigit() else 0
    added = {"GIT_CONFIG_COUNT": str(start + len(settings))}
    for number, (key, value) in enumerate(settings, start):
        added[f"GIT_CONFIG_KEY_{number}"] = key
        added[f"GIT_CONFIG_VALUE_{number}"] = value
    return {**environment, **added}


def _ssh_command(environment: Mapping[str, str]) -> dict[str, str]:
    """
    Keep ssh from asking, if it is ssh and not another program.

    A command from the user's configuration stays as it is: this variable would
    replace it. It has no terminal to ask on either way.
    """
    command = environment.get("GIT_SSH_COMMAND", "")
    try:
        words = shlex.split(command)
    except ValueError:
        return {}
    if words and PurePath(words[0]).name == "ssh":
        return {"GIT_SSH_COMMAND": f"{command} -o BatchMode=yes"}
    return {}
