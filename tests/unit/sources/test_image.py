"""Names of images: what is one, what it says, and what is refused before use."""

import pytest

from daeploy_lib import Image

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("reference", "name", "tag", "asked"),
    [
        ("hello", "hello", "latest", "hello:latest"),
        ("hello:1.0", "hello", "1.0", "hello:1.0"),
        ("team/a__b-c.d:V_1", "team/a__b-c.d", "V_1", "team/a__b-c.d:V_1"),
        ("localhost:5000/x", "localhost:5000/x", "latest", "localhost:5000/x:latest"),
        ("[::1]:5000/x:1", "[::1]:5000/x", "1", "[::1]:5000/x:1"),
        ("Reg.example/x:1", "Reg.example/x", "1", "Reg.example/x:1"),
        (f"hello@{DIGEST}", "hello", "", f"hello@{DIGEST}"),
        (f"hello:1@{DIGEST}", "hello", "1", f"hello@{DIGEST}"),
        (DIGEST, "", "", DIGEST),
    ],
)
def test_a_name_is_read_as_the_engine_reads_it(
    reference: str, name: str, tag: str, asked: str
) -> None:
    """Host, name, tag and digest are told apart; a digest decides over a tag."""
    image = Image(reference)
    assert (image.name, image.tag, image.engine_name) == (name, tag, asked)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "-h",
        "--privileged",
        "hello:",
        "hello:-x",
        "hello\n",
        "Hello",
        "héllo",
        "hello:1:2",
        "a//b",
        "/a",
        "a/",
        "../a",
        "hello@sha256:12",
        "hello:" + "x" * 129,
        "x" * 256,
        "hello world",
        "hello?tag=1",
        "hello:१",
    ],
)
def test_what_is_no_name_is_refused(reference: str) -> None:
    """A wrong name is a ValueError before the engine is asked anything."""
    with pytest.raises(ValueError, match="Invalid image"):
        Image(reference)


def test_an_address_with_a_password_is_not_repeated() -> None:
    """What may have a password in it is not shown in the error."""
    with pytest.raises(ValueError, match="an address") as caught:
        Image("https://me:hunter2@registry.example/hello:1")
    assert "hunter2" not in str(caught.value)


def test_other_wrong_arguments() -> None:
    """A wrong pull or kind of name says what is right."""
    with pytest.raises(TypeError, match="by text, not by NoneType"):
        Image(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='must be "missing", "always" or "never"'):
        Image("hello", pull="sometimes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="names no registry"):
        Image(DIGEST, pull="always")


@pytest.mark.parametrize(
    "repository", ["hello", "docker.io/library/hello", "index.docker.io/library/hello"]
)
def test_names_of_docker_hub_are_the_same(repository: str) -> None:
    """Docker Hub's host may be left out, and no other."""
    assert Image("hello").is_of(repository)
    assert not Image("hello").is_of(f"registry.example/{repository}")
