"""Sockets that are no engine, or not one that can be used."""

import contextlib
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], None]


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that has left."""
        del request, client_address


@contextlib.contextmanager
def fake_engine(path: Path, answer: Answer) -> Iterator[str]:
    """Listen on a socket, answer each request so, and give the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self)

        do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            del arguments

        def address_string(self) -> str:
            return "socket"

    server = _Server(str(path), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"unix://{path}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def reply(request: BaseHTTPRequestHandler, status: int, content: object) -> None:
    """Send an answer as JSON, or as it is if it is bytes."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    request.send_response(status)
    request.send_header("content-type", "application/json")
    request.send_header("content-length", str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)


def engine_of(version: str, more: Answer | None = None) -> Answer:
    """Return what answers as an engine of an API version, and then *more*."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        about: dict[str, Any] = {"ApiVersion": version, "MinAPIVersion": "1.12"}
        if request.path.endswith("/version"):
            reply(request, 200, about)
        elif more is not None:
            more(request)
        else:
            reply(request, 200, [])

    return answer
