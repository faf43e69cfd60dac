"""Services to deploy and servers to route from, for the system tests."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

ECHO = '''
"""Answers with its own greeting and what it was asked; logs each request."""
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length).decode()
        if self.path.startswith("/slow"):
            time.sleep(float(self.path.partition("=")[2]))
        answer = json.dumps({
            "greeting": GREETING, "path": self.path, "body": body,
            "headers": self.headers.items(),
        }).encode()
        self.send_response(STATUS if self.path != "/" else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, format, *arguments):
        print(self.command, self.path, flush=True)

GREETING = os.environ.get("GREETING", "hello")
STATUS = int(os.environ.get("STATUS", 200))
address = (os.environ["HOST"], int(os.environ["PORT"]))
ThreadingHTTPServer(address, Echo).serve_forever()
'''


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    """A directory with a service of the standard library only."""
    return write_service(tmp_path / "echo", ECHO)


@pytest.fixture
def service(tmp_path: Path) -> Callable[[str], Path]:
    """What makes a directory with the given ``service.py``."""

    def make(code: str) -> Path:
        number = sum(1 for _ in tmp_path.glob("service-*"))
        return write_service(tmp_path / f"service-{number}", code)

    return make


def write_service(folder: Path, code: str) -> Path:
    """Write a ``service.py`` into a new folder."""
    folder.mkdir()
    (folder / "service.py").write_text(code)
    return folder


@pytest.fixture
def serving() -> Callable[[Any], AbstractContextManager[str]]:
    """What runs an ASGI app under uvicorn in a thread and gives its address."""
    return _serving


@contextlib.contextmanager
def _serving(app: Any) -> Iterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    # Connections wait until the server takes them.
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
