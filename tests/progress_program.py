"""
Deployments whose builds wait for a file: what a terminal shows meanwhile is tested.

Arguments: a folder, then names; several are deployed at once, by threads.
"""

import sys
import threading
import time
import warnings
from pathlib import Path

from daeploy_lib import DaeployError, Deployer, Event, Service
from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import BuildError
from daeploy_lib.runtimes.base import Artifact, BuildInput, OnEvent
from daeploy_lib.runtimes.memory import MemoryRuntime

FOLDER = Path(sys.argv[1])
WORDS = "RUN pip install " + " ".join(f"package{number}" for number in range(12))


class Waiting(MemoryRuntime):
    """Builds in three steps, and waits in the second."""

    def build(
        self, spec: Spec, source: BuildInput, on_event: OnEvent, *, registry: str
    ) -> Artifact:
        """Wait until there is a file ``go``."""
        for step in (1, 2):
            on_event(Event("build", f"Step {step}/3 : {WORDS}", step, 3))
        if spec.name == "warns":
            warnings.warn("something is odd", stacklevel=1)
        while not (FOLDER / "go").exists():
            time.sleep(0.02)
        if spec.name == "fails":
            lines = ("the last line",)
            raise BuildError("It cannot be built.", spec.name, "1", log_lines=lines)
        on_event(Event("build", "Step 3/3 : COPY", 3, 3))
        return super().build(spec, source, on_event, registry=registry)


def deploy(deployer: Deployer, name: str) -> Service | None:
    """Deploy, or say why not."""
    try:
        return deployer.deploy(name, "1.0.0", FOLDER / "hello")
    except DaeployError as error:
        sys.stdout.write(f"{type(error).__name__}: {error}\n")
        return None


def main() -> None:
    """Deploy what is named."""
    with Deployer(Waiting(), state=FOLDER, ephemeral=True) as deployer:
        if not (FOLDER / "hello").exists():
            deployer.init("hello", FOLDER)
        first, *others = sys.argv[2:]
        threads = [
            threading.Thread(target=deploy, args=(deployer, name)) for name in others
        ]
        for thread in threads:
            thread.start()
        deploy(deployer, first)
        for thread in threads:
            thread.join()
        sys.stdout.write("over\n")


if __name__ == "__main__":
    main()
