"""The table of services, to the character, and as HTML."""

import copy
import pickle
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import attrs
import pytest

from daeploy_lib import Assignment, Deployer, Service, Services, Status
from daeploy_lib.domain.names import NAME_MAX, VERSION_MAX
from daeploy_lib.runtimes.memory import MemoryRuntime
from daeploy_lib.show.table import History

# Times are shown as local ones.
LOCAL = datetime(2026, 11, 22, 11, 30).astimezone()
LATER = datetime(2026, 11, 22, 11, 31, 44).astimezone()

MAIN = Service("default", "hello", "1.0.0", is_main=True, started_at=LOCAL)
RUNNING = attrs.evolve(MAIN, status=Status.running)
SHADOW = attrs.evolve(
    RUNNING, version="2.0.0", is_main=False, started_at=LATER.astimezone(UTC)
)


def table(*services: Service) -> str:
    """Return the table of some services."""
    return str(Services(services))


def test_the_table_of_the_readme() -> None:
    """Two versions, one of them main."""
    assert table(RUNNING, SHADOW) == (
        "MAIN    NAME    VERSION    STATUS    RUNNING\n"
        "------  ------  ---------  --------  -----------------------------------\n"
        "*       hello   1.0.0      running   Running (since 2026-11-22 11:30:00)\n"
        "        hello   2.0.0      running   Running (since 2026-11-22 11:31:44)"
    )
    readme = Path(__file__).parents[3] / "README.md"
    assert table(RUNNING, SHADOW) in readme.read_text("utf-8")


def test_an_empty_table() -> None:
    """Only its head."""
    assert table() == (
        "MAIN    NAME    VERSION    STATUS    RUNNING\n"
        "------  ------  ---------  --------  ---------"
    )


@pytest.mark.parametrize(
    "version", ["1", "1.0", "1.50", "1e5", "0x10", "007", "inf", "nan", "true", "None"]
)
def test_a_version_stays_what_it_is(version: str) -> None:
    """Nothing that looks like a number is turned into one, or aligned as one."""
    names = attrs.evolve(RUNNING, name="12", version=version)
    assert table(names, SHADOW).splitlines()[2] == (
        f"*       12      {version:<9}  running   Running (since 2026-11-22 11:30:00)"
    )


def test_long_names() -> None:
    """Columns grow, and nothing is cut or wrapped."""
    name, version = "n" * NAME_MAX, "1" * VERSION_MAX
    long = attrs.evolve(RUNNING, name=name, version=version)
    assert table(long, SHADOW) == (
        f"MAIN    {'NAME':<40}  {'VERSION':<64}  STATUS    RUNNING\n"
        f"------  {'-' * 40}  {'-' * 64}  --------  {'-' * 35}\n"
        f"*       {name}  {version}  running   Running (since 2026-11-22 11:30:00)\n"
        f"        {'hello':<40}  {'2.0.0':<64}  running   "
        f"Running (since 2026-11-22 11:31:44)"
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.running, "Running (since 2026-11-22 11:30:00)"),
        (Status.restarting, "Restarting"),
        (Status.exited, "Exited"),
        (Status.missing, "Missing"),
        (Status.unknown, "Unknown"),
        (Status.deploying, "Deploying (since 2026-11-22 11:31:44)"),
    ],
)
def test_the_words_of_each_status(status: Status, words: str) -> None:
    """Only what runs, or is being deployed, has a time."""
    service = attrs.evolve(MAIN, status=status, created_at=LATER)
    assert table(service).splitlines()[2] == (
        f"*       hello   1.0.0      {status:<{max(8, len(status))}}  {words}"
    )


@pytest.mark.parametrize("status", [Status.running, Status.deploying])
def test_a_time_that_is_not_known(status: Status) -> None:
    """The word alone."""
    service = Service("default", "hello", "1", status=status)
    assert table(service).splitlines()[2].endswith(f"  {status.capitalize()}")


class _Cells(HTMLParser):
    """Collects the text of a table's cells."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.rows[-1][-1] += data


def cells(services: Services) -> _Cells:
    """Read the HTML back."""
    found = _Cells()
    found.feed(services._repr_html_())
    return found


def test_html_has_the_same_cells() -> None:
    """The head and a row for each version."""
    found = cells(Services([RUNNING, SHADOW]))
    assert found.rows == [
        ["MAIN", "NAME", "VERSION", "STATUS", "RUNNING"],
        ["*", "hello", "1.0.0", "running", "Running (since 2026-11-22 11:30:00)"],
        ["", "hello", "2.0.0", "running", "Running (since 2026-11-22 11:31:44)"],
    ]
    assert cells(Services()).rows == found.rows[:1]


def test_html_is_escaped() -> None:
    """Whatever a name held, it would be text."""
    evil = "<script>alert('&')</script>"
    found = cells(Services([Service("p", evil, evil)]))
    assert "script" not in found.tags
    assert found.rows[1][1:3] == [evil, evil]


def test_services_are_an_immutable_sequence() -> None:
    """Indexed, sliced, compared, hashed, copied, pickled; its repr is the table."""
    both = Services([RUNNING, SHADOW])
    assert (both[0], both[-1], len(both)) == (RUNNING, SHADOW, 2)
    assert both[1:] == Services([SHADOW])
    assert list(both) == [RUNNING, SHADOW]
    assert SHADOW in both
    assert MAIN not in both
    assert both != [RUNNING, SHADOW]
    assert both != Services([SHADOW])
    assert len({both, Services(list(both))}) == 1
    assert copy.deepcopy(both) == pickle.loads(pickle.dumps(both)) == both  # noqa: S301
    assert repr(both) == str(both)
    with pytest.raises(TypeError):
        both[0] = SHADOW  # type: ignore[index]
    with pytest.raises(IndexError):
        both[2]


def test_the_history_prints_as_a_table() -> None:
    """One line for each change of main, with the local time; also as HTML."""
    first = Assignment("hello", "1.0", None, LOCAL.astimezone(UTC))
    second = Assignment("hello", "2.0", "1.0", LATER)
    history = History([first, second])
    assert str(history) == (
        "AT                   NAME    MAIN    BEFORE    GATE\n"
        "-------------------  ------  ------  --------  ------\n"
        "2026-11-22 11:30:00  hello   1.0\n"
        "2026-11-22 11:31:44  hello   2.0     1.0"
    )
    assert (history[-1], history[:1]) == (second, History([first]))
    assert history != Services()
    found = _Cells()
    found.feed(history._repr_html_())
    assert found.rows[2] == ["2026-11-22 11:31:44", "hello", "2.0", "1.0", ""]
    assert pickle.loads(pickle.dumps(history)) == history  # noqa: S301 - our own


def test_what_the_verbs_return_prints_as_the_table(tmp_path: Path) -> None:
    """Also an ls() in which nothing is deployed."""
    with Deployer(MemoryRuntime(), state=tmp_path) as deployer:
        assert str(deployer.ls()) == table()
        name, folder = "hello", deployer.init("hello", tmp_path)
        deployer.deploy(name, "1.0.0", folder, on_event=lambda _: None)
        assert isinstance(deployer.history(name), History)
        deployer.kill(name)
        assert repr(deployer) == (
            f"<Deployer project='default' on threads of this process, "
            f"state in {tmp_path}>"
        )


@pytest.mark.parametrize(
    ("verdict", "forced", "shown"),
    [
        (None, False, ""),
        ('{"result":"pass"}', False, "pass"),
        ('{"result":"inconclusive"}', True, "inconclusive, forced"),
        ('{"result":"fail","rolled_back":"worse"}', False, "fail, rolled back"),
        ("[]", False, "?"),
        ("pass", False, "?"),
    ],
)
def test_the_history_shows_the_gate(
    verdict: str | None, forced: bool, shown: str
) -> None:
    """What it said, and whether that was overruled or the reason to return."""
    at = LOCAL.astimezone(UTC)
    change = Assignment("hello", "2.0", "1.0", at, forced=forced, verdict=verdict)
    line = str(History([change])).splitlines()[-1]
    assert line.partition("1.0")[2].strip() == shown
