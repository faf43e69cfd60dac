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
ORIGIN = "daeploy.origin"
IS_BUILT = "daeploy.built"
_IMAGE = "daeploy.image."
_OWNER = ("project", "name", "version", "registry")
PORT = "daeploy.port"
ENDPOINT = "daeploy.endpoint"
# One start's own mark: an interrupted one removes what it made, and no more.
ATTEMPT = "daeploy.attempt"


def image_label(project: str) -> str:
    """
    Return the label that the images have which we build for a project.

    One of its own for each project, so that one label, which is one step of the
    build, tells everything and finds all of them.
    """
    return f"{_IMAGE}{project}"


def image_labels(
    spec: Spec, digest: str, registry: str, attempt: str
) -> dict[str, str]:
    """
    Return the labels of an image that we build.

    They differ by version, so that two versions of one directory have images of
    their own, and the removal of one leaves the other; and by attempt, so that
    one that fails removes no image but its own. They are not those of containers,
    because what a person runs from the image for a look inherits them.
    """
    owner = {
        "project": spec.project,
        "name": spec.name,
        "version": spec.version,
        "registry": registry,
        "digest": digest,
        "attempt": attempt,
    }
    text = json.dumps(owner, separators=(",", ":"))
    return {image_label(spec.project): text}


def container_labels(spec: Spec, artifact: Artifact, registry: str) -> dict[str, str]:
    """Return the labels that a container can be adopted from."""
    return {
        PROJECT: spec.project,
        NAME: spec.name,
        VERSION: spec.version,
        REGISTRY: registry,
        DIGEST: artifact.source_digest,
        ORIGIN: artifact.source_origin,
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


def image_identities(labels: Mapping[str, str] | None) -> list[Identity]:
    """
    Return what an image was built for; empty if we did not build it.

    More than one if it was made from an image of ours, for another project.
    """
    texts = [text for key, text in (labels or {}).items() if key.startswith(_IMAGE)]
    found = (_identity(*map(_members(text).get, _OWNER)) for text in texts)
    return [identity for identity in found if identity is not None]


def image_attempt(labels: Mapping[str, str] | None, project: str) -> str:
    """Return which build an image of a project is from; "" if that is not known."""
    return str(
        _members((labels or {}).get(image_label(project), "")).get("attempt", "")
    )


def _members(text: str) -> dict[str, object]:
    try:
        members = json.loads(text)
    except ValueError:
        return {}
    return members if isinstance(members, dict) else {}


# Listing is frequent, and labels never change.
@functools.lru_cache(maxsize=1024)
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


@functools.lru_cache(maxsize=1024)
def spec_of(text: str) -> Spec | None:
    """Return the spec in a label; None if it cannot be read."""
    try:
        return spec_from_json(text)
    except ValueError:
        return None


NOTHING: Mapping[str, str] = MappingProxyType({})
