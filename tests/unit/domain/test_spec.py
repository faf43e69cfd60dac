"""What a version is deployed with: validation, secrets, and the JSON of it."""

import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib.domain.encoding import spec_from_json, spec_to_json
from daeploy_lib.domain.spec import (
    MEMORY_MIN,
    Hardening,
    Mount,
    Readiness,
    Resources,
    Spec,
    memory_bytes,
)

SECRET = "hunter2-hunter2"


def spec(**arguments: Any) -> Spec:
    """Return a spec that is right but for the arguments."""
    return Spec("default", "hello", "1.0.0", **arguments)


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (MEMORY_MIN, MEMORY_MIN),
        ("6m", MEMORY_MIN),
        ("512m", 512 * 1024**2),
        ("512MB", 512 * 1024**2),
        ("2g", 2 * 1024**3),
        ("8192k", 8 * 1024**2),
        ("8388608", 8 * 1024**2),
        ("8388608b", 8 * 1024**2),
        (" 512m\n", 512 * 1024**2),
        (2**63 - 1, 2**63 - 1),
    ],
)
def test_memory_is_bytes_or_text_with_a_unit(value: int | str, amount: int) -> None:
    """Units are powers of 1,024, in either case."""
    assert memory_bytes(value) == amount


@pytest.mark.parametrize(
    "value",
    [
        "",
        "m",
        "1.5g",
        "512x",
        "-512m",
        "\u0665\u0661\u0662m",
        "512 m m",
        "5m",
        "9" * 30 + "g",
        "1" * 5000,
        0,
        -1,
        MEMORY_MIN - 1,
        2**63,
    ],
)
def test_other_amounts_are_refused_with_what_is_allowed(value: int | str) -> None:
    """Too little, too much and not an amount are ValueErrors."""
    with pytest.raises(ValueError, match="Allowed: bytes, or text such as '512m'"):
        memory_bytes(value)


WRONG_VALUES: dict[str, tuple[Callable[[], object], str]] = {
    "cpus 0": (lambda: Resources(cpus=0), "cpus must be positive"),
    "cpus nan": (lambda: Resources(cpus=float("nan")), "cpus must be positive"),
    "cpus inf": (lambda: Resources(cpus=float("inf")), "cpus must be positive"),
    "pids 0": (lambda: Resources(pids=0), "pids must be positive"),
    "gpus -1": (lambda: Resources(gpus=-1), "a count or 'all'"),
    "gpus some": (lambda: Resources(gpus="some"), "a count or 'all'"),
    "gpus yes": (lambda: Resources(gpus=True), "a count or 'all'"),
    "tmpfs": (lambda: Hardening(tmpfs_size=1), "Allowed: bytes"),
    "user empty": (lambda: Hardening(user=""), "Allowed: 'uid', 'uid:gid'"),
    "user parts": (lambda: Hardening(user="1:2:3"), "Allowed: 'uid', 'uid:gid'"),
    "user line": (lambda: Hardening(user="1000\n"), "Allowed: 'uid', 'uid:gid'"),
    "capability": (
        lambda: Hardening(capabilities=("net raw",)),
        "names such as 'NET_RAW'",
    ),
    "path relative": (lambda: Readiness("health"), "It begins with '/'"),
    "path space": (lambda: Readiness("/a b"), "ASCII without spaces"),
    "path line": (lambda: Readiness("/a\r\nx: y"), "ASCII without spaces"),
    "path fragment": (lambda: Readiness("/a#b"), "ASCII without spaces"),
    "path letters": (lambda: Readiness("/é"), "ASCII without spaces"),
    "timeout 0": (lambda: Readiness(timeout=0), "timeout must be positive"),
    "interval -1": (lambda: Readiness(interval=-1), "interval must be positive"),
    "mount source": (lambda: Mount("data", "/data"), "must be an absolute path"),
    "mount target": (lambda: Mount("/data", "data"), "must be an absolute path"),
    "mount up": (lambda: Mount("/a/../b", "/data"), "must be an absolute path"),
    "mount nul": (lambda: Mount("/a\0", "/data"), "must be an absolute path"),
    "mount root": (lambda: Mount("/a", "//"), "a directory below '/'"),
    "port 0": (lambda: spec(port=0), "Allowed: 1 to 65535"),
    "port 65536": (lambda: spec(port=65536), "Allowed: 1 to 65535"),
    "command empty": (lambda: spec(command=()), "at least one word"),
    "command nul": (lambda: spec(command=("a\0",)), "text without NUL"),
    "command bytes": (lambda: spec(command=(b"a",)), "each of text"),
    "variable": (lambda: spec(environment={"1A": ""}), "Allowed: letters, digits"),
    "variable line": (lambda: spec(environment={"A\n": ""}), "Allowed: letters"),
    "variable empty": (lambda: spec(environment={"": ""}), "Allowed: letters"),
    "value nul": (lambda: spec(environment={"A": "\0"}), "value of A has a NUL"),
    "project": (lambda: Spec("My Project", "a", "1"), "Invalid project"),
    "name": (lambda: Spec("p", "A", "1"), "Invalid name"),
    "version": (lambda: Spec("p", "a", "1_0"), "Invalid version"),
}

WRONG_TYPES: dict[str, tuple[Callable[[], Any], str]] = {
    "memory": (lambda: Resources(memory=1.5), "bytes or text"),  # type: ignore[arg-type]
    "memory yes": (lambda: Resources(memory=True), "bytes or text"),
    "cpus": (lambda: Resources(cpus="1"), "must be a number"),  # type: ignore[arg-type]
    "cpus yes": (lambda: Resources(cpus=True), "must be a number"),
    "pids": (lambda: Resources(pids=1.0), "whole number"),  # type: ignore[arg-type]
    "root": (
        lambda: Hardening(read_only_root="no"),  # type: ignore[arg-type]
        "read_only_root must be True or False",
    ),
    "privileges": (
        lambda: Hardening(no_new_privileges=0),  # type: ignore[arg-type]
        "no_new_privileges must be True or False",
    ),
    "user": (lambda: Hardening(user=1000), "text such as"),  # type: ignore[arg-type]
    "capabilities": (
        lambda: Hardening(capabilities="NET_RAW"),
        "a sequence of names",
    ),
    "path": (lambda: Readiness(b"/"), "must be text"),  # type: ignore[arg-type]
    "timeout": (lambda: Readiness(timeout="1"), "a number"),  # type: ignore[arg-type]
    "read_only": (
        lambda: Mount("/a", "/a", read_only="ro"),  # type: ignore[arg-type]
        "read_only must be True or False",
    ),
    "port": (lambda: spec(port="8000"), "must be a whole number"),
    "port yes": (lambda: spec(port=True), "must be a whole number"),
    "command": (lambda: spec(command="python service.py"), "a sequence of words"),
    "mounts": (lambda: spec(mounts=[("/a", "/b")]), r"must be Mount\(...\) values"),
    "environment": (lambda: spec(environment=["A=B"]), "a mapping from names"),
    "variable": (lambda: spec(environment={1: ""}), "name must be a string"),
    "value": (lambda: spec(environment={"A": 1}), "value of A must be a string"),
    "resources": (lambda: spec(resources={}), r"must be Resources\(...\)"),
    "hardening": (lambda: spec(hardening=None), r"must be Hardening\(...\)"),
    "readiness": (lambda: spec(readiness="/"), r"must be Readiness\(...\)"),
}


@pytest.mark.parametrize("case", WRONG_VALUES)
def test_wrong_values_are_refused_with_what_is_allowed(case: str) -> None:
    """Every wrong value is a ValueError whose message says what is allowed."""
    make, message = WRONG_VALUES[case]
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("case", WRONG_TYPES)
def test_wrong_types_are_refused_with_what_is_allowed(case: str) -> None:
    """Every wrong type is a TypeError whose message says what is allowed."""
    make, message = WRONG_TYPES[case]
    with pytest.raises(TypeError, match=message):
        make()


def test_the_defaults_are_those_of_the_contract() -> None:
    """Hardened, bounded and probed on / for a minute."""
    assert attrs.astuple(Resources()) == (512 * 1024**2, 1.0, 256, 0)
    assert Hardening().no_new_privileges
    assert Hardening().capabilities == ()
    assert attrs.astuple(Readiness()) == ("/", 60.0, 0.1)
    assert Mount("/a", "/b").read_only


def test_paths_may_be_given_as_path_objects() -> None:
    """A mount takes what pathlib makes."""
    assert Mount(Path("/a/b"), Path("/c")).source == "/a/b"


def test_a_spec_does_not_follow_its_arguments() -> None:
    """Changing what was given changes nothing, nor can the spec's own."""
    environment = {"A": "1"}
    words = ["python"]
    made = spec(environment=environment, command=words)
    environment["B"] = "2"
    words.append("x")
    assert dict(made.environment) == {"A": "1"}
    assert made.command == ("python",)
    with pytest.raises(TypeError):
        made.environment["B"] = "2"  # type: ignore[index]


def test_environment_values_appear_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Not in repr, str, JSON or a log record; the names do."""
    made = spec(environment={"TOKEN": SECRET})
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("%s %r", made, made)
    shown = [repr(made), str(made), f"{made}", spec_to_json(made), caplog.text]
    assert not any(SECRET in text for text in shown)
    assert all("TOKEN" in text for text in shown)
    assert made.environment["TOKEN"] == SECRET


@pytest.mark.parametrize(
    "arguments",
    [
        {"environment": {f"TOKEN={SECRET}": ""}},
        {"environment": {"TOKEN": f"{SECRET}\0"}},
        {"environment": {"TOKEN": SECRET.encode()}},
        {"environment": {"TOKEN": [SECRET]}},
        {"environment": [f"TOKEN={SECRET}"]},
        {"environment": {"TOKEN": SECRET}, "port": 0},
        {"environment": {"TOKEN": SECRET}, "readiness": None},
        {"command": ("serve", "--token", SECRET, 1)},
    ],
)
def test_no_refusal_shows_a_secret(arguments: dict[str, Any]) -> None:
    """Neither the message nor its causes hold an environment value."""
    with pytest.raises((TypeError, ValueError)) as caught:
        spec(**arguments)
    assert SECRET not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


WORDS = st.text(st.characters(blacklist_characters="\0"), max_size=10)
PATHS = st.from_regex(r"/[a-z]{1,5}(/[a-z]{1,5}){0,2}", fullmatch=True)
POSITIVE = st.floats(min_value=0.01, max_value=1e6)
SPECS = st.builds(
    Spec,
    project=st.just("default"),
    name=st.sampled_from(["hello", "iris-model", "a_b"]),
    version=st.sampled_from(["1.0.0", "1+gpu", "v2-rc.1"]),
    port=st.integers(1, 65535),
    environment=st.dictionaries(
        st.from_regex(r"[A-Z_][A-Z0-9_.-]{0,8}", fullmatch=True), WORDS, max_size=3
    ),
    command=st.none() | st.lists(WORDS, min_size=1, max_size=3),
    mounts=st.lists(st.builds(Mount, PATHS, PATHS, st.booleans()), max_size=2),
    resources=st.builds(
        Resources,
        memory=st.integers(MEMORY_MIN, 2**63 - 1),
        cpus=POSITIVE,
        pids=st.integers(1, 10**6),
        gpus=st.integers(0, 8) | st.just("all"),
    ),
    hardening=st.builds(
        Hardening,
        read_only_root=st.none() | st.booleans(),
        user=st.sampled_from([None, "1000", "1000:1000", "app:app"]),
        capabilities=st.lists(st.sampled_from(["NET_RAW", "CHOWN"]), max_size=2),
        no_new_privileges=st.booleans(),
    ),
    readiness=st.builds(Readiness, path=PATHS, timeout=POSITIVE, interval=POSITIVE),
)


@given(SPECS)
def test_a_spec_survives_its_json_but_for_environment_values(made: Spec) -> None:
    """Everything comes back equal; environment names come back empty."""
    nameless = attrs.evolve(made, environment=dict.fromkeys(made.environment, ""))
    assert spec_from_json(spec_to_json(made)) == nameless


@given(st.text() | st.from_type(dict).map(str))
def test_any_other_text_is_a_value_error(text: str) -> None:
    """What is not the JSON of a spec is refused as such."""
    with pytest.raises(ValueError, match="Not the JSON of a spec"):
        spec_from_json(text)


@pytest.mark.parametrize(
    "change",
    [
        {"port": "8000"},
        {"port": None},
        {"environment": 5},
        {"mounts": [{"source": "/a"}]},
        {"mounts": [[]]},
        {"resources": {"memory": 1}},
        {"resources": {"shares": 1}},
        {"readiness": []},
        {"name": "A"},
    ],
)
def test_json_that_is_almost_a_spec_is_refused(change: dict[str, Any]) -> None:
    """A label that somebody edited is a ValueError, whatever is wrong."""
    fields = json.loads(spec_to_json(spec())) | change
    with pytest.raises(ValueError, match="Not the JSON of a spec"):
        spec_from_json(json.dumps(fields))
    del fields["version"]
    with pytest.raises(ValueError, match="Not the JSON of a spec"):
        spec_from_json(json.dumps(fields))
