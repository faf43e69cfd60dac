"""
Ship a new version of a service without fear.

``Deployer`` runs versions of a service side by side; ``ShadowRouter`` copies
every request to all of them and returns only main's answer.
"""

import importlib.metadata

from daeploy_lib.async_deployer import AsyncDeployer
from daeploy_lib.compare import ComparisonRules
from daeploy_lib.deployer import Deployer
from daeploy_lib.domain.route import Route
from daeploy_lib.domain.service import (
    Assignment,
    Leftover,
    LogLine,
    Service,
    Status,
)
from daeploy_lib.domain.spec import Hardening, Mount, Readiness, Resources
from daeploy_lib.errors import (
    BuildError,
    DaeployError,
    DeployError,
    GateNotPassedError,
    MainProtectedError,
    NotReadyError,
    RegistryError,
    RouteConflictError,
    RuntimeUnavailableError,
    ServiceNotFoundError,
    SourceError,
    StaleAssignError,
    StartError,
    StateError,
    VersionExistsError,
    VersionNotFoundError,
)
from daeploy_lib.evidence import Gate, Verdict
from daeploy_lib.lifecycle.async_watching import AsyncWatch
from daeploy_lib.lifecycle.watching import Watch
from daeploy_lib.router.policy import Limits, MirrorPolicy, Timeouts
from daeploy_lib.router.replay import Replayed, replay
from daeploy_lib.runtimes.base import Event, Runtime
from daeploy_lib.runtimes.docker import DockerRuntime
from daeploy_lib.runtimes.process import ProcessRuntime
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.show.report import Report
from daeploy_lib.show.table import Services
from daeploy_lib.sources import (
    Archive,
    Directory,
    Git,
    Image,
    PythonImage,
    PythonObject,
)

__all__ = [
    "Archive",
    "Assignment",
    "AsyncDeployer",
    "AsyncWatch",
    "BuildError",
    "ComparisonRules",
    "DaeployError",
    "DeployError",
    "Deployer",
    "Directory",
    "DockerRuntime",
    "Event",
    "Gate",
    "GateNotPassedError",
    "Git",
    "Hardening",
    "Image",
    "Leftover",
    "Limits",
    "LogLine",
    "MainProtectedError",
    "MirrorPolicy",
    "Mount",
    "NotReadyError",
    "ProcessRuntime",
    "PythonImage",
    "PythonObject",
    "Readiness",
    "RegistryError",
    "Replayed",
    "Report",
    "Resources",
    "Route",
    "RouteConflictError",
    "Runtime",
    "RuntimeUnavailableError",
    "Service",
    "ServiceNotFoundError",
    "Services",
    "ShadowRouter",
    "SourceError",
    "StaleAssignError",
    "StartError",
    "StateError",
    "Status",
    "Timeouts",
    "Verdict",
    "VersionExistsError",
    "VersionNotFoundError",
    "Watch",
    "replay",
]

try:
    __version__ = importlib.metadata.version("daeploy-lib")
except importlib.metadata.PackageNotFoundError:
    # Its files were put here without an installer.
    __version__ = "unknown"
