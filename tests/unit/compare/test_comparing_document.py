"""The page on comparing: its code runs, and gives what it says."""

import contextlib
import io
import re
from pathlib import Path

import attrs
import pytest

from daeploy_lib import ComparisonRules
from daeploy_lib.compare import Kind, Reason
from daeploy_lib.compare.headers import DEFAULT_HEADERS

PAGE = (Path(__file__).parents[3] / "docs" / "comparing.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS)
def test_its_code_runs(code: str) -> None:
    """And prints the comments at its end."""
    promised = re.findall(r"^# (.*)$", code, re.MULTILINE)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})  # noqa: S102 - the page's words
    assert out.getvalue().splitlines() == promised


def test_its_names_exist() -> None:
    """Rules, kinds and reasons."""
    assert len(BLOCKS) == 2
    for reason in Reason:
        assert not reason or f"| `{reason}` |" in PAGE
    for kind in Kind:
        assert f"`{kind}`" in PAGE
    for header in DEFAULT_HEADERS:
        assert f"`{header}`" in PAGE
    names = set(re.findall(r"`((?:max|absolute|relative)_\w+)`", PAGE))
    assert names <= {field.name for field in attrs.fields(ComparisonRules)}
