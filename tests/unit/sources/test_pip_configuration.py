"""The host's pip configuration, compared with what pip itself says of it."""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from daeploy_lib.sources.pip_configuration import pip_configuration

SECRET = "S3cret%40Passw0rd"


@attrs.frozen
class Host:
    """A home and configuration folders of a test's own."""

    root: Path

    @property
    def environ(self) -> dict[str, str]:
        """The variables that lead pip to them, and nothing of the real host."""
        return {
            "HOME": str(self.root / "home"),
            "XDG_CONFIG_DIRS": f"{self.root / 'site'}:{self.root / 'site-2'}",
            "PATH": os.environ["PATH"],
        }

    def write(self, path: str, text: str) -> str:
        """Write one file of configuration and return where it is."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return str(file)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host without any configuration."""
    return Host(tmp_path)


# ``pip config list`` sorts what it prints by file, so the last word is lost there.
OF_PIP = """
from pip._internal.configuration import Configuration
configuration = Configuration(isolated=False)
configuration.load()
found = {}
for key, value in configuration.items():
    # By file since pip 26; before, only what counts.
    found.update(value if isinstance(value, dict) else {key: value})
print(repr(found))
"""


def of_pip(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what ``pip install`` would use, by pip's own reading."""
    pytest.importorskip("pip", reason="the comparison needs pip beside the tests")
    done = subprocess.run(
        [sys.executable, "-c", OF_PIP],
        env=dict(environ),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for key, value in ast.literal_eval(done.stdout).items():
        section, _, name = key.partition(".")
        if section in sections and value:
            sections[section][name] = value
    return sections["global"] | sections["install"] | sections[":env:"]


def everything(host: Host) -> dict[str, str]:
    """Write a file at each place that pip looks at; return the variables."""
    for number, path in enumerate(
        (
            "site/pip/pip.conf",
            "site-2/pip/pip.conf",
            "home/.pip/pip.conf",
            "home/.config/pip/pip.conf",
            "config/pip/pip.conf",
            "named.conf",
        )
    ):
        host.write(
            path,
            f"[global]\nindex-url = https://u:{SECRET}@host/{number}\n"
            f"retries = {number}\nonly-{number} = yes\n"
            f"[install]\ntimeout = {number}\n[download]\nproxy = no\n",
        )
    return host.environ


def test_every_place_in_pips_order(host: Host) -> None:
    """Of files at every place the same ones win as with pip."""
    environ = everything(host)
    assert pip_configuration(environ) == of_pip(environ)
    moved = environ | {"XDG_CONFIG_HOME": str(host.root / "config")}
    assert pip_configuration(moved) == of_pip(moved)
    assert pip_configuration(moved)["index-url"].endswith("/4")


def test_a_named_file_replaces_the_users_own(host: Host) -> None:
    """PIP_CONFIG_FILE overrides the rest, unless it is not there."""
    environ = everything(host) | {"PIP_CONFIG_FILE": str(host.root / "named.conf")}
    assert pip_configuration(environ) == of_pip(environ)
    assert "only-5" in pip_configuration(environ)
    assert "only-2" not in pip_configuration(environ)
    absent = environ | {"PIP_CONFIG_FILE": str(host.root / "absent.conf")}
    assert pip_configuration(absent) == of_pip(absent)


def test_no_file_at_all(host: Host) -> None:
    """With PIP_CONFIG_FILE=/dev/null only variables count."""
    environ = everything(host) | {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "https://host/simple",
    }
    found = pip_configuration(environ)
    assert found["index-url"] == "https://host/simple"
    assert found.keys() <= {"index-url", "config-file"}


@pytest.mark.parametrize(
    "files",
    [
        # The command's section wins, also over one of a later file.
        ("[install]\ntimeout = 1\n", "[global]\ntimeout = 2\n"),
        ("[global]\ntimeout = 1\n[install]\ntimeout = 2\n", ""),
        # An empty value is none.
        ("[global]\ntimeout = 1\n", "[install]\ntimeout =\n"),
        ("[install]\ntimeout = 1\n[global]\ntimeout = 3\n", "[install]\ntimeout =\n"),
        # Spellings of a name.
        ("[global]\nINDEX_URL = https://a/\n", "[global]\n--index-url = https://b/\n"),
        # Several lines, comments between them, and percent signs.
        (
            "[global]\nfind-links = https://a/%20\n    https://b/\n# no\n    c\n",
            "[global]\nindex-url = https://u:p%40%%x@host/ ; no comment\n",
        ),
    ],
    ids=["section", "both", "empty", "emptied", "spelling", "lines"],
)
def test_sections_and_values(host: Host, files: tuple[str, str]) -> None:
    """Sections, empty values, spellings and long values are read as by pip."""
    host.write("site/pip/pip.conf", files[0])
    host.write("home/.config/pip/pip.conf", files[1])
    assert pip_configuration(host.environ) == of_pip(host.environ)


def test_variables_override_files(host: Host) -> None:
    """PIP_* variables win over files; an empty one does not."""
    host.write("home/.pip/pip.conf", "[install]\ntimeout = 1\nretries = 1\n")
    environ = host.environ | {"PIP_TIMEOUT": "9", "PIP_RETRIES": "", "PIPX_A": "b"}
    found = pip_configuration(environ)
    assert found == of_pip(environ)
    assert (found["timeout"], found["retries"]) == ("9", "1")


@pytest.mark.parametrize("content", [b"no section\n", b"\xff\xfe", b"[global\n"])
def test_a_file_that_pip_could_not_read(host: Host, content: bytes) -> None:
    """A file that pip would fail on counts as empty, and the others still count."""
    Path(host.write("home/.pip/pip.conf", "")).write_bytes(content)
    host.write("home/.config/pip/pip.conf", "[global]\ntimeout = 1\n")
    assert pip_configuration(host.environ)["timeout"] == "1"
