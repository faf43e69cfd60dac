"""
Every error of the library, as one tree.

    DaeployError
      RegistryError                 nothing was touched
        ServiceNotFoundError, VersionNotFoundError      (also LookupError)
        VersionExistsError, RouteConflictError, MainProtectedError,
        StaleAssignError, GateNotPassedError
      DeployError                   tried on a runtime
        RuntimeUnavailableError, SourceError, BuildError, StartError,
        NotReadyError                                   (also TimeoutError)
      StateError                    the state directory cannot be used

Attributes are for programs, ``str()`` is for people: what happened, to which
name and version, what was observed, then the remedy. Fields are positional,
so that every error survives pickling. Wrong arguments are none of these: they
raise plain ``ValueError`` or ``TypeError`` before anything happens.
"""

from collections.abc import Sequence

import attrs

from daeploy_lib.short_traceback import short_traceback


class DaeployError(Exception):
    """
    Base of everything that this library raises on purpose.

    IPython shows its message first, then the caller's own lines of the traceback;
    ``%tb Plain`` shows all of them.
    """

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows."""
        return short_traceback(self)


class RegistryError(DaeployError):
    """The registry refused: nothing was touched."""


def _remedy(known: Sequence[str]) -> str:
    return "Name one of these, or deploy it first." if known else "Deploy it first."


_WAIT = (
    "Wait for that process, or end it: a repeated deploy then takes the version "
    "over, and cleanup() removes what is left of it."
)


@attrs.define(slots=False, eq=False)
class ServiceNotFoundError(RegistryError, LookupError):
    """No version of this name is deployed."""

    name: str
    known: Sequence[str] = ()

    def __str__(self) -> str:
        known = ", ".join(self.known) or "none"
        return (
            f"No service {self.name!r} is deployed. Deployed services: {known}. "
            f"{_remedy(self.known)}"
        )


@attrs.define(slots=False, eq=False)
class VersionNotFoundError(RegistryError, LookupError):
    """
    The name is known, this version of it is not, or not yet, or no longer.

    Attributes:
        name: The service.
        version: The version that was asked for.
        known: The versions of it that are deployed.
        reason: What is the matter with it; "" if it is not known at all.
        owner: The process that is deploying or removing it now; "" if none is.
    """

    name: str
    version: str
    known: Sequence[str] = ()
    reason: str = ""
    owner: str = ""

    def __str__(self) -> str:
        what = self.reason or "is not deployed"
        if self.owner:
            what += f" by {self.owner}"
        known = ", ".join(self.known) or "none"
        return (
            f"Version {self.version!r} of {self.name!r} {what}. "
            f"Deployed versions: {known}. "
            f"{_WAIT if self.owner else _remedy(self.known)}"
        )


@attrs.define(slots=False, eq=False)
class VersionExistsError(RegistryError):
    """
    The name and version are taken, or being deployed right now.

    Attributes:
        name: The service.
        version: The version.
        reason: Why it cannot be deployed.
        owner: The process that is deploying or removing it now; "" if none is.
    """

    name: str
    version: str
    reason: str = "is already deployed"
    owner: str = ""

    def __str__(self) -> str:
        by = f" by {self.owner}" if self.owner else ""
        remedy = (
            _WAIT
            if self.owner
            else "Deploy under another version, or kill that one first."
        )
        return f"Version {self.version!r} of {self.name!r} {self.reason}{by}. {remedy}"


@attrs.define(slots=False, eq=False)
class RouteConflictError(RegistryError):
    """The route of the new version belongs to another service already."""

    name: str
    version: str
    segment: str
    taken_by: str

    def __str__(self) -> str:
        return (
            f"Cannot deploy {self.name!r} {self.version!r}: its route "
            f"/{self.segment} is taken by {self.taken_by}. "
            f"Choose another name or version."
        )


@attrs.define(slots=False, eq=False)
class MainProtectedError(RegistryError):
    """Main cannot be killed while it has shadows."""

    name: str
    version: str
    shadows: Sequence[str]

    def __str__(self) -> str:
        return (
            f"{self.name!r} {self.version!r} is main and has shadows "
            f"({', '.join(self.shadows)}); nothing was changed. Assign another "
            f"version as main first, or kill the whole service with "
            f"kill({self.name!r})."
        )


@attrs.define(slots=False, eq=False)
class StaleAssignError(RegistryError):
    """Main is no longer the version that the caller expected."""

    name: str
    version: str
    expected: str
    actual: str | None

    def __str__(self) -> str:
        return (
            f"Did not assign {self.name!r} {self.version!r}: main was expected to "
            f"be {self.expected!r} but is {self.actual!r}. Look again, then decide."
        )


@attrs.define(slots=False, eq=False)
class GateNotPassedError(RegistryError):
    """The gate of an assignment did not pass; nothing was changed."""

    name: str
    version: str
    verdict: object

    def __str__(self) -> str:
        return (
            f"Did not assign {self.name!r} {self.version!r}: the gate did not "
            f"pass. {self.verdict} Use force=True to assign all the same."
        )


@attrs.define(slots=False, eq=False)
class DeployError(DaeployError):
    """
    Something was tried on a runtime and failed; it has been cleaned up.

    Attributes:
        message: What happened, with the observed values, then the remedy.
        name: The service, or "" where none is concerned.
        version: The version, or "".
        stage: ``source``, ``build``, ``start``, ``ready``, ``runtime``, ...
        exit_code: Of the process that ended, when one did.
        oom_killed: Whether the kernel ended it for want of memory.
        log_lines: Its last lines of output, oldest first.
    """

    message: str
    name: str = ""
    version: str = ""
    stage: str = "runtime"
    exit_code: int | None = None
    oom_killed: bool = False
    log_lines: Sequence[str] = ()

    def __str__(self) -> str:
        about = f"{self.name} {self.version}: " if self.name else ""
        text = f"{about}{self.message}"
        if self.log_lines:
            text += "\nIts last lines of output:\n"
            text += "\n".join(f"  {line}" for line in self.log_lines)
        return text


@attrs.define(slots=False, eq=False)
class RuntimeUnavailableError(DeployError):
    """
    The runtime cannot be used at all.

    Attributes:
        endpoint: The address that was tried.
        reason: ``unreachable``, ``permission`` or ``version``.
    """

    endpoint: str = ""
    reason: str = "unreachable"


@attrs.define(slots=False, eq=False)
class SourceError(DeployError):
    """The source does not exist, or is not what it claims to be."""


@attrs.define(slots=False, eq=False)
class BuildError(DeployError):
    """The image could not be built."""


@attrs.define(slots=False, eq=False)
class StartError(DeployError):
    """The version did not start, or exited before it was ready."""


@attrs.define(slots=False, eq=False)
class NotReadyError(DeployError, TimeoutError):
    """The version runs, but did not answer as its readiness asks."""


@attrs.define(slots=False, eq=False)
class StateError(DaeployError):
    """
    The state directory cannot be used, is newer than this library, or damaged.

    The files are left as they are.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"
