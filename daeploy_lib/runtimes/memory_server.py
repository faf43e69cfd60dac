"""A small HTTP server in a thread: what an instance of the in-memory runtime is."""

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Seconds between looks at whether it shall end.
_POLL_S = 0.02


class MemoryServer:
    """
    Answers on a port of loopback with what it was asked, as JSON.

    Keys of an answer: ``name``, ``version``, ``method``, ``path``, ``headers``
    (pairs), ``body`` (text).

    Args:
        name: The service, for the answers.
        version: The version, for the answers.
        status: HTTP status of every answer.
        is_silent: Take connections, and never answer.
        log: Is given one line for each request.
    """

    def __init__(
        self,
        name: str,
        version: str,
        *,
        status: int,
        is_silent: bool,
        log: Callable[[str], None],
    ) -> None:
        self._connections: set[socket.socket] = set()
        self._is_over = threading.Event()
        handler = _handler(self, {"name": name, "version": version}, status, log)
        self._is_silent = is_silent
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.port = int(self._http.server_address[1])
        self._thread = threading.Thread(
            target=self._http.serve_forever,
            args=(_POLL_S,),
            name=f"daeploy-{name}-{version}",
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        """End it and cut its connections, as the end of a process does."""
        self._is_over.set()
        self._http.shutdown()
        self._http.server_close()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection; hold it without an answer if it is silent."""
        self._connections.add(connection)
        if self._is_silent:
            self._is_over.wait()

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        self._connections.discard(connection)


def _handler(
    server: MemoryServer,
    about: dict[str, Any],
    status: int,
    log: Callable[[str], None],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            server.opened(self.connection)

        def finish(self) -> None:
            server.closed(self.connection)
            super().finish()

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                # Cut by the other side, or by our end.
                self.close_connection = True

        def answer(self) -> None:
            body = _body(self)
            answer = {
                **about,
                "method": self.command,
                "path": self.path,
                "headers": self.headers.items(),
                "body": body.decode("utf-8", "replace"),
            }
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        # The names that http.server looks up.
        do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815
        do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args
            log(f"{self.command} {self.path}")

    return Handler


def _body(request: BaseHTTPRequestHandler) -> bytes:
    """Read a request's body, chunked or with a length."""
    if request.headers.get("transfer-encoding", "").lower() != "chunked":
        return request.rfile.read(int(request.headers.get("content-length") or 0))
    chunks = []
    while size := int(request.rfile.readline().partition(b";")[0], 16):
        chunks.append(request.rfile.read(size))
        request.rfile.readline()
    while request.rfile.readline().strip():
        # Trailers.
        continue
    return b"".join(chunks)
