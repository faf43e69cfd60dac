"""
The README's session: two versions, one of them main, and a change of main.

Needs the packages ``fastapi`` and ``uvicorn``. Where no container engine answers the
versions run as processes.
"""

import tempfile
from pathlib import Path

import httpx
from fastapi import FastAPI
from runtimes import runtime_for
from serving import serving

from daeploy_lib import Deployer, ShadowRouter


def main(folder: Path) -> None:
    """Run the session in an empty folder; everything is removed at its end."""
    # ephemeral: this Deployer's versions end with it. Yours would stay.
    runtime = runtime_for("quickstart", folder)
    with Deployer(
        runtime, project="quickstart", state=folder, ephemeral=True
    ) as deployer:
        hello = deployer.init("hello", folder)
        deployer.deploy("hello", "1.0.0", hello)  # the first version: main

        code = hello / "service.py"
        code.write_text(code.read_text().replace("Hello", "Good morning"))
        deployer.deploy("hello", "2.0.0", hello)  # a shadow
        print(deployer.ls())

        app = FastAPI()
        app.mount("/services", ShadowRouter(deployer))
        with serving(app) as address:
            url = f"{address}/services/hello/hello"
            ada = {"name": "Ada"}

            print("\nMain answers, the shadow gets a copy:")
            print("  hello        ", httpx.post(url, json=ada).json())
            alone = url.replace("/hello/", "/hello_2.0.0/")
            print("  hello_2.0.0  ", httpx.post(alone, json=ada).json())

            deployer.assign("hello", "2.0.0")
            print("\nAfter assign, 2.0.0 is main:")
            print("  hello        ", httpx.post(url, json=ada).json())

            deployer.rollback("hello")
            print("\nAfter rollback, 1.0.0 is main again:")
            print("  hello        ", httpx.post(url, json=ada).json())

        print("\nWhat the shadow wrote to its log:")
        for line in deployer.logs("hello", "2.0.0", tail=3):
            print("  ", line)

        deployer.kill("hello", "2.0.0")
        print()
        print(deployer.ls())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder))
