"""Words of a command line become the values that the verbs take, or a sentence."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daeploy_lib import Gate, Mount
from daeploy_lib.cli import words
from daeploy_lib.cli.source import SourceKind, source_of

SECRET = "hunter2 secret"


def test_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs win over the file; a name alone takes its value from here."""
    monkeypatch.setenv("FROM_HERE", SECRET)
    file = tmp_path / "service.env"
    file.write_text("# comment\n\nA=file\nexport B= b=c \nFROM_HERE\n", "utf-8")
    found = words.environment_of(["A=", "C=x=y"], file)
    assert found == {"A": "", "B": " b=c", "C": "x=y", "FROM_HERE": SECRET}
    assert words.environment_of([], None) == {}


def test_what_is_no_pair_is_not_repeated(tmp_path: Path) -> None:
    """It may be a secret, in a file as on the command line."""
    file = tmp_path / "service.env"
    file.write_text(f"A=1\n{SECRET}\n", "utf-8")
    for pairs, where, named in (
        ([SECRET], None, "--env: "),
        ([], file, f"{file}, line 2: "),
    ):
        with pytest.raises(ValueError, match="NAME=VALUE") as caught:
            words.environment_of(pairs, where)
        assert SECRET not in str(caught.value)
        assert str(caught.value).startswith(named)
    file.write_bytes(b"\xff")
    with pytest.raises(ValueError, match="UTF-8"):
        words.environment_of([], file)


def test_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read-only unless asked otherwise; a relative path is of this directory."""
    monkeypatch.chdir(tmp_path)
    found = words.mounts_of(["./models:/models", "/data:/data:rw", "../x:/x:ro"])
    assert found == [
        Mount(str(tmp_path / "models"), "/models"),
        Mount("/data", "/data", read_only=False),
        Mount(str(tmp_path.parent / "x"), "/x"),
    ]


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (lambda text: words.mounts_of([text]), "/models"),
        (lambda text: words.mounts_of([text]), ":/models"),
        (lambda text: words.mounts_of([text]), "/a:/b:wr"),
        (lambda text: words.mounts_of([text]), "/a:b"),
        (words.command_of, "python 'service.py"),
        (words.tail_of, "ten"),
        (words.tail_of, "-1"),
        (words.since_of, "yesterday"),
        (words.since_of, "999999999d"),
        (lambda text: words.gate_of({"agreement": text}), "much"),
        (lambda text: words.gate_of({"agreement": text}), "1"),
        (lambda text: words.gate_of({"min_exchanges": text}), "1.5"),
    ],
)
def test_what_is_wrong_is_named(read: Callable[[str], object], text: str) -> None:
    """As a sentence, before anything happens."""
    with pytest.raises(ValueError, match=r"^[-A-Z].+\.$"):
        read(text)


def test_what_is_right_is_read() -> None:
    """Each word has its value."""
    assert words.command_of(None) is None
    assert words.command_of("python 'my service.py' -v") == [
        *("python", "my service.py", "-v"),
    ]
    assert (words.gpus_of("2"), words.gpus_of("all")) == (2, "all")
    assert (words.tail_of("all"), words.tail_of("0")) == (None, 0)
    assert words.since_of(None) is None
    assert words.since_of("2026-11-23 11:30") == datetime(2026, 11, 23, 11, 30)  # noqa: DTZ001
    ago = words.since_of("90s")
    assert ago is not None
    assert timedelta(0) <= datetime.now(UTC) - ago - timedelta(seconds=90)
    given = {"agreement": "0.98", "latency_ratio": "none", "min_exchanges": "10"}
    assert words.gate_of({**given, "tail_ratio": None}) == Gate(
        10, agreement=0.98, latency_ratio=None
    )


def test_sources() -> None:
    """A path by itself; options that contradict one another are refused."""
    assert source_of("./hello", SourceKind()) == "./hello"
    for kind in (
        SourceKind(is_git=True, is_image=True),
        SourceKind(ref="v1"),
        SourceKind(is_image=True, subdirectory="x"),
    ):
        with pytest.raises(ValueError, match="--git"):
            source_of("x", kind)
    with pytest.raises(ValueError, match="--image"):
        source_of("x", SourceKind(pull="never"))
    with pytest.raises(ValueError, match="--git") as caught:
        source_of("https://me:hunter2@example.com/hello.git", SourceKind())
    assert "hunter2" not in str(caught.value)
