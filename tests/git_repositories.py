"""Real repositories for tests, and real servers of them on loopback."""

import base64
import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs

ANSWER = "print('hello')\n"


@attrs.frozen
class Repository:
    """A repository with a work tree, changed by the program git itself."""

    path: Path

    def git(self, *words: str, stdin: bytes = b"") -> str:
        """Run git in it, with nobody's configuration; return what it prints."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        person = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        done = subprocess.run(
            ["git", *person, *words],
            cwd=self.path,
            env={
                **kept,
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": os.devnull,
            },
            input=stdin,
            capture_output=True,
            check=True,
            timeout=60,
        )
        return done.stdout.decode().strip()

    def write(self, files: Mapping[str, str]) -> None:
        """Write files into the work tree."""
        for name, content in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def commit(self, files: Mapping[str, str] | None = None) -> str:
        """Commit all that is there; return the commit."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")

    def blob(self, content: str) -> str:
        """Add a file by its content alone; return its digits."""
        return self.git("hash-object", "-w", "--stdin", stdin=content.encode())

    def tree(self, *entries: str) -> str:
        """Make a tree that git itself would not make, of ``mode digits name``."""
        content = b""
        for entry in entries:
            mode, digits, name = entry.split(" ", 2)
            content += f"{mode} {name}".encode() + b"\0" + bytes.fromhex(digits)
        words = ("hash-object", "-w", "-t", "tree", "--literally", "--stdin")
        return self.git(*words, stdin=content)

    def commit_tree(self, tree: str) -> str:
        """Make a tree the branch's commit; return it."""
        commit = self.git("commit-tree", "-m", "x", tree)
        self.git("update-ref", "HEAD", commit)
        return commit


def repository(path: Path, files: Mapping[str, str] | None = None) -> Repository:
    """Make a repository with one commit on main; with none if there are no files."""
    path.mkdir(parents=True)
    made = Repository(path)
    made.git("init", "--quiet", "--initial-branch=main", "--template=")
    if files != {}:
        made.commit(files or {"service.py": ANSWER})
    return made


@contextlib.contextmanager
def served(
    folder: Path,
    password: str = "",
    before: Callable[[], object] = lambda: None,
) -> Iterator[tuple[str, list[str]]]:
    """
    Serve all below a folder as ``git http-backend`` does.

    Yield the address, and the list of all that was asked for. *before* is called
    at each request, and may keep it waiting.
    """
    asked: list[str] = []
    wanted = "Basic " + base64.b64encode(f"me:{password}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            before()
            if password and self.headers["authorization"] != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            head, _, body = self._backend().partition(b"\r\n\r\n")
            fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
            status = dict(fields).get("Status", "200 OK").split()[0]
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.send_response(int(status))
                for name, value in fields:
                    if name != "Status":
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - as it is looked for

        def _backend(self) -> bytes:
            path, _, query = self.path.partition("?")
            length = int(self.headers["content-length"] or 0)
            done = subprocess.run(
                ["git", "-c", "safe.directory=*", "http-backend"],
                input=self.rfile.read(length),
                env={
                    "PATH": os.environ["PATH"],
                    "GIT_CONFIG_NOSYSTEM": "1",
                    "GIT_CONFIG_GLOBAL": os.devnull,
                    "GIT_PROJECT_ROOT": str(folder),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_PROTOCOL": self.headers["git-protocol"] or "",
                    "REQUEST_METHOD": self.command,
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "CONTENT_TYPE": self.headers["content-type"] or "",
                    "HTTP_CONTENT_ENCODING": self.headers["content-encoding"] or "",
                    "CONTENT_LENGTH": str(length),
                    "REMOTE_ADDR": "127.0.0.1",
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=False,
                timeout=60,
            )
            return done.stdout

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
