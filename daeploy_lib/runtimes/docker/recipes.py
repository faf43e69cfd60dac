"""How a context is built: as its own Dockerfile says, or as a Python service."""

from daeploy_lib.runtimes.base import BuildInput
from daeploy_lib.runtimes.docker.building import Recipe
from daeploy_lib.sources.python_image import PythonImage


def recipe_for(source: BuildInput, python_image: PythonImage | None) -> Recipe:
    """
    Return the recipe for a context.

    Args:
        source: The context.
        python_image: For one without a Dockerfile; None: as this host installs.
    """
    if source.has_dockerfile:
        return Recipe()
    build = (python_image or PythonImage.from_host()).build(source)
    return Recipe(files=build.files, under=build.under, build_args=build.build_args)
