"""What engines say of a pull that failed, and what it is told as."""

from typing import Any

import pytest

from daeploy_lib import Hardening, Image
from daeploy_lib.domain.spec import Spec
from daeploy_lib.runtimes.docker.fetching import _artifact, _hints
from daeploy_lib.runtimes.docker.pulling import _Progress, _refused

SPEC = Spec("default", "hello", "1.0.0")
ID, ONE, TWO = ("sha256:" + digit * 64 for digit in "123")


# As Docker 20.10 to 28 and Podman 4 say it.
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("manifest for x:9 not found: manifest unknown: manifest unknown", "or tag"),
        ("something unheard of", "the engine refused to pull it"),
        (
            (
                "pull access denied for x, repository does not exist or may require "
                "'docker login': denied: requested access to the resource is denied"
            ),
            "docker login",
        ),
        (
            "no matching manifest for linux/arm64/v8 in the manifest list entries",
            "not made for the engine's platform",
        ),
        (
            "failed to register layer: write /x: no space left on device",
            "disk is full",
        ),
        ("toomanyrequests: You have reached your pull rate limit.", "refuses more"),
        (
            'Get "https://r.example/v2/": dial tcp: lookup r.example: no such host',
            "cannot be reached",
        ),
        (
            (
                'Get "https://r.example/v2/": net/http: request canceled while waiting '
                "for connection (Client.Timeout exceeded while awaiting headers)"
            ),
            "cannot be reached",
        ),
        (
            'Get "https://r:5000/v2/": http: server gave HTTP response to HTTPS client',
            "no certificate",
        ),
        (
            'Get "https://r/v2/": x509: certificate signed by unknown authority',
            "no certificate",
        ),
        (
            f"filesystem layer verification failed for digest {ID}",
            "not what it promised",
        ),
    ],
)
def test_each_reason_is_told_with_its_remedy(words: str, told: str) -> None:
    """The engine's words are kept, and what they mean stands before them."""
    error = _refused(SPEC, Image("x:9"), words)
    assert told in error.message
    assert words.strip(".") in error.message
    assert (error.name, error.version, error.stage) == ("hello", "1.0.0", "source")


def test_a_pull_is_a_line_for_each_layer() -> None:
    """Hundreds of messages of progress are one event for each finished layer."""
    progress = _Progress()
    messages: list[dict[str, Any]] = [
        {"status": "Pulling from x", "id": "9"},
        {"status": "Pulling fs layer", "id": "a"},
        {"status": "Pulling fs layer", "id": "b"},
        *({"status": "Downloading", "id": "a"} for _ in range(100)),
        {"status": "Pull complete", "id": "a"},
        {"status": "Pull complete", "id": "b"},
        {"status": f"Digest: {ONE}"},
        {"status": "Status: Downloaded newer image for x:9"},
    ]
    events = [event for message in messages for event in progress.read(message)]
    assert [(event.step, event.steps) for event in events] == [(1, 2), (2, 2)]
    assert progress.digest == ONE


@pytest.mark.parametrize(
    ("image", "known", "pulled", "digest", "origin"),
    [
        (Image("x"), [], "", ID, f"x:latest, local image {ID}"),
        (Image(ID), [], "", ID, f"local image {ID}"),
        (Image("x"), [f"x@{TWO}", f"x@{ONE}"], TWO, TWO, f"x:latest@{TWO}"),
        (Image("x"), [f"docker.io/library/x@{ONE}"], "", ONE, f"x:latest@{ONE}"),
        (Image("x"), [f"r/y@{ONE}"], "", ONE, f"x:latest, which is r/y@{ONE}"),
        (Image(f"x@{TWO}"), [f"x@{ONE}", f"x@{TWO}"], "", TWO, f"x@{TWO}"),
    ],
)
def test_an_image_is_known_by_its_digest(
    image: Image, known: list[str], pulled: str, digest: str, origin: str
) -> None:
    """The digest that registries know it by; without one, its ID."""
    found = _artifact(image, {"Id": ID, "RepoDigests": known}, pulled)
    assert (found.image, found.source_digest) == (ID, digest)
    assert (found.source_origin, found.is_built) == (origin, False)


def test_hints_are_given_where_they_may_help() -> None:
    """Of processor, ports and root: what the image says of itself, and no more."""
    plain = {
        "Architecture": "amd64",
        "Config": {"User": "app", "ExposedPorts": {"8000/tcp": {}}},
    }
    assert _hints(SPEC, plain, "amd64") == ()
    other = {"Architecture": "arm64", "Config": {"ExposedPorts": {"80/tcp": {}}}}
    processor, port, root = _hints(SPEC, other, "amd64")
    assert "made for arm64" in processor
    assert "exposes 80/tcp and is asked on 8000" in port
    assert "runs as root" in root
    given = Spec("default", "hello", "1", hardening=Hardening(capabilities=("CHOWN",)))
    assert len(_hints(given, other, "arm64")) == 1
