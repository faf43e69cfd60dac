"""The classic session, as a person sees it and as a program reads it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from daeploy_lib.cli.entry import run
from terminal import Terminal

PROGRAM = Path(__file__).parents[1] / "cli_program.py"
TIME = "2020-11-23 11:30:00"

# The session of the document, to the character, save for the name of the host.
DOCUMENT = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text("utf-8")
[CLASSIC] = re.findall(
    r"^```console\n(\$ daeploy init\n.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL
)
CLASSIC = CLASSIC.replace("$ daeploy", ">>> daeploy").replace(
    "Docker at unix:///var/run/docker.sock", "threads of this process"
)
COMMANDS = [
    line.removeprefix(">>> daeploy ")
    for line in CLASSIC.splitlines()
    if line.startswith(">>>")
]
# A control sequence of a terminal begins with one of these.
CONTROLS = re.compile(r"[\x1b\r\x07\x08]")


SHOWN = [
    line.removeprefix("$ daeploy ").partition(" | ")[0].partition(" > ")[0]
    for line in DOCUMENT.splitlines()
    if line.startswith("$ daeploy ") and "--install" not in line
]


@pytest.mark.parametrize("words", SHOWN)
def test_every_command_of_the_document_exists(words: str) -> None:
    """With its options."""
    assert run([*shlex.split(words), "--help"]) == 0


@pytest.fixture
def environment(state: Path) -> Mapping[str, str]:
    """The variables of a person's shell."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DAEPLOY_")}
    return {**kept, "DAEPLOY_STATE": str(state), "TERM": "xterm-256color"}


def words(codes: Path, commands: Sequence[str]) -> list[str]:
    """Return what runs the commands."""
    return [sys.executable, str(PROGRAM), str(codes), *commands]


def bare(text: str) -> str:
    """Return a text with every time the same, without the steps of a build."""
    text = re.sub(r"[-\d]{10} [:\d]{8}", TIME, text)
    return re.sub(r"^hello \d\.0\.0  \w.*\n", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("columns", [100, 30])
def test_the_classic_session_in_a_terminal(
    environment: Mapping[str, str], tmp_path: Path, columns: int
) -> None:
    """Looks as it always did, also where the terminal is narrow."""
    codes = tmp_path / "codes"
    quiet = {**environment, "NO_COLOR": "1", "TERM": "dumb"}
    with Terminal(
        words(codes, COMMANDS), environment=quiet, cwd=tmp_path, columns=columns
    ) as terminal:
        terminal.expect("project_name [my_project]: ")
        terminal.type("hello\n")
        terminal.expect("to main? [y/N]: ")
        terminal.type("y\n")
        terminal.expect("service(s)? [y/N]: ")
        terminal.type("y\n")
        assert terminal.end() == 0
        assert bare(terminal.text) == CLASSIC
    assert json.loads(codes.read_text()) == [0] * len(COMMANDS)


def test_a_piped_session(environment: Mapping[str, str], tmp_path: Path) -> None:
    """Asks nothing with --yes; results on one stream, the rest on the other."""
    commands = [
        *("init --name hello", *COMMANDS[1:3]),
        *("assign hello 2.0.0 --yes", "kill hello --yes"),
    ]
    codes = tmp_path / "codes"
    done = subprocess.run(
        words(codes, commands),
        env=dict(environment),
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert json.loads(codes.read_text()) == [0] * len(commands)
    assert not CONTROLS.search(done.stdout + done.stderr)
    promised = re.sub(r"(?m)^(Active|Deploying|Service deployed).*\n", "", CLASSIC)
    promised = re.sub(r"(?m)^.*\[(y/N|my_project)\]: .*\n", "", promised)
    for plain, given in zip(COMMANDS, commands, strict=True):
        promised = promised.replace(f">>> daeploy {plain}\n", f">>> daeploy {given}\n")
    assert bare(done.stdout) == promised
    assert done.stderr.count("Active host: threads of this process\n") == 2
    assert "hello 1.0.0  build  Step 1/1 : nothing\n" in done.stderr


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_a_pipe_may_answer(
    environment: Mapping[str, str], tmp_path: Path, answer: str, code: int
) -> None:
    """As yes(1) does; one that ends without an answer changes nothing."""
    commands = ["init", *COMMANDS[1:3], "assign hello 2.0.0"]
    codes = tmp_path / "codes"
    done = subprocess.run(
        words(codes, commands),
        env=dict(environment),
        cwd=tmp_path,
        input=f"hello\n{answer}",
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert json.loads(codes.read_text()) == [0, 0, 0, code]
    assert ("Changed main version to hello 2.0.0" in done.stdout) is (code == 0)


def test_a_pipe_that_stays_silent_is_not_waited_for(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    """Nobody may ever write to it."""
    reader, writer = os.pipe()
    codes = tmp_path / "codes"
    try:
        subprocess.run(
            words(codes, ["init --name hello", *COMMANDS[1:2], "kill hello"]),
            env=dict(environment),
            cwd=tmp_path,
            stdin=reader,
            check=True,
            capture_output=True,
            timeout=60,
        )
    finally:
        os.close(reader)
        os.close(writer)
    assert json.loads(codes.read_text()) == [0, 0, 1]


def test_no_is_no(environment: Mapping[str, str], tmp_path: Path) -> None:
    """An answer of no, the end of input and Ctrl-C change nothing."""
    commands = [
        *("init --name hello", *COMMANDS[1:3]),
        *["assign hello 2.0.0", "kill hello", "kill hello", "assign hello 2.0.0"],
        "ls --json",
    ]
    codes = tmp_path / "codes"
    with Terminal(
        words(codes, commands), environment=environment, cwd=tmp_path
    ) as terminal:
        for times, keys in enumerate(["n\n", "\n", "\x04", "\x03"], 1):
            terminal.expect_question("? [y/N]: ", times)
            terminal.type(keys)
        assert terminal.end() == 0
        assert "\nAssign cancelled\n" in terminal.text
        assert "\nService(s) not killed\n" in terminal.text
        assert "Interrupted." in terminal.text
    assert json.loads(codes.read_text()) == [0, 0, 0, 1, 1, 1, 130, 0]
    listed = json.loads(terminal.text.partition("ls --json\n")[2])
    assert [(s["version"], s["is_main"]) for s in listed] == [
        ("1.0.0", True),
        ("2.0.0", False),
    ]


@pytest.mark.parametrize("ending", ["Ctrl-C", "SIGTERM", "SIGHUP"])
def test_an_interrupted_deploy_leaves_nothing(
    environment: Mapping[str, str], tmp_path: Path, ending: str
) -> None:
    """It ends at once, says so, and the same version can be deployed again."""
    commands = ["init --name silent", "deploy silent 1 ./silent", "ls --json"]
    commands += ["cleanup --dry-run --json"]
    codes = tmp_path / "codes"
    with Terminal(
        words(codes, commands), environment=environment, cwd=tmp_path
    ) as terminal:
        terminal.expect("Waiting for an answer")
        if ending == "Ctrl-C":
            terminal.type("\x03")
        else:
            terminal.signal(getattr(signal, ending))
        assert terminal.end() == 0
        assert "Interrupted." in terminal.text
        assert "Traceback" not in terminal.text
        assert terminal.text.endswith("[]\n>>> daeploy cleanup --dry-run --json\n[]\n")
    assert json.loads(codes.read_text()) == [0, 130, 0, 0]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_a_signal_is_the_exit_code(
    environment: Mapping[str, str],
    tmp_path: Path,
    number: signal.Signals,
    code: int,
) -> None:
    """As a shell says it, and nothing is written."""
    with Terminal(
        [sys.executable, "-m", "daeploy_lib.cli", "init"],
        environment=environment,
        cwd=tmp_path,
    ) as terminal:
        terminal.expect_question("project_name [my_project]: ")
        terminal.signal(number)
        assert terminal.end() == code
        assert terminal.text.endswith("Interrupted.\n")
        assert "Traceback" not in terminal.text
    assert not (tmp_path / "my_project").exists()


@pytest.mark.parametrize(
    ("command", "sign"),
    [
        ("watch chatty --interval 0.05", "Inconclusive after 0 exchanges"),
        ("logs chatty --follow", "line 99\n"),
    ],
)
def test_what_goes_on_for_ever_ends_with_ctrl_c(
    environment: Mapping[str, str], tmp_path: Path, command: str, sign: str
) -> None:
    """At once, and changes nothing."""
    commands = [
        *("init --name chatty", "deploy chatty 1 chatty", "deploy chatty 2 chatty"),
        *("assign chatty 2 --yes", command, "history chatty --json"),
    ]
    codes = tmp_path / "codes"
    with Terminal(
        words(codes, commands), environment=environment, cwd=tmp_path
    ) as terminal:
        terminal.expect(sign)
        terminal.type("\x03")
        assert terminal.end() == 0
        assert "Traceback" not in terminal.text
    assert json.loads(codes.read_text()) == [0, 0, 0, 0, 130, 0]
    changes = json.loads(terminal.text.partition("history chatty --json\n")[2])
    assert [change["version"] for change in changes] == ["1", "2"]
