"""Versions as containers of a Docker engine. Only here is its client imported."""

from daeploy_lib.runtimes.docker.runtime import DockerRuntime

__all__ = ["DockerRuntime"]
