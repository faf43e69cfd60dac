"""Versions from images that exist, on the runtime without an engine."""

import re
from pathlib import Path

import pytest

from daeploy_lib import Deployer, Image, NotReadyError, Readiness, StartError
from daeploy_lib.domain.spec import Spec
from daeploy_lib.runtimes.base import Artifact, Event, OnEvent
from daeploy_lib.testing import Behaviour, MemoryRuntime

DOCUMENT = Path(__file__).parents[3] / "docs" / "images.md"
HINT = "The image exposes 80/tcp."


class Hinting(MemoryRuntime):
    """A runtime whose images have a hint."""

    def fetch(self, spec: Spec, image: Image, on_event: OnEvent) -> Artifact:
        """Return an image with a hint."""
        found = super().fetch(spec, image, on_event)
        return Artifact(found.image, found.source_digest, is_built=False, hints=(HINT,))


def test_what_runs_is_in_inspect(tmp_path: Path) -> None:
    """Digest, origin, image and the names of variables are told, and no value."""
    with Deployer(MemoryRuntime(), state=tmp_path) as deployer:
        events = list[Event]()
        deployer.deploy(
            "hello",
            "1.0.0",
            Image("hello:1.0"),
            environment={"TOKEN": "hunter2", "A": "hunter3"},
            on_event=events.append,
        )
        found = deployer.inspect("hello")
        digest = found["source_digest"]
        assert str(digest).startswith("sha256:")
        assert found["source_origin"] == f"hello:1.0@{digest}"
        assert found["image"] == digest
        assert found["environment"] == ("A", "TOKEN")
        assert "hunter" not in repr(found)
        assert [event.stage for event in events][:2] == ["source", "source"]
        assert "build" not in {event.stage for event in events}
        deployer.kill("hello")


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (Behaviour(exit_code=1), StartError),
        (Behaviour(is_silent=True), NotReadyError),
    ],
)
def test_a_hint_is_told_when_it_does_not_answer(
    tmp_path: Path, behaviour: Behaviour, error: type[Exception]
) -> None:
    """What may be wrong with an image is in the error of a failed start."""
    runtime = Hinting({"hello": behaviour})
    with Deployer(runtime, state=tmp_path) as deployer:
        with pytest.raises(error, match=HINT):
            deployer.deploy(
                "hello",
                "1.0.0",
                Image("hello:1.0"),
                readiness=Readiness(timeout=0.5),
                on_event=list[Event]().append,
            )
        assert len(deployer.ls()) == 0


def test_the_document_runs(tmp_path: Path) -> None:
    """The code of the document on images runs, one block after another."""
    text = DOCUMENT.read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    with Deployer(MemoryRuntime(), state=tmp_path, ephemeral=True) as deployer:
        names: dict[str, object] = {"given": deployer}
        for block in blocks:
            code = block.replace("Deployer()", "given")
            exec(compile(code, str(DOCUMENT), "exec"), names)  # noqa: S102 - our text
        assert {(s.name, s.version) for s in deployer.ls()} == {
            ("hello", "1.0.0"),
            ("hello", "2.0.0"),
            ("web", "1.0.0"),
            ("web", "2.0.0"),
        }


def test_the_same_digest_as_mains_is_a_control(tmp_path: Path) -> None:
    """Another tag of main's image is main once more, and another image is not."""
    quiet = list[Event]().append
    digest = "sha256:" + "1" * 64
    with Deployer(MemoryRuntime(), state=tmp_path, ephemeral=True) as deployer:
        deployer.deploy("hello", "1", Image(f"hello:1@{digest}"), on_event=quiet)
        deployer.deploy("hello", "2", Image(f"hello:2@{digest}"), on_event=quiet)
        deployer.deploy("hello", "3", Image("hello:3"), on_event=quiet)
        report = deployer.report("hello")
        assert {s.version: s.is_control for s in report.shadows} == {
            "2": True,
            "3": False,
        }
