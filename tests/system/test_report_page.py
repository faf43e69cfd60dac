"""The page of a report, opened by a real browser."""

import json
import shutil
from pathlib import Path

import pytest

from browser import Seen, look, run
from daeploy_lib import Report, Route, ShadowRouter
from daeploy_lib.testing import AsgiDriver, Script, ScriptedUpstream, Wire, answer
from router_fronts import until

PHONE, DESK = 360, 1280
# Each would change the title, or draw over the page, if it were not only text.
HOSTILE = (
    "<script>document.title='evil'</script>",
    "</style></title></pre><img src=x onerror=document.title='evil'>",
    "\"><svg onload=document.title='evil'>",
    "<iframe srcdoc=\"<script>parent.document.title='evil'</script>\"></iframe>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
    "<link rel=stylesheet href=http://evil.example/x.css><style>*{display:none}</style>",
    "\u202eevil\u2066\x1b[2J\x00",
    "W" * 5000,
)

pytestmark = pytest.mark.once


def serving(version: int) -> Script:
    """Return a version that answers with hostile names, labels and texts."""

    async def script(wire: Wire) -> None:
        n = 0
        while True:
            await wire.request()
            n += 1
            off = version if n % 2 else 1
            text = HOSTILE[n % len(HOSTILE)]
            said: dict[str, object] = dict.fromkeys(HOSTILE, off)
            said |= {"label": f"{text[:50]}{off}", "score": n / 10 + off, "text": text}
            body = json.dumps(said).encode()
            headers = [(b"content-type", b"application/json")]
            await wire.send(answer(body, headers=headers))

    return script


async def reported(count: int) -> Report:
    """Return what a router saw of three services."""
    async with (
        ScriptedUpstream(serving(1)) as main,
        ScriptedUpstream(serving(2)) as worse,
        ScriptedUpstream(serving(1)) as same,
    ):
        versions = {"1": main.address, "2": worse.address, "3": same.address}
        router = ShadowRouter({"hello": Route(versions, main="1")})
        driver = AsgiDriver(router)
        for n in range(count):
            path = f"/hello/{n}?q=<script>{'x' * n}".encode()
            headers = [(b"host", b"h"), (b"x-evil", HOSTILE[0].encode())]
            call = driver.request("GET", path, headers=headers)
            await call.start()
            await call.body()
        await until(lambda: router.report("hello")["2"].exchanges == count)
        await until(lambda: router.report("hello")["3"].exchanges == count)
        report = router.report("hello")
        await router.aclose()
    return report


def check(seen: Seen) -> None:
    """Nothing ran, nothing was loaded, and nothing sticks out."""
    assert seen.title == "hello: shadows of 1"
    assert seen.loaded == []
    assert seen.wide == []
    assert seen.width <= seen.room


async def test_hostile_answers_are_text_on_a_phone_and_on_a_desk(
    tmp_path: Path,
) -> None:
    """The page has its numbers, runs nothing, and is never wider than the screen."""
    report = await reported(40)
    page = report.to_html(tmp_path / "report.html")
    for width in (PHONE, DESK):
        seen = look(page, width, tmp_path)
        assert seen.room == width
        check(seen)
        assert "hello" in seen.text
        assert "50.0 %" in seen.text
        assert "100.0 %" in seen.text
        assert "<script>document.title='evil'</script>" in seen.text
        assert r"\u202e" in seen.text
        assert "curl --globoff" in seen.text
        assert "Bias\t0.5" in seen.text
        assert seen.drawings >= 2 * 3


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_report_of_nothing(width: int, tmp_path: Path) -> None:
    """It is a page as well."""
    page = Report("hello", "1", None, ()).to_html(tmp_path / "report.html")
    seen = look(page, width, tmp_path)
    check(seen)
    assert "There is no shadow: deploy another version." in seen.text


def test_the_page_is_light_or_dark_as_the_reader_asks(tmp_path: Path) -> None:
    """Its text can be told from its ground either way."""
    page = Report("hello", "1", None, ()).to_html(tmp_path / "report.html")
    by_day = look(page, DESK, tmp_path)
    by_night = look(page, DESK, tmp_path, is_dark=True)
    assert by_day.background == "rgb(255, 255, 255)"
    assert by_night.background == "rgb(20, 22, 26)"
    assert by_day.color == "rgb(27, 29, 33)"
    assert by_night.color == "rgb(231, 233, 236)"


async def test_the_page_can_be_printed(tmp_path: Path) -> None:
    """On more than one sheet."""
    page = (await reported(8)).to_html(tmp_path / "report.html")
    printed = tmp_path / "report.pdf"
    run(f"--print-to-pdf={printed}", page, tmp_path)
    assert printed.read_bytes().startswith(b"%PDF-")
    shutil.rmtree(tmp_path / "profile", ignore_errors=True)
