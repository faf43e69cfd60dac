"""A Python object as a source: the service around it is written here."""

from daeploy_lib.sources.python_object.kinds import Estimator
from daeploy_lib.sources.python_object.source import PythonObject

__all__ = ["Estimator", "PythonObject"]
