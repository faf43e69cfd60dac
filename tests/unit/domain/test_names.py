"""Names and versions: what is allowed, and that no two share an encoding."""

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib.domain.names import (
    NAME_MAX,
    VERSION_MAX,
    check_name,
    check_version,
    container_name,
    image_tag,
    version_segment,
)

# The engine's own patterns: daemon/names, and distribution's reference.
DOCKER_CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", re.ASCII)
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
DOCKER_IMAGE = re.compile(
    rf"{_COMPONENT}(?:/{_COMPONENT})*:\w[\w.-]{{0,127}}", re.ASCII
)
DOCKER_REPOSITORY_MAX = 255

NAMES = st.from_regex(r"[a-z0-9]+([_-][a-z0-9]+)*", fullmatch=True).filter(
    lambda name: len(name) <= NAME_MAX
)
VERSIONS = st.from_regex(r"[0-9A-Za-z][0-9A-Za-z.+-]*", fullmatch=True).filter(
    lambda version: len(version) <= VERSION_MAX
)


def _all_texts(alphabet: str, longest: int) -> Iterator[str]:
    for length in range(1, longest + 1):
        yield from map("".join, itertools.product(alphabet, repeat=length))


def _accepted(check: Callable[[str], str], texts: Iterator[str]) -> list[str]:
    accepted = []
    for text in texts:
        with contextlib.suppress(ValueError):
            accepted.append(check(text))
    return accepted


# Every short name and version over few letters, so that all of those that come
# close to one another are among them.
SHORT_NAMES = _accepted(check_name, _all_texts("a1_-", 4))
SHORT_VERSIONS = _accepted(check_version, _all_texts("a1.+-", 3))
SERVICES = st.tuples(NAMES, NAMES, VERSIONS)


@given(NAMES)
def test_every_name_of_the_pattern_is_accepted(name: str) -> None:
    """A name that follows the rule is returned as it is."""
    assert check_name(name) == name


@given(VERSIONS)
def test_every_version_of_the_pattern_is_accepted(version: str) -> None:
    """A version that follows the rule is returned as it is."""
    assert check_version(version) == version


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Hello",
        "hello ",
        " hello",
        "hello\n",
        "hello\r\n",
        "-hello",
        "hello-",
        "_hello",
        "hello_",
        "a--b",
        "a__b",
        "a-_b",
        "a.b",
        "a/b",
        "..",
        "a+b",
        "a%2fb",
        "a\0b",
        "héllo",
        "hello\uff11",
        "hello\u0663",
        "\u210cello",
        "a" * (NAME_MAX + 1),
    ],
)
def test_other_names_are_refused_with_the_rule(name: str) -> None:
    """Anything else is a ValueError that says what is allowed."""
    with pytest.raises(ValueError, match=r"Allowed: lower-case letters and digits"):
        check_name(name)


@pytest.mark.parametrize(
    "version",
    [
        "",
        ".1",
        "-1",
        "+1",
        "1_0",
        "1.0 ",
        "1.0\n",
        "1/0",
        "1:0",
        "1\0",
        "\uff11.0",
        "1.\u0663",
        "vé",
        "1" * (VERSION_MAX + 1),
    ],
)
def test_other_versions_are_refused_with_the_rule(version: str) -> None:
    """Anything else is a ValueError that says what is allowed."""
    with pytest.raises(ValueError, match=r"Allowed: letters, digits, '\.', '\+'"):
        check_version(version)


@given(st.text())
def test_what_is_accepted_is_ascii(text: str) -> None:
    """No text outside ASCII passes either rule."""
    for check in (check_name, check_version):
        try:
            check(text)
        except ValueError:
            continue
        assert text.isascii()
        assert text.isprintable()


@pytest.mark.parametrize("value", [None, 1, 1.0, b"hello", ["hello"], True])
def test_a_name_that_is_no_string_is_a_type_error(value: object) -> None:
    """What is no string is a TypeError that says so."""
    with pytest.raises(TypeError, match="must be a string"):
        check_name(value)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be a string"):
        check_version(value)  # type: ignore[arg-type]


def test_the_message_names_what_was_checked() -> None:
    """A project's refusal speaks of the project, and shows it."""
    with pytest.raises(ValueError, match="Invalid project 'My Project'"):
        check_name("My Project", "project")


def test_limits_are_inclusive() -> None:
    """The longest name and version pass."""
    assert check_name("a" * NAME_MAX)
    assert check_version("1" * VERSION_MAX)


@given(NAMES, NAMES, VERSIONS)
def test_encodings_are_valid_for_the_engine(
    project: str, name: str, version: str
) -> None:
    """Every encoding matches the engine's own pattern in full."""
    assert DOCKER_CONTAINER.fullmatch(container_name(project, name, version))
    tag = image_tag(project, name, version)
    assert DOCKER_IMAGE.fullmatch(tag)
    assert len(tag.partition(":")[0]) <= DOCKER_REPOSITORY_MAX


def test_the_longest_encodings_are_valid_for_the_engine() -> None:
    """The limits leave room for what the engine allows."""
    longest = ("p" * NAME_MAX, "n" * NAME_MAX, "1" * VERSION_MAX)
    assert DOCKER_CONTAINER.fullmatch(container_name(*longest))
    assert DOCKER_IMAGE.fullmatch(image_tag(*longest))


@pytest.mark.no_cover  # the same lines, thousands of times
@given(SERVICES, SERVICES)
def test_different_services_have_different_encodings(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    """Two different services never share a container name or an image tag."""
    assert (one == other) == (container_name(*one) == container_name(*other))
    assert (one == other) == (image_tag(*one) == image_tag(*other))


def test_encodings_are_injective_over_all_short_services() -> None:
    """Not one container name or image tag comes twice, whatever stands beside."""
    services = list(itertools.product(SHORT_NAMES, SHORT_NAMES, SHORT_VERSIONS))
    assert len({container_name(*service) for service in services}) == len(services)
    assert len({image_tag(*service) for service in services}) == len(services)


def test_version_segments_are_injective_over_all_short_versions() -> None:
    """Two different versions never share their own route."""
    versions = list(itertools.product(SHORT_NAMES, SHORT_VERSIONS))
    assert len({version_segment(*version) for version in versions}) == len(versions)
