"""The short way for plain requests gives what the long way gives, or nothing."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daeploy_lib.domain.route import Route
from daeploy_lib.router import plan as planning
from daeploy_lib.router.framing import Header, check_request
from daeploy_lib.router.marks import Marks
from daeploy_lib.router.outcome import Tally, not_compared
from daeploy_lib.router.plain import plain_head
from daeploy_lib.router.plan import Plan, Settings, make_plan
from daeploy_lib.router.policy import Limits, MirrorPolicy, Timeouts
from daeploy_lib.router.refusal import Refusal
from daeploy_lib.router.table import RouteTable
from daeploy_lib.router.trust import TrustedPeers

LIMIT = 2000
HOST = (b"host", b"example.org:8000")

NAMES = st.sampled_from(
    [
        *(b"host", b"content-length", b"transfer-encoding", b"connection", b"cookie"),
        *(b"te", b"via", b"expect", b"x-forwarded-for", b"x-forwarded_for", b"upgrade"),
        *(b"x-daeploy-role", b"x_daeploy_role", b"accept", b"Accept", b"x-own", b""),
        *(b"forwarded", b"keep-alive", b"content-type", b"bad name", b"x:y"),
    ]
)
VALUES = st.sampled_from(
    [
        *(b"", b"a", b"example.org", b"[::1]:80", b"a b", b"4", b"04", b" 4", b"4, 4"),
        *(b"close", b"keep-alive", b"Keep-Alive", b"X-Own, close", b"chunked"),
        *(
            b"trailers",
            b"100-continue",
            b"1.1 a",
            b"\x00",
            b"a\r\nb: c",
            b"\xff",
            b"\t",
        ),
        *(b"9" * 18, b"9" * 19, b"-1", b"+1", b"\xb2", b"x" * 1990),
    ]
)
HEADERS = st.lists(st.one_of(st.just(HOST), st.tuples(NAMES, VALUES)), max_size=6)

TABLE = RouteTable(
    {"hello": Route({"1": "http://127.0.0.1:1", "2+b": "http://[::1]:2/x"}, main="1")}
)


def settings(**changes: Any) -> Settings:
    """Return a router's settings."""
    return Settings(
        policies={},
        policy=MirrorPolicy(**changes),
        limits=Limits(max_header_bytes=LIMIT),
        timeouts=Timeouts(),
        trusted=TrustedPeers(["10.0.0.0/8"]),
        marks=Marks(b"key"),
        judge=not_compared,
        tally=Tally(),
    )


def scope(headers: list[Header], **changes: Any) -> dict[str, Any]:
    """Return the scope of a request."""
    path = "/in/side/hello_2+b/rest"
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"q=%20",
        "root_path": "/in/side",
        "headers": headers,
        "client": ("192.0.2.1", 50000),
        "server": ("127.0.0.1", 443),
        **changes,
    }


def planned(request: dict[str, Any], own: Settings) -> Plan | Refusal:
    """Return what is decided about a request."""
    try:
        return make_plan(request, TABLE, own)
    except Refusal as refusal:
        return refusal


@given(headers=HEADERS)
@example(headers=[HOST, (b"content-length", b"4")])
@example(headers=[HOST, (b"connection", b"keep-alive"), (b"x-own", b"\xff")])
def test_both_ways_decide_alike(headers: list[Header]) -> None:
    """The same bytes for main, or the same refusal; also from memory."""
    own = settings()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "plain_head", lambda *_: None)
        ruled = planned(scope(headers), own)
    for short in (planned(scope(headers), own), planned(scope(headers), own)):
        if isinstance(ruled, Refusal) or isinstance(short, Refusal):
            assert str(short) == str(ruled)
        else:
            assert short.main_head() == ruled.main_head()
            assert short.framing == ruled.framing


@given(headers=HEADERS)
def test_what_is_refused_is_not_plain(headers: list[Header]) -> None:
    """Nothing that the long way refuses takes the short one."""
    plain = plain_head(headers, LIMIT)
    if plain is not None:
        framing = check_request(headers, http_version="1.1", limit=LIMIT)
        assert (framing.host, framing.length) == (plain[1].host, plain[1].length)
        assert not framing.is_chunked


@pytest.mark.parametrize(
    "header",
    [
        (b"x-forwarded-for", b"1.2.3.4"),
        (b"connection", b"x-own"),
        (b"x-daeploy-exchange", b"1"),
        (b"te", b"trailers"),
        (b"via", b"1.1 a"),
        (b"Accept", b"*/*"),
        (b"host", b"second"),
    ],
)
def test_what_is_not_plain(header: Header) -> None:
    """A field that a rule is about is left to the rules."""
    assert plain_head([HOST, (b"accept", b"*/*")], LIMIT) is not None
    assert plain_head([HOST, header], LIMIT) is None


def test_forwarding_fields_are_those_of_the_request() -> None:
    """What is remembered of one client, door, host or place is no other's."""
    own = settings()
    changes: list[dict[str, Any]] = [
        {},
        {"client": ("192.0.2.2", 50000)},
        {"client": None},
        {"server": ("127.0.0.1", 80)},
        {"server": None},
        {"scheme": "http"},
        {"root_path": "/in", "raw_path": b"/in/hello_2+b", "path": "/in/hello_2+b"},
    ]
    for _ in range(2):
        heads = []
        for change in changes:
            plan = make_plan(scope([HOST], **change), TABLE, own)
            heads.append(plan.main_head())
        assert len(set(heads)) == len(changes)
        assert b"x-forwarded-for: 192.0.2.2\r\n" in heads[1]
        assert b"x-forwarded-prefix: /in/side/hello_2+b\r\n" in heads[0]
        assert b"x-forwarded-prefix: /in/hello_2+b\r\n" in heads[-1]


def test_what_is_remembered_is_bounded() -> None:
    """Clients with ever new hosts do not fill the memory."""
    own = settings()
    for number in range(3000):
        host = (b"host", b"h%d" % number)
        make_plan(scope([host]), TABLE, own)
        assert len(own.remembered) <= 1024


def test_withheld_headers_are_kept_from_shadows_alone() -> None:
    """Main gets all of a plain request."""
    path = {"path": "/hello/", "raw_path": b"/hello/", "root_path": ""}
    request = scope([HOST, (b"cookie", b"a=1"), (b"accept", b"*/*")], **path)
    plan = make_plan(request, TABLE, settings(withhold=["cookie"]))
    [shadow] = plan.shadows
    copy = plan.copy_head(shadow, plan.new_mark())
    assert b"cookie: a=1\r\n" in plan.main_head()
    assert b"cookie" not in copy
    assert b"accept: */*\r\n" in copy
    assert b"x-daeploy-role: shadow\r\n" in copy
