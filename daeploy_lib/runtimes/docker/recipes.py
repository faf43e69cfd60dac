"""How a context is built: as its own Dockerfile says, or as a Python service."""

from daeploy_lib.runtimes.base import BuildInput
from daeploy_lib.runtimes.docker.building import Recipe


def recipe_for(source: BuildInput, python_image: object | None) -> Recipe:
    """Return the recipe for a context."""
    if source.has_dockerfile:
        return Recipe()
    raise NotImplementedError
