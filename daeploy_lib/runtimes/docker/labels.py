"""Our labels: what a container, an image or a network belongs to, and was made for."""

import functools
import json
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from daeploy_lib.domain.encoding import spec_from_json, spec_to_json
from daeploy_lib.domain.names import check_name, check_version
from daeploy_lib.domain.spec import Spec
from daeploy_lib.runtimes.base import Artifact

PROJECT = "daeploy.project"
NAME = "daeploy.name"
VERSION = "daeploy.version"
REGISTRY = "daeploy.registry"
SPEC = "daeploy.spec"
DIGEST = "daeploy.digest"
IS_BUILT = "daeploy.built"
IMAGE = "daeploy.image"
_OWNER = ("project", "name", "version", "registry")
PORT = "daeploy.port"
ENDPOINT = "daeploy.endpoint"
# One start's own mark: an interrupted one removes what it made, and no more.
ATTEMPT = "daeploy.attempt"


def image_labels(spec: Spec, digest: str, registry: str) -> dict[str, str]:
    """
    Return the labels of an image that we build.

    They differ by version, so that two versions of one directory have images of
    their own, and the removal of one leaves the other. They are few, because
    each is a step of the build; and not those of containers, because what a
    person runs from the image for a look inherits them.
    """
    owner = {
        "project": spec.project,
        "name": spec.name,
        "version": spec.version,
        "registry": registry,
        "digest": digest,
    }
    text = json.dumps(owner, separators=(",", ":"))
    return {PROJECT: spec.project, IMAGE: text}


def container_labels(spec: Spec, artifact: Artifact, registry: str) -> dict[str, str]:
    """Return the labels that a container can be adopted from."""
    return {
        PROJECT: spec.project,
        NAME: spec.name,
        VERSION: spec.version,
        REGISTRY: registry,
        DIGEST: artifact.source_digest,
        SPEC: spec_to_json(spec),
        IS_BUILT: "1" if artifact.is_built else "0",
    }


@attrs.frozen
class Identity:
    """What something of ours belongs to."""

    project: str
    name: str
    version: str
    registry: str


def identity_of(labels: Mapping[str, str] | None) -> Identity | None:
    """Return what a container's labels say; None if it is not ours."""
    found = labels or {}
    return _identity(
        found.get(PROJECT), found.get(NAME), found.get(VERSION), found.get(REGISTRY)
    )


def image_identity(labels: Mapping[str, str] | None) -> Identity | None:
    """Return what an image's label says; None if we did not build it."""
    try:
        owner = json.loads((labels or {}).get(IMAGE, ""))
        return _identity(*(owner.get(key) for key in _OWNER))
    except (ValueError, AttributeError):
        return None


def _identity(
    project: object, name: object, version: object, registry: object
) -> Identity | None:
    try:
        return Identity(
            check_name(project),  # type: ignore[arg-type]
            check_name(name),  # type: ignore[arg-type]
            check_version(version),  # type: ignore[arg-type]
            str(registry or ""),
        )
    except (ValueError, TypeError):
        return None


def project_filter(project: str, **more: str) -> dict[str, list[str]]:
    """Return the engine's filter for what belongs to a project."""
    labels = [f"{PROJECT}={project}"]
    labels += [f"daeploy.{key}={value}" for key, value in more.items()]
    return {"label": labels}


# Listing is frequent and labels never change.
@functools.lru_cache(maxsize=1024)
def spec_of(text: str) -> Spec | None:
    """Return the spec in a label; None if it cannot be read."""
    try:
        return spec_from_json(text)
    except ValueError:
        return None


NOTHING: Mapping[str, str] = MappingProxyType({})
