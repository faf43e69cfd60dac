"""The engine's messages, times and words, read by the pure parts."""

import itertools
import json
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib.domain.service import Status
from daeploy_lib.domain.spec import Spec
from daeploy_lib.runtimes.base import Artifact
from daeploy_lib.runtimes.docker.build_events import BuildMessages
from daeploy_lib.runtimes.docker.hardening import is_root
from daeploy_lib.runtimes.docker.labels import (
    Identity,
    container_labels,
    identity_of,
    image_attempt,
    image_identities,
    image_labels,
)
from daeploy_lib.runtimes.docker.listing import full_id, of_inspection
from daeploy_lib.runtimes.docker.log_lines import LineReader, frame_header
from daeploy_lib.runtimes.docker.places import is_port_taken, network_host
from daeploy_lib.runtimes.docker.settings import Settings
from daeploy_lib.runtimes.docker.times import parse_time
from daeploy_lib.runtimes.uptime import human_duration, matches_uptime

STAMP = b"2026-11-22T11:30:00.123456789Z "
SPEC = Spec("default", "hello", "1.0.0+gpu")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T11:30:00Z", datetime(2026, 11, 22, 11, 30, tzinfo=UTC)),
        (
            "2026-11-22T11:30:00.123456789Z",
            datetime(2026, 11, 22, 11, 30, 0, 123456, tzinfo=UTC),
        ),
        (
            "2026-11-22T12:30:00.5+01:00",
            datetime(2026, 11, 22, 11, 30, 0, 500000, tzinfo=UTC),
        ),
        ("0001-01-01T00:00:00Z", None),
        ("2026-13-22T11:30:00Z", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_times(text: object, expected: datetime | None) -> None:
    """Nanoseconds are cut, zones kept, and never is None."""
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (59 * 60 + 59, "59 minutes"),
        (3600, "About an hour"),
        (89 * 60, "About an hour"),
        (90 * 60, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_durations_in_the_engine_s_words(seconds: float, words: str) -> None:
    """The words are those of docker/go-units, bound by bound."""
    assert human_duration(timedelta(seconds=seconds)) == words


NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@given(st.integers(0, 10**8), st.sampled_from(["", " (healthy)", " (Paused)"]))
def test_a_start_matches_its_own_uptime(seconds: int, more: str) -> None:
    """Whatever the age, the engine's words for it agree with it."""
    start = NOW - timedelta(seconds=seconds)
    words = human_duration(timedelta(seconds=seconds))
    assert matches_uptime(f"Up {words}{more}", start, NOW)


def test_a_restart_does_not_match() -> None:
    """A younger container, one that is down, and no record at all disagree."""
    start = NOW - timedelta(minutes=30)
    for text in ("Up 29 seconds", "Up 2 hours", "Exited (0) 30 minutes ago", ""):
        assert not matches_uptime(text, start, NOW)
    assert not matches_uptime("Up 30 minutes", None, NOW)


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\n\r")), max_size=6
    ),
    st.data(),
)
def test_any_frames_give_the_same_lines(texts: list[str], data: st.DataObject) -> None:
    """However the output is cut into frames, the lines are the same."""
    content = "".join(f"{text}\n" for text in texts).encode()
    cuts = data.draw(st.lists(st.integers(0, len(content)), max_size=8).map(sorted))
    edges = [0, *cuts, len(content)]
    frames = [content[a:b] for a, b in itertools.pairwise(edges)]
    reader = LineReader()
    lines = [line for f in frames for line in reader.read(1, STAMP + f)]
    assert [line.text for line in lines] == texts
    assert list(reader.end()) == []


def test_streams_do_not_mix() -> None:
    """A line that is half written on one stream is not ended by the other."""
    reader = LineReader()
    assert list(reader.read(1, STAMP + b"half")) == []
    [error] = reader.read(2, STAMP + b"error\n")
    assert (error.stream, error.text) == ("stderr", "error")
    [line] = reader.read(1, STAMP + b" line\r\n")
    assert (line.stream, line.text) == ("stdout", "half line")
    assert list(reader.read(1, STAMP + b"no end")) == []
    assert [line.text for line in reader.end()] == ["no end"]


def test_a_line_without_an_end_is_bounded() -> None:
    """What never ends is given in pieces, and not collected."""
    reader = LineReader()
    pieces = [p for _ in range(40) for p in reader.read(1, STAMP + b"x" * 65536)]
    assert len(pieces) == 2
    assert all(len(piece.text) <= 1024 * 1024 + 65536 for piece in pieces)


def test_output_that_looks_like_a_time() -> None:
    """Only the engine's own stamp is taken off."""
    [line] = LineReader().read(1, STAMP + STAMP + b"x\n")
    assert line.text == (STAMP + b"x").decode()
    [bare] = LineReader().read(1, b"no stamp\n")
    assert (bare.at, bare.text) == (None, "no stamp")


def test_frame_headers() -> None:
    """Stream and length, as the engine's documentation says."""
    assert frame_header(b"\x02\0\0\0\0\0\x01\x00") == (2, 256)


def test_build_messages() -> None:
    """Steps are counted, colours and ids left out, and the image is the last word."""
    messages = BuildMessages()
    texts = [
        "Step 1/2 : FROM base",
        "\n",
        " ---> 5d8e710bdb21\n",
        "Step 2/2 : RUN x",
        "\n",
        " ---> Running in 3ea6684033d4\n",
        "\x1b[91mwarn",
        "ing\n\x1b[0m",
        "10%\r100%\n",
        "Removing intermediate container 3ea6684033d4\n",
    ]
    events = [e for text in texts for e in messages.read({"stream": text})]
    assert [(e.step, e.text) for e in events] == [
        (1, "Step 1/2 : FROM base"),
        (2, "Step 2/2 : RUN x"),
        (2, "warning"),
        (2, "100%"),
    ]
    assert messages.containers == ["3ea6684033d4"]
    before = messages.image
    assert list(messages.read({"aux": {"ID": "sha256:1"}})) == []
    assert (before, messages.image) == (None, "sha256:1")
    assert messages.failure("hello", "1") is None


def test_podman_s_build_messages() -> None:
    """Podman writes steps in capitals and without a space."""
    messages = BuildMessages()
    [event] = messages.read({"stream": "STEP 2/9: RUN x\n"})
    assert (event.step, event.steps) == (2, 9)


def test_pull_messages() -> None:
    """A base image that is pulled shows its states, not each of its bytes."""
    messages = BuildMessages()
    [event] = messages.read({"status": "Pull complete", "id": "abc"})
    assert event.text == "abc Pull complete"
    progress = {"status": "Downloading", "progressDetail": {"current": 1}, "id": "abc"}
    assert list(messages.read(progress)) == []


@pytest.mark.parametrize(
    "message",
    [
        {"errorDetail": {"code": 7, "message": "out of luck"}, "error": "out of luck"},
        {"errorDetail": {"message": "returned a non-zero code: 7: out of luck"}},
        {"error": "returned a non-zero code: 7: out of luck"},
    ],
)
def test_build_failures(message: dict[str, object]) -> None:
    """New and old forms of the engine's failure carry words and code."""
    messages = BuildMessages()
    assert list(messages.read(message)) == []
    failure = messages.failure("hello", "1.0.0")
    assert failure is not None
    assert "out of luck" in str(failure)
    assert failure.exit_code == 7


def failed_build(*texts: str) -> str:
    """Return the message of a build whose last step ended with exit code 1."""
    messages = BuildMessages()
    for text in texts:
        assert list(messages.read({"stream": text}))
    words = "The command '/bin/sh -c set -eu; plumbing' returned a non-zero code: 1"
    assert not list(messages.read({"errorDetail": {"code": 1, "message": words}}))
    failure = messages.failure("hello", "1.0.0")
    assert failure is not None
    assert failure.exit_code == 1
    return failure.message


def test_a_requirement_that_cannot_be_installed() -> None:
    """The message is pip's, and not the command that ran it."""
    lines = (
        "ERROR: Could not find a version that satisfies the requirement nosuch==1\n",
        "\x1b[91mERROR: No matching distribution found for nosuch==1\n\x1b[0m",
    )
    assert failed_build("Step 2/2 : RUN pip install\n", *lines) == (
        "The image cannot be built: Could not find a version that satisfies the "
        "requirement nosuch==1. No matching distribution found for nosuch==1. "
        "Exit code 1."
    )
    # Of a step before, they are not the reason.
    later = failed_build("Step 1/2 : RUN x\n", *lines, "Step 2/2 : RUN y\n")
    assert "plumbing" in later
    assert "nosuch" not in later


def test_an_installer_s_words_are_short_and_without_passwords() -> None:
    """However many versions there are, and whatever the address has in it."""
    told = failed_build(
        "ERROR: Invalid requirement: x @ https://me:secret@host/x\n",
        f"ERROR: None of the versions {'1.0, ' * 1_000}\n",
    )
    assert "https://****@host/x" in told
    assert "secret" not in told
    assert len(told) < 500


def test_labels_come_back() -> None:
    """What labels say of a container or image is what was written."""
    owner = Identity("default", "hello", "1.0.0+gpu", "registry")
    artifact = Artifact("sha256:1", "sha256:2")
    assert identity_of(container_labels(SPEC, artifact, "registry")) == owner
    marks = image_labels(SPEC, "sha256:2", "registry", "attempt")
    assert image_identities(marks) == [owner]
    assert image_attempt(marks, "default") == "attempt"
    # What is run from our image inherits its labels, and is not ours for that.
    assert identity_of(marks) is None


def test_labels_of_an_image_that_is_made_from_ours() -> None:
    """It belongs to the versions of both projects; within one, to the later."""
    first = image_labels(SPEC, "", "registry", "1")
    other = image_labels(attrs.evolve(SPEC, project="other"), "", "registry", "2")
    later = image_labels(attrs.evolve(SPEC, version="2"), "", "registry", "3")
    owners = image_identities(first | other | later)
    assert [(o.project, o.version) for o in owners] == [
        ("default", "2"),
        ("other", "1.0.0+gpu"),
    ]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", "{}", json.dumps({"project": "../x"})]
)
def test_damaged_image_labels(text: str) -> None:
    """They belong to nobody."""
    assert image_identities({"daeploy.image.default": text}) == []
    assert image_attempt({"daeploy.image.default": text}, "default") == ""


def test_an_inspection_with_nothing_in_it() -> None:
    """Fields that an engine leaves out are no error."""
    marks = container_labels(SPEC, Artifact("sha256:1", ""), "registry")
    found = {"Id": "1", "Config": {"Labels": marks}}
    instance = of_inspection(found, 1024)
    assert instance is not None
    assert instance.status is Status.unknown
    assert of_inspection({"Id": "1"}, 1024) is None


def test_names_on_the_network() -> None:
    """A name that no resolver takes is replaced by one that it does."""
    assert network_host(attrs.evolve(SPEC, version="1.0")) == (
        "daeploy.default.hello.1.0"
    )
    odd = ["1..0", "1.", "RC1", "rc1x", "a" * 64, "a" * 63 + "b"]
    hosts = {network_host(attrs.evolve(SPEC, version=version)) for version in odd}
    assert len(hosts) == len(odd)
    for host in hosts:
        assert all(0 < len(part) <= 63 for part in host.split("."))
        assert host == host.lower()


@pytest.mark.parametrize(
    "words",
    [
        "endpoint x: Bind for 127.0.0.1:17001 failed: port is already allocated",
        "listen tcp4 127.0.0.1:17001: bind: address already in use",
        "Ports are not available: exposing port TCP 127.0.0.1:17001",
    ],
)
def test_words_for_a_port_that_is_taken(words: str) -> None:
    """Docker, its proxy and Docker Desktop say it each in their way."""
    assert is_port_taken(words)
    assert not is_port_taken("no such image")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        *((user, True) for user in ("", "root", "0", "00:5", ":5")),
        *((user, False) for user in ("app", "1000", "1000:0", "rooted")),
    ],
)
def test_root(user: str, expected: bool) -> None:
    """Every way to write root counts as root."""
    assert is_root(user) is expected


def test_ids() -> None:
    """Podman's bare ids become Docker's."""
    assert full_id("a" * 64) == f"sha256:{'a' * 64}"
    assert full_id(f"sha256:{'a' * 64}") == f"sha256:{'a' * 64}"
    assert full_id("") == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"ports": []},
        {"ports": [0]},
        {"ports": [65536]},
        {"reach": "magic"},
        {"main_shares": 1},
        {"shadow_shares": 10**6},
        {"build_timeout": 0},
    ],
)
def test_wrong_settings(wrong: dict[str, object]) -> None:
    """A wrong argument is a ValueError, before anything is contacted."""
    with pytest.raises(ValueError, match=r"must be|Allowed"):
        Settings(**wrong)  # type: ignore[arg-type]
