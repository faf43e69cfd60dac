"""Segments, mounts and marks."""

from typing import Any
from urllib.parse import unquote

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib.domain.route import Route
from daeploy_lib.router.marks import Marks
from daeploy_lib.router.mounts import joined, locate
from daeploy_lib.router.refusal import Refusal
from daeploy_lib.router.routing import StaticSource, parse_endpoint
from daeploy_lib.router.table import RouteTable


def scope(raw: bytes, root: str = "", **changes: Any) -> dict[str, Any]:
    """Return a scope as a server and a framework make it."""
    path = unquote(raw.decode("latin-1"))
    return {"path": path, "raw_path": raw, "root_path": root, **changes}


def route(*versions: str, main: str | None = None) -> Route:
    """Return a route with these versions."""
    return Route(
        {version: f"http://127.0.0.1:{9000 + i}" for i, version in enumerate(versions)},
        main=main,
    )


def test_segments_lead_to_services_and_versions() -> None:
    """A name is mirrored, a name and version is not, others are nothing."""
    table = RouteTable({"a_b": route("1.0.0", "2.0.0", main="1.0.0")})
    service = table.find("a_b")
    assert service is not None
    assert service.main is not None
    assert service.main.version == "1.0.0"
    assert [shadow.version for shadow in service.shadows] == ["2.0.0"]
    one = table.find("a_b_2.0.0")
    assert one is not None
    assert one.main is not None
    assert (one.main.version, one.shadows, one.segment) == ("2.0.0", (), "a_b_2.0.0")
    for segment in ("", "a", "a_b_", "a_b_3.0.0", "a_b_1.0.0_", "A_b", "_1.0.0"):
        assert table.find(segment) is None


def test_a_service_without_main_has_no_one_to_answer() -> None:
    """Nor does it mirror; its versions can be asked by name."""
    table = RouteTable({"a": route("1", "2")})
    service = table.find("a")
    assert service is not None
    assert (service.main, service.shadows) == (None, ())
    assert table.find("a_1") is not None


def test_a_live_mapping_is_followed() -> None:
    """Changing, adding and removing entries takes effect at once."""
    routes = {"a": route("1", "2", main="1")}
    table = RouteTable(routes)
    before = table.find("a")
    assert table.find("a") is before
    routes["a"] = route("1", "2", main="2")
    after = table.find("a")
    assert after is not None
    assert after.main is not None
    assert after.main.version == "2"
    del routes["a"]
    assert table.find("a") is None
    for number in range(100):
        routes = {f"s{number}": route("1", main="1")}
        table.routes = routes
        assert table.find(f"s{number}") is not None
    assert len(table.known) < 50


def test_unchanged_entries_survive_a_new_snapshot() -> None:
    """Their versions stay the same objects, and keep their connections."""
    old = RouteTable({"a": route("1", main="1"), "b": route("1", main="1")})
    kept, changed = old.find("a"), old.find("b")
    new = RouteTable({"a": route("1", main="1"), "b": route("1", "2", main="1")}, old)
    assert new.find("a") is kept
    assert new.find("b") is not changed


def test_two_services_cannot_share_a_segment() -> None:
    """A mapping in which they would is refused."""
    with pytest.raises(ValueError, match=r"/a_1 .* taken by 'a'"):
        StaticSource({"a": route("1"), "a_1": route("2")})
    with pytest.raises(ValueError, match="Invalid name"):
        StaticSource({"A": route("1")})


def test_endpoints() -> None:
    """Port 80 by default; names and addresses are told apart."""
    assert parse_endpoint("http://h").port == 80
    assert not parse_endpoint("http://h").is_literal
    assert parse_endpoint("http://[::1]:1/x/").host == "::1"
    assert parse_endpoint("http://[::1]:1/x/").base == b"/x"
    with pytest.raises(ValueError, match="plain http"):
        parse_endpoint("https://h")


@pytest.mark.parametrize(
    ("raw", "root", "mount", "segment", "rest"),
    [
        (b"/hello", "", "", "hello", b"/"),
        (b"/hello/", "", "", "hello", b"/"),
        (b"/hello/a/b", "", "", "hello", b"/a/b"),
        (b"/hello//a%2fb;x", "", "", "hello", b"//a%2fb;x"),
        (b"//hello", "", "", "", b"/hello"),
        (b"/s/hello/a", "/s", "/s", "hello", b"/a"),
        (b"/s/hello/a", "/s/", "/s", "hello", b"/a"),
        (b"/%73/hello/a", "/s", "/s", "hello", b"/a"),
        (b"/s", "/s", "/s", "", b"/"),
        (b"/hell%6F/a", "", "", "hello", b"/a"),
        (b"/hello%2Fa", "", "", "hello/a", b"/"),
        (b"/%C3%A9/hello/", "/é", "/é", "hello", b"/"),
        (b"/hello/a", "/proxy", "/proxy", "hello", b"/a"),
        (b"/hello/%ff", "", "", "hello", b"/%ff"),
        (b"/hello/.a/..b/...", "", "", "hello", b"/.a/..b/..."),
    ],
)
def test_paths_are_split_byte_by_byte(
    raw: bytes, root: str, mount: str, segment: str, rest: bytes
) -> None:
    """The rest is what came, whatever the encoding of prefix and segment."""
    found = locate(scope(raw, root))
    assert (found.mount, found.segment, found.rest) == (mount, segment, rest)


@pytest.mark.parametrize(
    ("raw", "root"),
    [
        (b"http://h/hello/", ""),
        (b"*", ""),
        (b"", ""),
        (b"/hello/a#b", ""),
        (b"/hello/a b", ""),
        (b"/hello/\r\nx", ""),
        (b"/s%2Fhello", "/s"),
        (b"/hello/.", ""),
        (b"/hello/..", ""),
        (b"/hello/../x", ""),
        (b"/hello/%2e/x", ""),
        (b"/hello/.%2E/x", ""),
        (b"/../hello/x", ""),
        (b"/s/../hello", "/s"),
    ],
)
def test_paths_that_are_refused(raw: bytes, root: str) -> None:
    """What is no absolute path below the mount is 400."""
    with pytest.raises(Refusal) as caught:
        locate(scope(raw, root))
    assert caught.value.status == 400


def test_frameworks_that_strip_the_path_are_understood() -> None:
    """With the prefix in root_path only, or nowhere, raw_path still has it."""
    stripped = {"path": "/hello/a/b", "raw_path": b"/s/hello/a%2Fb", "root_path": "/s"}
    assert locate(stripped).rest == b"/a%2Fb"
    nowhere = locate({**stripped, "root_path": ""})
    assert (nowhere.rest, nowhere.mount) == (b"/a%2Fb", "/s")
    outer = {
        "path": "/s/hello/a",
        "raw_path": b"/s/hello/a",
        "root_path": "/outer/s",
        "app_root_path": "/outer",
    }
    assert locate(outer).rest == b"/a"
    assert locate(outer).mount == "/outer/s"


def test_without_a_raw_path_the_path_is_encoded() -> None:
    """Control characters cannot enter the request line that way."""
    plain = {"path": "/hello/é\r\n x", "raw_path": None}
    assert locate(plain).rest == b"/%C3%A9%0D%0A%20x"


@given(st.binary(max_size=30))
def test_the_rest_is_untouched_or_refused(tail: bytes) -> None:
    """Whatever follows the segment goes on byte for byte, or not at all."""
    raw = b"/s/hello/" + tail
    try:
        found = locate(scope(raw, "/s"))
    except Refusal:
        return
    assert found.segment == "hello"
    assert found.rest == b"/" + tail


def test_a_base_path_cannot_be_left() -> None:
    """Encoded slashes and backslashes do not help."""
    assert joined(b"", b"/a%2F..%2Fb") == b"/a%2F..%2Fb"
    assert joined(b"/base", b"/a%2Fb") == b"/base/a%2Fb"
    for rest in (b"/a%2F..%2Fb", b"/..%5cb", b"/a\\..\\b", b"/a%2f%2e%2E"):
        with pytest.raises(Refusal):
            joined(b"/base", rest)


def test_marks_cannot_be_forged() -> None:
    """Only who has the key makes a mark that is found."""
    marks = Marks(b"key")
    mark = marks.new()
    assert Marks(b"key").find([(b"x-daeploy-exchange", mark)]) == mark
    assert Marks(b"other").find([(b"x-daeploy-exchange", mark)]) is None
    assert Marks().find([(b"x-daeploy-exchange", mark)]) is None
    assert marks.new() != mark
    for forged in (b"", b".", mark[:-1], mark[:-1] + b"x", b"x" * len(mark)):
        assert marks.find([(b"x-daeploy-exchange", forged)]) is None


def test_a_router_knows_its_own_via() -> None:
    """And nobody else's."""
    marks = Marks(b"key")
    assert marks.is_loop([(b"via", b"1.1 other, " + marks.via)])
    assert not marks.is_loop([(b"via", Marks(b"key").via)])


class Pairings:
    """Makes pairings, and notes which."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str, str]] = []

    def __call__(self, name: str, main: str, shadow: str) -> Any:
        """Return a new one."""
        self.made.append((name, main, shadow))
        return object()


def test_evidence_goes_on_until_main_or_the_shadow_is_another() -> None:
    """A new version changes nothing for the others; a new main, or address, does."""
    pairings = Pairings()

    def shadows(table: RouteTable) -> dict[str, object]:
        found = table.find("a")
        assert found is not None
        return {shadow.version: shadow.pairing for shadow in found.shadows}

    def after(table: RouteTable, new: Route) -> RouteTable:
        return RouteTable({"a": new}, table, pairing_of=pairings)

    def addressed(main: str, **ports: int) -> Route:
        return Route({v[1:]: f"http://127.0.0.1:{p}" for v, p in ports.items()}, main)

    first = RouteTable({"a": addressed("1", v1=1, v2=2)}, pairing_of=pairings)
    before = shadows(first)
    second = after(first, addressed("1", v1=1, v2=2, v3=3))
    joined_by = shadows(second)
    assert joined_by["2"] is before["2"]
    third = after(second, addressed("1", v1=1, v2=22, v3=3))
    moved = shadows(third)
    assert moved["2"] is not before["2"]
    assert moved["3"] is joined_by["3"]
    promoted = shadows(after(third, addressed("2", v1=1, v2=22, v3=3)))
    assert set(promoted) == {"1", "3"}
    assert promoted["3"] is not moved["3"]
    expected = [("1", "2"), ("1", "3"), ("1", "2"), ("2", "1"), ("2", "3")]
    assert pairings.made == [("a", main, shadow) for main, shadow in expected]


def test_evidence_begins_anew_where_only_the_registry_knows_why() -> None:
    """Main was another one for a time, or a version came back to its address."""
    pairings = Pairings()

    def eras(one: int, two: int, three: int) -> RouteTable:
        found = route("1", "2", "3", main="1")
        marked = attrs.evolve(found, eras={"1": one, "2": two, "3": three})
        return RouteTable({"a": marked}, tables[-1], pairing_of=pairings)

    def made(table: RouteTable) -> list[tuple[str, str, str]]:
        pairings.made.clear()
        assert table.find("a") is not None
        tables.append(table)
        return list(pairings.made)

    tables: list[RouteTable | None] = [None]
    both = [("a", "1", "2"), ("a", "1", "3")]
    assert made(eras(1, 1, 1)) == both
    assert made(eras(1, 1, 1)) == []
    assert made(eras(1, 1, 2)) == [("a", "1", "3")]
    assert made(eras(2, 2, 3)) == both
