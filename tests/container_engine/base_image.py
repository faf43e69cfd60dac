"""The image that Python services are built on."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound

from container_engine.errors import EngineUnavailableError
from container_engine.packages import need, which
from container_engine.places import Places

# The number is the recipe's: raise it whenever the command below changes.
MADE = "daeploy-test-base:bookworm-1"
# Seconds without a sign of progress after which a pull is given up.
PULL_STALL = 15
# Seconds; seen: 25 to 40.
MAKE_TIMEOUT = 600
# Seconds; an import of 200 MB.
IMPORT_TIMEOUT = 300


def base_image(
    client: docker.APIClient, places: Places, say: Callable[[str], None]
) -> str:
    """
    Return an image on the engine that has ``python``, pip and venv.

    In this order: ``$DAEPLOY_BASE_IMAGE``, the official slim image, one that is
    made here from Debian's packages and kept.

    Raises:
        EngineUnavailableError: If there is none and it cannot be made either.
    """
    given = os.environ.get("DAEPLOY_BASE_IMAGE")
    if given:
        return given
    official = f"python:{sys.version_info[0]}.{sys.version_info[1]}-slim"
    for name in (official, MADE):
        if _has(client, name):
            return name
    if _pull(client, official, say):
        return official
    _import(client, _tarball(places, official, say))
    return MADE


def _has(client: docker.APIClient, name: str) -> bool:
    try:
        client.inspect_image(name)
    except ImageNotFound:
        return False
    return True


def _pull(client: docker.APIClient, name: str, say: Callable[[str], None]) -> bool:
    """Try to pull *name*; no registry may be in reach, which is no error here."""
    say(f"pulling {name}")
    patient = client.timeout
    client.timeout = PULL_STALL
    try:
        for _ in client.pull(name, stream=True):
            pass
    except (DockerException, requests.RequestException):
        return False
    finally:
        client.timeout = patient
    return _has(client, name)


def _tarball(places: Places, official: str, say: Callable[[str], None]) -> Path:
    """Return the file system of the base image, made once and then kept."""
    tarball = places.root / f"{MADE.replace(':', '-')}.tar"
    if tarball.exists():
        return tarball
    try:
        need({"mmdebstrap": "mmdebstrap"}, say)
    except EngineUnavailableError as error:
        raise EngineUnavailableError(
            f"{official} can be neither found nor pulled, and it takes Debian to make "
            f"a base image: {error} Or name an image with Python in DAEPLOY_BASE_IMAGE."
        ) from error
    say("making a base image from Debian's packages (about 40 s)")
    unfinished = tarball.with_suffix(".part.tar")
    done = subprocess.run(
        [which("mmdebstrap") or "mmdebstrap", *_recipe(), str(unfinished)],
        capture_output=True,
        text=True,
        check=False,
        timeout=MAKE_TIMEOUT,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stderr.splitlines()[-10:])
        raise EngineUnavailableError(
            f"mmdebstrap could not make a base image:\n{tail}\n"
            "Name an image with Python in DAEPLOY_BASE_IMAGE instead."
        )
    return unfinished.rename(tarball)


def _recipe() -> list[str]:
    # The two hooks make Debian's Python look like the official image: a command of
    # that name, and a pip that installs without a virtual environment (PEP 668).
    return [
        "--variant=minbase",
        "--include=python3,python3-venv,python3-pip,ca-certificates",
        '--customize-hook=ln -s python3 "$1/usr/bin/python"',
        '--customize-hook=rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
        "bookworm",
    ]


def _import(client: docker.APIClient, tarball: Path) -> None:
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    repository, _, tag = MADE.partition(":")
    patient = client.timeout
    client.timeout = IMPORT_TIMEOUT
    try:
        answer = client.import_image_from_file(
            str(tarball),
            repository=repository,
            tag=tag,
            changes=[f"ENV PATH={path}", "ENV LANG=C.UTF-8", 'CMD ["python3"]'],
        )
        # Podman 4.3 ignores the tag of an import, so give it once more.
        image = json.loads(answer.splitlines()[-1])["status"]
        client.tag(image, repository, tag)
    except APIError as error:
        raise EngineUnavailableError(
            f"The engine refused the base image {tarball}: {error}. Remove that file "
            "to have it made anew, or name an image in DAEPLOY_BASE_IMAGE."
        ) from error
    finally:
        client.timeout = patient
