"""How a context is built: as its own Dockerfile says, or as a Python service."""

from collections.abc import Mapping

import attrs

from daeploy_lib.runtimes.base import BuildInput
from daeploy_lib.sources.python_image import PythonImage


def _names_only(build_args: Mapping[str, str]) -> str:
    return repr(sorted(build_args))


@attrs.frozen
class Recipe:
    """
    How a context is built.

    Attributes:
        dockerfile: Its path in the context.
        files: Files that are added to the context, by path.
        under: Directory of the context that the content is put in.
        build_args: Values of the Dockerfile's ``ARG`` names.
    """

    dockerfile: str = "Dockerfile"
    files: Mapping[str, bytes] = attrs.field(factory=dict)
    under: str = ""
    build_args: Mapping[str, str] = attrs.field(factory=dict, repr=_names_only)


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
