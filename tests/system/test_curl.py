"""The command of an example, run by a shell and curl: one request, as it was."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import attrs
import pytest

from daeploy_lib.evidence.examples import Example
from daeploy_lib.evidence.redaction import Body
from daeploy_lib.testing import ReceivedRequest, ScriptedUpstream
from router_fronts import Echo

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")

# What a shell, curl or HTTP would take for something else.
HOSTILE = [
    "it's",
    '"quoted"',
    "$(touch pwned)",
    "`touch pwned`",
    "${HOME}",
    "a\nb",
    "a\r\nx-injected: 1",
    "@/etc/hostname",
    "-o pwned",
    "--next",
    "; touch pwned",
    "& touch pwned",
    "| touch pwned",
    "> pwned",
    "!!",
    "# not a comment",
    "a\\nb\\",
    "{a,b}[1-3]",
    "~/x",
    "*",
    "%00%zz%",
    "\x1b[31m",
    "a\0b",
    "\xe9\u20ac",
    "",
]


def example(**changes: Any) -> Example:
    """Return an example of a request."""
    empty = Body("", 0, "")
    made = Example(
        *("f", (), 1.0, "POST", "/predict", "", (("accept", "*/*"),), ()),
        *(Body("{}", 2, ""), 200, 200, (), empty, empty),
    )
    return attrs.evolve(made, **changes)


async def run(one: Example, folder: Path, base: str = "/v1") -> list[ReceivedRequest]:
    """Run the command in a folder that nothing else is in."""
    echo = Echo()
    async with ScriptedUpstream(echo) as version:
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", one.curl(version.address + base)),
            cwd=folder,
            env={"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await asyncio.wait_for(process.communicate(), 20.0)
    assert _files(folder) == []
    return echo.requests


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_body_is_a_body(text: str, tmp_path: Path) -> None:
    """No file is read or written, and nothing else is run."""
    one = example(body=Body(text, len(text), ""))
    [request] = await run(one, tmp_path)
    assert request.body == (b"" if "\0" in text else text.encode())
    assert request.line == b"POST /v1/predict HTTP/1.1"
    assert request.header(b"content-type") == []


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_header_is_one_header(text: str, tmp_path: Path) -> None:
    """Its value is what it was, or it is left out with a note."""
    one = example(headers=(("x-own", text), ("accept", "a/b")))
    [request] = await run(one, tmp_path)
    is_sent = text.isascii() and text.isprintable()
    assert request.header(b"x-own") == ([text.encode()] if is_sent else [])
    assert is_sent is ("# left out" not in one.curl(""))
    assert request.header(b"accept") == [b"a/b"]
    assert request.header(b"x-injected") == []
    assert request.header(b"user-agent") == []
    assert request.header(b"x-daeploy-role") == [b"shadow"]


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_target_is_a_target(text: str, tmp_path: Path) -> None:
    """Byte for byte, or nothing is asked at all."""
    path, query = f"/a/{text}", f"q={text}"
    for one, target in (
        (example(path=path), path),
        (example(query=query), f"/predict?{query}"),
    ):
        requests = await run(one, tmp_path)
        if target.isascii() and target.isprintable() and not {*target} & {*" #"}:
            assert requests[0].line == f"POST /v1{target} HTTP/1.1".encode()
        elif not requests:
            assert one.curl("http://h").startswith("# ")
            assert "\n" not in one.curl("http://h")
        assert len(requests) <= 1


@pytest.mark.parametrize("text", HOSTILE)
async def test_names_and_digests_end_no_comment(text: str, tmp_path: Path) -> None:
    """What is said in comments is a comment to its end."""
    name = f"x\ntouch pwned {text}"
    one = example(
        left_out=(name, text),
        headers=((name, "1"), (text, "2")),
        body=Body(None, 7, f"\ntouch pwned {text}"),
    )
    [request] = await run(one, tmp_path)
    assert request.body == b""
    assert request.header(b"x-injected") == []


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_method_is_a_token(text: str, tmp_path: Path) -> None:
    """Or nothing is asked at all."""
    requests = await run(example(method=text), tmp_path)
    assert [request.line.split()[0] for request in requests] in ([], [text.encode()])


@pytest.mark.parametrize("path", ["//a//b/", "/a/../b/./c", "/%2e%2e/x", "/a;b=1,2"])
async def test_curl_does_not_tidy_up_the_path(path: str, tmp_path: Path) -> None:
    """A path is what the client sent."""
    [request] = await run(example(path=path), tmp_path)
    assert request.line == f"POST /v1{path} HTTP/1.1".encode()


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("GET", "", []),
        ("GET", "{}", [b"2"]),
        ("HEAD", "", []),
        ("HEAD", "{}", []),
        ("DELETE", "", []),
        ("POST", "", [b"0"]),
        ("purge", "", []),
        ("OPTIONS", "", []),
    ],
)
async def test_methods_and_lengths(
    method: str, body: str, length: list[bytes], tmp_path: Path
) -> None:
    """Curl neither waits for the body of HEAD nor makes up a type."""
    one = example(method=method, body=Body(body, len(body), ""))
    [request] = await run(one, tmp_path)
    assert request.line.split()[0] == method.encode()
    assert request.header(b"content-length") == length
    assert request.header(b"content-type") == []


async def test_bytes_that_a_url_may_not_have_are_encoded(tmp_path: Path) -> None:
    """They mean the same to a version."""
    [request] = await run(example(path="/\xe9", query="q=\xff"), tmp_path)
    assert request.line == b"POST /v1/%E9?q=%FF HTTP/1.1"
