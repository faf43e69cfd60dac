"""A package index with a password, for installations inside of an engine."""

import base64
import contextlib
import io
import threading
import zipfile
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import attrs

USER, PASSWORD = "deployer", "S3cretPassw0rd"
PACKAGE = "daeploy-probe"


@attrs.frozen
class Index:
    """
    An index that answers.

    Attributes:
        host: Its address.
        port: Its port.
        files: What it has, by path.
        asked: Paths that were given out, in order; more come as it is asked.
        refused: How often somebody came without the password.
    """

    host: str
    port: int
    files: Mapping[str, bytes]
    asked: list[str] = attrs.field(factory=list)
    refused: list[str] = attrs.field(factory=list)

    def options(self, password: str = PASSWORD) -> dict[str, str]:
        """Return what pip is told to install from here and nowhere else."""
        return {
            "index-url": f"http://{USER}:{password}@{self.host}:{self.port}/simple",
            "trusted-host": self.host,
            "retries": "0",
        }


def wheel(name: str, modules: Mapping[str, str], version: str = "1.0") -> bytes:
    """Return a wheel with these modules."""
    stem = name.replace("-", "_")
    record = f"{stem}-{version}.dist-info"
    files = {
        **modules,
        f"{record}/METADATA": f"Metadata-Version: 2.1\nName: {name}\n"
        f"Version: {version}\n",
        f"{record}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{path},," for path in (*files, f"{record}/RECORD")]
    files[f"{record}/RECORD"] = "\n".join([*lines, ""])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return buffer.getvalue()


@contextlib.contextmanager
def serving_index(host: str) -> Iterator[Index]:
    """Serve an index with one package on an address of this machine."""
    file = f"{PACKAGE.replace('-', '_')}-1.0-py3-none-any.whl"
    files = {
        f"/simple/{PACKAGE}/": f'<a href="/files/{file}">{file}</a>'.encode(),
        f"/files/{file}": wheel(PACKAGE, {"daeploy_probe.py": "ANSWER = 42\n"}),
    }
    server = ThreadingHTTPServer((host, 0), _Handler)
    index = Index(host, server.server_address[1], files)
    server.RequestHandlerClass = type("Bound", (_Handler,), {"index": index})
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    index: ClassVar[Index]

    def do_GET(self) -> None:
        """Answer whoever has the password."""
        wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        content = self.index.files.get(self.path)
        if self.headers.get("authorization") != f"Basic {wanted}":
            self.index.refused.append(self.path)
            self._answer(401, b"no")
        elif content is None:
            self._answer(404, b"not here")
        else:
            self.index.asked.append(self.path)
            self._answer(200, content)

    # uv asks for it before it reads parts of a wheel.
    do_HEAD = do_GET  # noqa: N815 - the server's name for it

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        is_page = self.path.endswith("/")
        self.send_header(
            "content-type", "text/html" if is_page else "application/octet-stream"
        )
        if status == 401:
            self.send_header("www-authenticate", 'Basic realm="index"')
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""
