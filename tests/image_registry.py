"""A small image registry for tests: the distribution protocol, on loopback."""

import base64
import hashlib
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

USER, PASSWORD = "me", "hunter2-secret"
_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs)/(?P<rest>.*)")


class ImageRegistry:
    """
    What was pushed, and how the registry misbehaves.

    Attributes:
        blobs: By digest.
        manifests: By (name, tag or digest): media type and content.
        needs_login: Answer nobody but ``USER``.
        is_silent: Take requests for manifests and do not answer until it closes.
        breaks: Send other bytes of layers than were pushed.
        requests: Method and path of all requests.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.uploads: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.needs_login = self.is_silent = self.breaks = False
        self.requests: list[str] = []
        self.is_over = threading.Event()
        self.address = ""

    def reset(self) -> None:
        """Behave again, and let go those that were kept waiting."""
        self.needs_login = self.is_silent = self.breaks = False
        self.is_over.set()
        self.is_over = threading.Event()


@contextmanager
def image_registry() -> Iterator[ImageRegistry]:
    """Serve a registry on a port of loopback, which engines trust without TLS."""
    registry = ImageRegistry()
    handler = type("Handler", (_Handler,), {"registry": registry})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    registry.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield registry
    finally:
        registry.reset()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: ImageRegistry

    def do_GET(self) -> None:
        """Answer with a manifest, a layer, or that this is a registry."""
        self._begin()
        if not self._is_welcome():
            return
        found = _PATH.match(self.path)
        if found is None:
            self._answer(200, b"{}")
        elif found["kind"] == "blobs":
            self._give_blob(found["rest"])
        elif self.registry.is_silent:
            self.registry.is_over.wait(60)
            self.close_connection = True
        else:
            self._give_manifest(found["name"], found["rest"])

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def do_POST(self) -> None:
        """Begin an upload."""
        self._begin()
        self._read()
        self._uploading(str(uuid.uuid4()), b"")

    def do_PATCH(self) -> None:
        """Take a part of an upload."""
        self._begin()
        upload = urlsplit(self.path).path.rpartition("/")[2]
        self._uploading(upload, self.registry.uploads[upload] + self._read())

    def do_PUT(self) -> None:
        """Take a manifest, or the end of an upload."""
        self._begin()
        found = _PATH.match(urlsplit(self.path).path)
        assert found is not None
        content = self._read()
        if found["kind"] == "manifests":
            kept = (self.headers["content-type"], content)
            digest = _digest(content)
            self.registry.manifests[found["name"], found["rest"]] = kept
            self.registry.manifests[found["name"], digest] = kept
        else:
            upload = found["rest"].rpartition("/")[2]
            digest = parse_qs(urlsplit(self.path).query)["digest"][0]
            self.registry.blobs[digest] = self.registry.uploads.pop(upload) + content
        self._answer(
            201, b"", ("location", self.path), ("docker-content-digest", digest)
        )

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _give_manifest(self, name: str, tag: str) -> None:
        kind, content = self.registry.manifests.get((name, tag), ("", b""))
        if not kind:
            self._refuse(404, "MANIFEST_UNKNOWN", "manifest unknown")
            return
        digest = ("docker-content-digest", _digest(content))
        self._answer(200, content, ("content-type", kind), digest)

    def _give_blob(self, digest: str) -> None:
        content = self.registry.blobs.get(digest, b"")
        if not content:
            self._refuse(404, "BLOB_UNKNOWN", "blob unknown")
            return
        if self.registry.breaks:
            content = content[:-1] + bytes([content[-1] ^ 1])
        self._answer(200, content, ("content-type", "application/octet-stream"))

    def _begin(self) -> None:
        self.registry.requests.append(f"{self.command} {self.path}")

    def _is_welcome(self) -> bool:
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        given = self.headers.get("authorization", "")
        if not self.registry.needs_login or given == f"Basic {expected}":
            return True
        self._refuse(401, "UNAUTHORIZED", "authentication required")
        return False

    def _uploading(self, upload: str, content: bytes) -> None:
        self.registry.uploads[upload] = content
        name = self.path.partition("/blobs/")[0]
        self._answer(
            202,
            b"",
            ("location", f"{name}/blobs/uploads/{upload}"),
            ("range", f"0-{max(0, len(content) - 1)}"),
            ("docker-upload-uuid", upload),
        )

    def _read(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        content = b""
        while length := int(self.rfile.readline(), 16):
            content += self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _refuse(self, status: int, code: str, words: str) -> None:
        body = f'{{"errors": [{{"code": "{code}", "message": "{words}"}}]}}'.encode()
        fields = [("content-type", "application/json")]
        if status == 401:
            fields.append(("www-authenticate", 'Basic realm="test"'))
        self._answer(status, body, *fields)

    def _answer(self, status: int, body: bytes, *fields: tuple[str, str]) -> None:
        self.send_response(status)
        self.send_header("docker-distribution-api-version", "registry/2.0")
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
