"""Chromium, a real browser, and what it makes of a file."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import attrs
import pytest

# Set where the browser has to be there: then its absence is a failure.
REQUIRED = "DAEPLOY_NEEDS_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 60

# The page under test runs no scripts. One around it looks into its frame.
_PROBE = """<!doctype html><body style="margin:0">
<iframe id="frame" style="width:{width}px;height:900px;border:0" src="{url}"></iframe>
<pre id="seen"></pre>
<script>
addEventListener("load", () => {{
  const window_ = document.getElementById("frame").contentWindow;
  const page = window_.document, root = page.documentElement;
  page.querySelectorAll("details").forEach((one) => {{ one.open = true; }});
  const isBoxed = (one) => one.closest(".scroll, pre, svg") !== null;
  const wide = [...page.body.querySelectorAll("*")].filter((one) =>
    one.getBoundingClientRect().right > root.clientWidth + 1
    && !(isBoxed(one) && !one.matches(".scroll, pre")));
  document.getElementById("seen").textContent = JSON.stringify({{
    title: page.title,
    text: page.body.innerText,
    width: root.scrollWidth,
    room: root.clientWidth,
    wide: wide.map((one) => one.outerHTML.slice(0, 120)),
    loaded: window_.performance.getEntriesByType("resource").map((one) => one.name),
    background: window_.getComputedStyle(page.body).backgroundColor,
    color: window_.getComputedStyle(page.body).color,
    drawings: page.querySelectorAll("svg").length,
  }});
}});
</script>"""


@attrs.frozen
class Seen:
    """
    What the browser made of a page, with all that was folded opened.

    Attributes:
        title: Of the page.
        text: What is to be read.
        width: Points the page takes.
        room: Points it has.
        wide: Elements that stick out of the page.
        loaded: What else was fetched.
        background: Of the page.
        color: Of its text.
        drawings: How many there are.
    """

    title: str
    text: str
    width: int
    room: int
    wide: list[str]
    loaded: list[str]
    background: str
    color: str
    drawings: int


def chromium() -> str:
    """Return the browser's program; skip the test, or fail it, without one."""
    found = next((p for p in map(shutil.which, _NAMES) if p), None)
    if found is not None:
        return found
    words = "Chromium is not installed (apt-get install chromium)"
    if os.environ.get(REQUIRED):
        pytest.fail(f"{words}, and ${REQUIRED} is set.")
    pytest.skip(words)


def look(page: Path, width: int, folder: Path, *, is_dark: bool = False) -> Seen:
    """
    Open a page in a frame of so many points.

    Args:
        page: The file.
        width: Of the frame.
        folder: Of the test's own; the browser's profile goes there as well.
        is_dark: Whether the reader asks for a dark page.
    """
    probe = folder / "probe.html"
    probe.write_text(_PROBE.format(width=width, url=page.as_uri()), "utf-8")
    dom = run("--dump-dom", probe, folder, is_dark=is_dark)
    found = re.search(r'<pre id="seen">(.+?)</pre>', dom, re.DOTALL)
    assert found is not None, dom[:500]
    return Seen(**json.loads(html.unescape(found[1])))


def run(action: str, page: Path, folder: Path, *, is_dark: bool = False) -> str:
    """Return what the browser writes to its standard output."""
    done = subprocess.run(
        [
            *(chromium(), "--headless=new", "--no-sandbox", "--disable-gpu"),
            *("--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run"),
            # The frame and the page around it are files, thus strangers otherwise.
            *(
                "--allow-file-access-from-files",
                f"--user-data-dir={folder / 'profile'}",
            ),
            f"--blink-settings=preferredColorScheme={0 if is_dark else 1}",
            *("--window-size=1400,1000", action, page.as_uri()),
        ],
        check=True,
        capture_output=True,
        timeout=_SECONDS,
    )
    return done.stdout.decode("utf-8", "replace")
