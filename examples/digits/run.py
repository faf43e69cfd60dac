"""
Two classifiers of handwritten digits: how often does the shadow agree?

The real test images of scikit-learn's digits go through the router. Clients get
the logistic regression's answers; the random forest answers the copies. Both
write their answers to their logs, where they are compared here.
"""

import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from starlette.applications import Starlette

from daeploy_lib import Deployer, Limits, Resources, ShadowRouter, Timeouts

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from serving import serving  # noqa: E402 - it lies beside this folder

# Seconds for the shadow to answer its last copies.
PATIENCE_S = 60.0


def main(folder: str) -> None:
    """Deploy both models, send them every test image, compare."""
    digits = load_digits()
    _, images, _, labels = train_test_split(digits.data, digits.target, random_state=0)
    with Deployer(project="digits", state=folder, ephemeral=True) as deployer:
        for version, model in (("1.0.0", "logistic"), ("2.0.0", "forest")):
            deployer.deploy(
                "digits",
                version,
                HERE / "service",
                environment={"MODEL": model},
                resources=Resources(memory="1g"),
            )
        print(deployer.ls())

        # Clients wait for main only, and the forest is slower: no copy is dropped
        # for being one of too many under way.
        limits = Limits(max_in_flight=len(images))
        router = ShadowRouter(deployer, limits=limits, timeouts=Timeouts(shadow=120))
        app = Starlette()
        app.mount("/services", router)
        with serving(app) as address, httpx.Client(base_url=address) as client:
            for number, pixels in enumerate(images.tolist()):
                client.post(
                    "/services/digits/predict",
                    json={"pixels": pixels},
                    headers={"x-image": str(number)},
                ).raise_for_status()

            def shadow_answers() -> dict[int, int]:
                return logged(deployer, "2.0.0")

            shadow = wait_for(shadow_answers, len(images))
        report(logged(deployer, "1.0.0"), shadow, labels.tolist())


def logged(deployer: Deployer, version: str) -> dict[int, int]:
    """Return what a version answered, by image, from its log."""
    lines = deployer.logs("digits", version, tail=None)
    found = (re.fullmatch(r"image (\d+) digit (\d)", line.text) for line in lines)
    return {int(match[1]): int(match[2]) for match in found if match}


def wait_for(answers: Callable[[], dict[int, int]], count: int) -> dict[int, int]:
    """Ask again until all answers are there; shadows answer in their own time."""
    deadline = time.monotonic() + PATIENCE_S
    while len(found := answers()) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def report(main: dict[int, int], shadow: dict[int, int], labels: list[int]) -> None:
    """Print how both models did on the same images."""
    both = main.keys() & shadow.keys()
    agreed = sum(main[i] == shadow[i] for i in both)
    print(f"\n{len(labels)} test images, {len(both)} answered by both versions.")
    for version, answers in (("1.0.0", main), ("2.0.0", shadow)):
        right = sum(labels[i] == digit for i, digit in answers.items())
        print(f"  {version} is right on {right / len(answers):.1%}")
    print(f"  the shadow agrees with main on {agreed / len(both):.1%}")
    if len(both) < len(labels):
        sys.exit("Some copies were not answered.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(folder)
