"""What went wrong, in words for a person and a code for a script."""

import difflib
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from daeploy_lib.errors import (
    DaeployError,
    GateNotPassedError,
    RuntimeUnavailableError,
    ServiceNotFoundError,
    VersionNotFoundError,
)
from daeploy_lib.evidence.verdict import Result, Verdict
from daeploy_lib.interruption import Interrupted

FAILED = 1
"""It was tried, and failed or was refused."""
USAGE = 2
"""A command, option or argument is wrong: nothing was tried."""
NOT_FOUND = 3
"""No such service or version."""
GATE_FAILED = 4
"""The gate says that the shadow is not good enough."""
GATE_INCONCLUSIVE = 5
"""The gate does not know yet."""
INTERRUPTED = 130
"""Ctrl-C; what was begun has been undone."""

_IN_FRONT = ("--project", "--state", "--runtime", "--host", "--version")
# What is behind the "=" of --env may be a secret.
_VALUE = re.compile(r"=.*", re.DOTALL)


_MISSING = (
    "The command line needs {name}, which is not installed: "
    "pip install 'daeploy-lib[cli]'."
)


class RefusedError(Exception):
    """What the command line itself cannot do, such as to ask without a terminal."""


class DeclinedError(Exception):
    """A question was answered with no."""


# The library's own errors, wrong arguments, and what the system refuses.
_EXPLAINED = (
    DaeployError,
    RefusedError,
    LookupError,
    OSError,
    ValueError,
    TypeError,
    ModuleNotFoundError,
)


def explain(error: BaseException) -> int:
    """
    Write to standard error what happened; return the exit code.

    Raises:
        BaseException: If it is no fault of the user's, as it came.
    """
    if os.environ.get("DAEPLOY_TRACEBACK"):
        # For whoever reports a fault of the library's own.
        raise error
    if isinstance(error, KeyboardInterrupt | Interrupted):
        _say("Interrupted.")
        return INTERRUPTED
    if isinstance(error, DeclinedError):
        _say(str(error))
        return FAILED
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        return _explain_usage(error)
    if isinstance(error, _EXPLAINED):
        _say(f"Error: {_words(error)}")
        return code_of(error)
    raise error


def code_of(error: BaseException) -> int:
    """Return the exit code of an error of the library."""
    if isinstance(error, GateNotPassedError):
        return verdict_code(error.verdict)
    if isinstance(error, LookupError):
        return NOT_FOUND
    return USAGE if isinstance(error, ValueError | TypeError) else FAILED


def verdict_code(verdict: object) -> int:
    """Return the exit code of what a gate says."""
    if not isinstance(verdict, Verdict) or verdict.result is Result.inconclusive:
        return GATE_INCONCLUSIVE
    return 0 if verdict.is_pass else GATE_FAILED


def _words(error: BaseException) -> str:
    # Their remedies are arguments; here these are options.
    if isinstance(error, GateNotPassedError):
        return str(error).replace("force=True", "--force")
    if isinstance(error, RuntimeUnavailableError):
        return str(error).replace("Deployer(ProcessRuntime())", "--runtime process")
    if isinstance(error, ModuleNotFoundError):
        return _MISSING.format(name=error.name)
    text = str(error)
    if isinstance(error, KeyError) and error.args:
        text = str(error.args[0])
    if isinstance(error, VersionNotFoundError):
        return text + _nearest(error.version, error.known)
    if isinstance(error, ServiceNotFoundError):
        return text + _nearest(error.name, error.known)
    return text


def _nearest(word: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {found[0]!r}?" if found else ""


def _explain_usage(error: Any) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if message.startswith("Usage:"):
        # No words at all: it is the help.
        _say(message)
        return USAGE
    if context is not None:
        _say(context.get_usage())
        _say(f"Try '{context.command_path} --help' for help.\n")
    _say(f"Error: {_VALUE.sub('=***', message)}{_place(error)}")
    return USAGE


def _place(error: Any) -> str:
    """Return where an option belongs that was given behind the command."""
    option = getattr(error, "option_name", "")
    if type(error).__name__ != "NoSuchOption" or option not in _IN_FRONT:
        return ""
    return f" It goes in front of the command: daeploy {option} ..."


def _say(text: str) -> None:
    print(text, file=sys.stderr)
