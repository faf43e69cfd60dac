"""Deployments of commits, from real servers and from this machine."""

import asyncio
import contextlib
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from daeploy_lib import (
    AsyncDeployer,
    Deployer,
    Event,
    Git,
    SourceError,
    VersionExistsError,
)
from daeploy_lib.cli.entry import run
from daeploy_lib.domain.spec import Spec
from daeploy_lib.sources import Directory, open_source
from daeploy_lib.sources.git import program
from daeploy_lib.testing import MemoryRuntime
from git_repositories import Repository, repository, served

SPEC = Spec("default", "hello", "1.0.0")
SECRET = "hunter2-%&"
QUOTED = "hunter2-%25%26"
DAEMON = "git -c safe.directory=* daemon --export-all --verbose --listen=127.0.0.1"
DAEMON_WORDS = [*DAEMON.split(), "--reuseaddr"]
OPENSSL = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 2"
SAN = ("-addext", "subjectAltName=IP:127.0.0.1")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files; nothing is left in it, and nobody runs."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    # Nobody's own helpers and settings.
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    yield folder
    assert not list(folder.iterdir())
    assert not gits()


def gits() -> list[psutil.Process]:
    """Return the gits that this process has started and that still run."""
    found = psutil.Process().children(recursive=True)
    return [one for one in found if one.name().startswith("git")]


@pytest.fixture
def shop(tmp_path: Path) -> Repository:
    """A repository with a service, in a folder that is served."""
    return repository(tmp_path / "served" / "hello.git")


@pytest.fixture
def deployer(state: Path) -> Iterator[Deployer]:
    """Versions are threads of this process."""
    with Deployer(MemoryRuntime(), state=state, ephemeral=True) as deployer:
        yield deployer


def refusal(git: Git) -> str:
    """Return why a source is refused."""
    with pytest.raises(SourceError) as refused:
        open_source(git, SPEC)
    assert SECRET not in str(refused.value)
    assert QUOTED not in str(refused.value)
    return str(refused.value)


def test_a_server_that_gives_no_commit_without_a_ref(
    shop: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As all do by the first protocol, which the user's settings may ask for."""
    middle = shop.commit({"service.py": "middle"})
    shop.commit({"service.py": "last"})
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "protocol.version")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "0")
    told: list[str] = []
    context = open_source(Git(shop.path, middle), SPEC, told.append)
    assert context.read("service.py") == b"middle"
    context.close()
    assert f"Fetching all of {shop.path}, to find commit {middle}" in told


def test_two_deployments_of_a_branch(deployer: Deployer, shop: Repository) -> None:
    """Each records the commit that the branch was at, and shows it."""
    first = shop.git("rev-parse", "HEAD")
    events: list[Event] = []
    deployer.deploy("hello", "1.0.0", Git(shop.path, "main"), on_event=events.append)
    second = shop.commit({"service.py": "print('other')"})
    deployer.deploy("hello", "2.0.0", Git(shop.path, "main"))
    one, two = (deployer.get("hello", version) for version in ("1.0.0", "2.0.0"))
    assert one.source_origin == f"{shop.path}@{first}"
    assert two.source_origin == f"{shop.path}@{second}"
    assert one.source_digest != two.source_digest
    shown = [event.text for event in events if event.stage == "source"]
    assert any(first in text for text in shown)


def test_a_taken_version_is_refused_before_anything_is_fetched(
    deployer: Deployer, shop: Repository
) -> None:
    """The server is not asked at all."""
    with served(shop.path.parent) as (url, asked):
        git = Git(f"{url}/hello.git/.git")
        deployer.deploy("hello", "1.0.0", git)
        count = len(asked)
        assert count
        with pytest.raises(VersionExistsError):
            deployer.deploy("hello", "1.0.0", git)
        assert len(asked) == count


def test_a_password_in_the_address(
    deployer: Deployer, shop: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    """It is used, and is in no origin, event, log or list of processes."""
    shown: list[str] = []

    def look() -> None:
        shown.extend(
            " ".join(one.cmdline()) for one in psutil.Process().children(recursive=True)
        )

    events: list[Event] = []
    with served(shop.path.parent, SECRET, before=look) as (url, _):
        address = url.replace("//", f"//me:{QUOTED}@")
        git = Git(f"{address}/hello.git/.git", subdirectory="")
        deployer.deploy("hello", "1.0.0", git, on_event=events.append)
        origin = deployer.get("hello").source_origin
        commit = shop.git("rev-parse", "HEAD")
        assert origin == f"{url}/hello.git/.git@{commit}"
        wrong = f"{url.replace('//', '//me:wrong@')}/hello.git/.git"
        error = refusal(Git(wrong))
        assert "does not accept the user and password of the address" in error
        assert "wrong" not in error
        error = refusal(Git(f"{url}/hello.git/.git"))
        assert "it needs a user and password. Store them with" in error
    assert any("git fetch" in line or "remote-http" in line for line in shown)
    seen = " ".join([*shown, *map(str, events), caplog.text, repr(git)])
    seen += json.dumps(deployer.inspect("hello", "1.0.0"), default=str)
    assert SECRET not in seen
    assert QUOTED not in seen


def test_a_credential_helper_of_the_user(
    shop: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked as by hand, also if the address names the user."""
    config = tmp_path / "config"
    config.write_text(
        '[credential]\n helper = "!f() { echo username=me; '
        f'echo password={SECRET}; }}; f"\n'.replace("&", "'&'")
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    with served(shop.path.parent, SECRET) as (url, _):
        open_source(Git(f"{url}/hello.git/.git"), SPEC).close()
        named = url.replace("//", "//me@")
        context = open_source(Git(f"{named}/hello.git/.git"), SPEC)
        assert context.origin.startswith(url)
        context.close()


def test_commits_by_http(shop: Repository) -> None:
    """One without a ref, whole and shortened; with the digest of the directory."""
    middle = shop.commit({"service.py": "middle", "a/service.py": "a"})
    expected = open_source(Directory(shop.path), SPEC).digest
    shop.commit({"service.py": "last"})
    with served(shop.path.parent) as (url, _):
        for ref in (middle, middle[:9]):
            context = open_source(Git(f"{url}/hello.git/.git", ref), SPEC)
            assert context.origin.endswith(f"@{middle}")
            assert context.digest == expected
            context.close()
        assert "Did you mean main?" in refusal(Git(f"{url}/hello.git/.git", "mian"))
        assert "there is no repository" in refusal(Git(f"{url}/other.git"))


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def daemon(shop: Repository) -> Iterator[str]:
    """A ``git daemon``, and the address of its repositories."""
    port = free_port()
    with subprocess.Popen(
        [*DAEMON_WORDS, f"--port={port}", f"--base-path={shop.path.parent}"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        try:
            assert "Ready" in process.stderr.readline()
            yield f"git://127.0.0.1:{port}"
        finally:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.terminate()
            process.terminate()


def test_git_daemon(deployer: Deployer, daemon: str, shop: Repository) -> None:
    """Deployed by the git protocol, also a commit that no ref is at."""
    commit = shop.git("rev-parse", "HEAD")
    shop.commit({"service.py": "2"})
    deployer.deploy("hello", "1.0.0", Git(f"{daemon}/hello.git", commit))
    assert deployer.get("hello").source_origin == f"{daemon}/hello.git@{commit}"
    assert "there is no repository" in refusal(Git(f"{daemon}/other.git"))


def test_ssh(shop: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's command for it is used, and told to ask nobody."""
    program = tmp_path / "ssh"
    words = tmp_path / "words"
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >{words}\n'
        'for last; do :; done\nexec sh -c "$last"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(program))
    open_source(Git(f"git@host:{shop.path}"), SPEC).close()
    assert "BatchMode=yes" in words.read_text()
    program.write_text("#!/bin/sh\necho 'Permission denied (publickey).' >&2; exit 255")
    assert "the server accepts none of the keys" in refusal(Git("git@host:x"))
    program.write_text("#!/bin/sh\necho 'Host key verification failed.' >&2; exit 255")
    assert "ssh does not know the server's key" in refusal(Git("ssh://git@host/x"))
    program.unlink()
    assert "the program ssh is not installed" in refusal(Git("git@host:x"))


def test_servers_that_are_not_there() -> None:
    """An unknown host and a refused connection are told apart."""
    assert "its host is not known" in refusal(Git("https://nosuch.invalid/x.git"))
    for scheme in ("http", "git"):
        address = f"{scheme}://127.0.0.1:{free_port()}/x"
        assert "nothing answers there" in refusal(Git(address))


def test_a_certificate_that_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how git is told to trust it, and then git does."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    subprocess.run(
        [*OPENSSL.split(), *SAN, "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection, contextlib.suppress(OSError):
                    tls = context.wrap_socket(connection, server_side=True)
                    with tls:
                        tls.recv(65536)

        thread = threading.Thread(target=answer)
        thread.start()
        git = Git(f"https://127.0.0.1:{server.getsockname()[1]}/x")
        error = refusal(git)
        monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
        trusted = refusal(git)
        thread.join()
    assert "the server's certificate is not trusted" in error
    assert "GIT_SSL_CAINFO=FILE" in error
    assert "the connection broke off" in trusted


def test_a_proxy_of_the_user(shop: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked in place of the host."""
    with served(shop.path.parent) as (url, asked):
        monkeypatch.setenv("http_proxy", url)
        assert refusal(Git("http://nosuch.invalid/x"))
        assert asked[0].startswith("http://nosuch.invalid/x/")


def test_a_server_that_never_answers() -> None:
    """The time that was given is the end of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        error = refusal(Git(address, timeout=0.5))
    assert "git was not done after 0.5 s. Give it longer with" in error


def test_a_server_that_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any progress it ends long before its time is over."""
    monkeypatch.setattr(program, "STALL_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        error = refusal(Git(f"http://127.0.0.1:{server.getsockname()[1]}/x"))
    assert "nothing came for 0.5 s" in error


def test_a_server_that_breaks_off() -> None:
    """Its half of an answer is not taken for all."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n00")

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        assert "the connection broke off. Try again" in refusal(Git(address))
        thread.join()


async def test_a_cancelled_deployment(state: Path) -> None:
    """Git ends with all that it started, and nothing is left of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        git = Git(f"http://127.0.0.1:{server.getsockname()[1]}/x")
        async with AsyncDeployer(MemoryRuntime(), state=state) as deployer:
            deploying = asyncio.create_task(deployer.deploy("hello", "1.0.0", git))
            connection, _ = await asyncio.get_running_loop().sock_accept(server)
            with connection:
                assert gits()
                deploying.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.wait_for(deploying, 20)
            assert not await deployer.ls()
    assert not gits()


PROGRAM = """
import sys
from daeploy_lib.domain.spec import Spec
from daeploy_lib.sources import Git, open_source
try:
    open_source(Git(sys.argv[1]), Spec("default", "hello", "1.0.0"))
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c(temporary: Path) -> None:
    """A signal while git waits ends it, and the folder is removed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, address],
            env={**os.environ, "TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            connection, _ = server.accept()
            with connection:
                process.send_signal(2)
                out, _ = process.communicate(timeout=20)
    assert out == "interrupted\n"


def test_the_command_line(
    state: Path, shop: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    """It takes a commit by --git, --ref and --subdirectory."""
    commit = shop.commit({"app/service.py": "print()"})
    runtime = MemoryRuntime()
    words = ["--git", str(shop.path), "--ref", "main", "--subdirectory", "app"]
    call = ["--state", str(state), "deploy", "hello", "1.0.0"]
    assert run([*call, *words], runtime=runtime) == 0
    with Deployer(runtime, state=state, ephemeral=True) as deployer:
        assert deployer.get("hello").source_origin == f"{shop.path}@{commit}#app"
        deployer.kill_all()
    capsys.readouterr()
    words = ["--git", "ext::sh -c touch% x"]
    assert run([*call, *words], runtime=runtime) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_what_the_document_shows(
    deployer: Deployer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It deploys, from where the user's ``insteadOf`` leads."""
    team = tmp_path / "team"
    repository(team / "hello.git").git("tag", "v1")
    repository(team / "shop.git", {"services/hello/service.py": "print()"})
    config = tmp_path / "config"
    config.write_text(
        f'[url "{team}/"]\n insteadOf = https://git.example/team/\n'
        f" insteadOf = git@git.example:team/\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    text = (Path(__file__).parents[2] / "docs" / "git.md").read_text("utf-8")
    [code] = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    names = {"given": deployer}
    exec(code.replace("Deployer()", "given"), names)  # noqa: S102 - the document's
    one, two = (deployer.get("hello", version) for version in ("1.0.0", "2.0.0"))
    assert one.source_origin.startswith("https://git.example/team/hello.git@")
    assert two.source_origin.endswith("#services/hello")
