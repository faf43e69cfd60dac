"""Versions as processes of this machine, for machines without a container engine."""

from daeploy_lib.runtimes.process.runtime import ProcessRuntime

__all__ = ["ProcessRuntime"]
