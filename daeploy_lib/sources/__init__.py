"""Sources of a service, made into a vetted build context."""

from daeploy_lib.sources.archive import Archive
from daeploy_lib.sources.directory import Directory
from daeploy_lib.sources.git import Git
from daeploy_lib.sources.image import Image
from daeploy_lib.sources.opening import Source, open_source, takes_time
from daeploy_lib.sources.project import write_project
from daeploy_lib.sources.python_image import PythonImage
from daeploy_lib.sources.python_object import PythonObject

__all__ = [
    "Archive",
    "Directory",
    "Git",
    "Image",
    "PythonImage",
    "PythonObject",
    "Source",
    "open_source",
    "takes_time",
    "write_project",
]
