"""
A real container engine for the tests and examples.

``running_engine()`` gives one, whatever the machine: the engine that already
answers, or a private one that is started and stopped here. The same from a
command line, for programs that only read the environment::

    python -m container_engine [--podman] COMMAND...

Nothing here imports daeploy_lib: the harness must work when the library does not.
"""

from container_engine.engine import Engine, running_engine
from container_engine.errors import EngineUnavailableError

__all__ = ["Engine", "EngineUnavailableError", "running_engine"]
