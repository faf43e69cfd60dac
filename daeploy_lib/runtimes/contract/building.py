"""Checks of what a runtime builds."""

# Assertions are what a contract is made of.
# ruff: noqa: S101

from daeploy_lib.errors import BuildError, SourceError
from daeploy_lib.runtimes.base import Event
from daeploy_lib.runtimes.contract.case import Contract, nobody, raised
from daeploy_lib.sources.image import Image


def check_description(contract: Contract) -> None:
    """The description is text for people, also before anything is contacted."""
    text = contract.runtime.description
    assert text, "description is empty"
    assert text.isprintable(), f"description is not one line: {text!r}"


def check_build(contract: Contract) -> None:
    """A build reports its steps and gives an artifact of the source's digest."""
    events = list[Event]()
    source = contract.sources["answers"]
    artifact = contract.runtime.build(
        contract.spec(), source, events.append, registry=contract.registry
    )
    assert artifact.image, "the artifact has no id"
    assert artifact.source_digest == source.digest, "the digest is not the source's"
    assert artifact.source_origin == source.origin, "the origin is not the source's"
    assert events, "no event was reported"
    assert {event.stage for event in events} == {"build"}, f"other stages: {events}"
    assert all(e.text.strip() and "\n" not in e.text for e in events), events


def check_build_of_two_versions(contract: Contract) -> None:
    """Versions of one source are artifacts of their own: one may go alone."""
    runtime, source = contract.runtime, contract.sources["answers"]
    made = [
        runtime.build(
            contract.spec(version=version), source, nobody, registry=contract.registry
        )
        for version in ("1.0.0", "2.0.0")
    ]
    assert made[0].image != made[1].image, "two versions share an artifact"
    runtime.remove_artifact(contract.spec(), registry=contract.registry)
    instance = runtime.start(
        contract.spec(version="2.0.0"), made[1], registry=contract.registry
    )
    assert instance.version == "2.0.0", instance


def check_fetch(contract: Contract) -> None:
    """An image is nobody's to remove; one that cannot be had is an error."""
    runtime, spec = contract.runtime, contract.spec()
    # Nothing is pulled: a registry need not be in reach.
    image = Image("daeploy-contract-none:1", pull="never")
    refusal: SourceError | None = None
    try:
        artifact = runtime.fetch(spec, image, nobody)
        assert not artifact.is_built, "an image that we did not build is kept"
        assert artifact.source_digest.startswith("sha256:"), artifact
        assert artifact.source_origin, "the artifact has no origin"
    except SourceError as error:
        refusal = error
    if refusal is not None:
        assert refusal.stage == "source", refusal.stage
        assert (refusal.name, refusal.version) == (spec.name, spec.version), refusal
    contract.assert_nothing_left()


def check_failed_build(contract: Contract) -> None:
    """A build that fails says why and leaves nothing."""
    spec = contract.spec("unbuildable")
    error = raised(BuildError, lambda: contract.start("unbuildable"))
    assert error.stage == "build", error.stage
    assert (error.name, error.version) == (spec.name, spec.version), error
    assert error.log_lines, "the error has no lines of output"
    contract.assert_nothing_left()
