"""Contexts for tests: named files, built on the harness's base image."""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping

import attrs

ANSWERS = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

server = ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
print("up", flush=True)
server.serve_forever()
"""

EXITS = """
print("this is the end", flush=True)
raise SystemExit(3)
"""

SILENT = """
import os, socket
server = socket.create_server((os.environ["HOST"], int(os.environ["PORT"])))
connections = []
while True:
    connections.append(server.accept())
"""


@attrs.frozen
class Files:
    """A build context that is given as text, by name."""

    files: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Digest of names and texts."""
        content = repr(sorted(self.files.items())).encode()
        return f"sha256:{hashlib.sha256(content).hexdigest()}"

    @property
    def origin(self) -> str:
        """Where they are: in this file."""
        return "files of a test"

    @property
    def has_dockerfile(self) -> bool:
        """Whether one of the files is a Dockerfile."""
        return "Dockerfile" in self.files

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None if it is not there."""
        text = self.files.get(path)
        return None if text is None else text.encode()

    def write_tar(
        self, add: Mapping[str, bytes], *, under: str = ""
    ) -> Iterator[bytes]:
        """Yield the files as a tar, in small pieces."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            prefix = f"{under}/" if under else ""
            texts = {prefix + name: text.encode() for name, text in self.files.items()}
            for name, content in {**texts, **add}.items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), 0o644
                tar.addfile(member, io.BytesIO(content))
        content = buffer.getvalue()
        for start in range(0, len(content), 4096):
            yield content[start : start + 4096]


def on_base(base_image: str, code: str, *steps: str) -> Files:
    """Return a context with a Dockerfile that runs *code* as a service."""
    lines = [
        f"FROM {base_image}",
        "COPY service.py /service.py",
        *steps,
        'CMD ["/usr/bin/env", "python3", "-u", "/service.py"]',
    ]
    return Files({"Dockerfile": "\n".join(lines) + "\n", "service.py": code})


def process_sources() -> dict[str, Files]:
    """Return a source for each kind that the contract asks for, without an engine."""
    return {
        "answers": Files({"service.py": ANSWERS}),
        "exits": Files({"service.py": EXITS}),
        "silent": Files({"service.py": SILENT}),
        "unbuildable": Files({"service.py": ANSWERS, "requirements.txt": "./none\n"}),
    }


def contract_sources(base_image: str) -> dict[str, Files]:
    """Return a source for each kind that the contract asks for."""
    return {
        "answers": on_base(base_image, ANSWERS),
        "exits": on_base(base_image, EXITS),
        "silent": on_base(base_image, SILENT),
        "unbuildable": on_base(base_image, ANSWERS, "RUN echo nonsense; exit 7"),
    }
