"""An image that exists: found on the engine or pulled, and pinned by its digest."""

from collections.abc import Mapping
from typing import Any

import attrs
import docker.errors

from daeploy_lib.domain.spec import Spec
from daeploy_lib.runtimes.base import Artifact, Event, OnEvent
from daeploy_lib.runtimes.docker.client import Engine
from daeploy_lib.runtimes.docker.failures import Failing, mapped
from daeploy_lib.runtimes.docker.hardening import is_root
from daeploy_lib.runtimes.docker.pulling import pull, source_error
from daeploy_lib.sources.image import Image

# Names of one architecture: the image's, and those that kernels give it.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def fetch_image(
    engine: Engine, spec: Spec, image: Image, on_event: OnEvent, timeout: float
) -> Artifact:
    """
    Return an image as it is; it is pulled if it has to be.

    Args:
        engine: Where it is needed.
        spec: What will be run from it.
        image: Which one.
        on_event: Takes events as they happen.
        timeout: Seconds that a pull may take in all.

    Raises:
        SourceError: If it does not exist, may not be pulled, or cannot be.
    """
    client = engine.ready()
    with mapped(Failing.at(engine.endpoint, "fetch", spec)):
        pulled = ""
        found = None if image.pull == "always" else _inspected(client, image)
        if found is None:
            if image.pull == "never" or image.is_id:
                raise source_error(spec, image, _absent(image))
            pulled = pull(engine, spec, image, on_event, timeout)
            found = _inspected(client, image)
        if found is None:
            raise source_error(
                spec, image, "somebody removed it as soon as it was pulled"
            )
        hints = _hints(spec, found, _architecture(engine))
    artifact = _artifact(image, found, pulled)
    on_event(Event("source", f"Using {artifact.source_origin}"))
    for hint in hints:
        on_event(Event("source", hint))
    return attrs.evolve(artifact, hints=hints)


def _inspected(client: docker.APIClient, image: Image) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = client.inspect_image(image.engine_name)
    except docker.errors.NotFound:
        return None
    return found


def _absent(image: Image) -> str:
    why = ": an ID names no registry" if image.is_id else ' (pull="never")'
    return f"it is not on the engine, and is not pulled{why}. Build or load it there"


def _artifact(image: Image, found: Mapping[str, Any], pulled: str) -> Artifact:
    """
    Return the image by its ID, with the digest that registries know it by.

    One image may have many: of other repositories, and of manifests that differ
    in their text alone. What was asked for comes first, then what was pulled.
    """
    known = [text.partition("@")[::2] for text in found.get("RepoDigests") or ()]
    own = sorted(digest for name, digest in known if image.is_of(name))
    digests = [one for one in (image.digest, pulled) if one in own] + own
    if digests:
        digest, origin = digests[0], f"{image.shown}@{digests[0]}"
    elif known:
        # It was pulled under another name and tagged here.
        name, digest = min(known)
        origin = f"{image.shown}, which is {name}@{digest}"
    else:
        digest = found["Id"]
        origin = f"{image.shown}, local image {digest}"
    if image.is_id and not known:
        origin = f"local image {digest}"
    return Artifact(found["Id"], digest, is_built=False, source_origin=origin)


def _architecture(engine: Engine) -> str:
    name = str(engine.ask(lambda client: client.version()).get("Arch") or "")
    return _ARCHITECTURES.get(name, name)


def _hints(spec: Spec, found: Mapping[str, Any], architecture: str) -> tuple[str, ...]:
    """Return what may keep the image from answering, as far as it tells."""
    config = found.get("Config") or {}
    hints = []
    own = str(found.get("Architecture") or "")
    if own and architecture and own != architecture:
        hints.append(
            f"The image is made for {own} and the engine runs on {architecture}: "
            f"without emulation it does not start."
        )
    exposed = sorted(config.get("ExposedPorts") or ())
    if exposed and f"{spec.port}/tcp" not in exposed:
        hints.append(
            f"The image exposes {', '.join(exposed)} and is asked on {spec.port}: "
            f"deploy with port=… if it does not heed PORT."
        )
    kept = spec.hardening.capabilities or spec.hardening.user is not None
    if is_root(str(config.get("User") or "")) and not kept:
        hints.append(
            "The image runs as root without capabilities: if it changes owners or "
            "users at its start, give it "
            'Hardening(capabilities=("CHOWN", "SETUID", "SETGID")) or a user.'
        )
    return tuple(hints)
