"""Header rules: what goes on, what is taken off, what is put on."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib.router.framing import Header
from daeploy_lib.router.headers import Peer, for_client, for_version, without
from daeploy_lib.router.trust import TrustedPeers

PEER = Peer("9.9.9.9", "https", 443)
TRUSTED = Peer("9.9.9.9", "https", 443, is_trusted=True)

HOPS = [
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"http2-settings",
    b"te",
]

NAMES = st.sampled_from([*HOPS, b"x-a", b"x-b", b"accept", b"cookie", b"x-hop"])
HEADERS = st.lists(
    st.tuples(NAMES, st.sampled_from([b"", b"v", b"x-hop", b"X-A, close", b"te"]))
)


def sent(headers: list[Header], **changes: Any) -> list[Header]:
    """Return what a version gets."""
    options: dict[str, Any] = {
        "peer": PEER,
        "host": b"h",
        "prefix": b"/s/hello",
        "via": b"1.1 us",
        "is_chunked": False,
        **changes,
    }
    return for_version(headers, **options)


OURS = [
    (b"x-forwarded-for", b"9.9.9.9"),
    (b"x-forwarded-host", b"h"),
    (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-port", b"443"),
    (b"x-forwarded-prefix", b"/s/hello"),
    (b"x-real-ip", b"9.9.9.9"),
    (b"via", b"1.1 us"),
]


def test_end_to_end_headers_keep_order_and_number() -> None:
    """Nothing is folded, sorted or renamed; ours come after."""
    headers = [(b"host", b"h"), (b"x-b", b"1"), (b"x-a", b""), (b"x-b", b"2")]
    assert sent(headers) == headers + OURS


@given(HEADERS)
def test_stripping_is_complete_and_idempotent(headers: list[Header]) -> None:
    """No hop-by-hop name passes, not those that Connection lists either."""
    once = sent(headers)
    names = {name for name, _ in once}
    assert not names & set(HOPS)
    listed = {
        token.strip().lower()
        for name, value in headers
        if name == b"connection"
        for token in value.split(b",")
    }
    assert not names & (listed - {b"cookie"})
    assert sent(once)[: len(once) - len(OURS)] == once[: -len(OURS)]
    back = for_client(headers, status=200)
    assert for_client(back, status=200) == back
    assert not {name for name, _ in back} & set(HOPS)


@given(HEADERS)
def test_what_is_kept_keeps_its_order(headers: list[Header]) -> None:
    """The rest of the input is a subsequence of it."""
    kept = iter(headers)
    assert all(header in kept for header in sent(headers)[: -len(OURS)])


def test_connection_cannot_take_off_what_is_ours() -> None:
    """Naming end-to-end fields in Connection has no effect (CVE-2022-31813)."""
    named = (
        b"Host, Authorization, Content-Length, X-Forwarded-For, X-Forwarded-Prefix,"
        b" X-Real-IP, Via, Cookie"
    )
    headers = [
        (b"connection", named),
        (b"host", b"h"),
        (b"authorization", b"Bearer x"),
        (b"content-length", b"3"),
        (b"cookie", b"a=b"),
    ]
    assert sent(headers) == headers[1:] + OURS


def test_forwarding_fields_are_made_anew() -> None:
    """What an untrusted peer says of others is dropped, twins included."""
    claims = [
        (b"forwarded", b"for=1.1.1.1"),
        (b"x-forwarded-for", b"1.1.1.1"),
        (b"x-forwarded-host", b"evil"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-port", b"1"),
        (b"x-forwarded-prefix", b"/evil"),
        (b"x-real-ip", b"1.1.1.1"),
        (b"x_forwarded_for", b"1.1.1.1"),
        (b"x_real-ip", b"1.1.1.1"),
    ]
    assert sent(claims) == OURS


def test_a_trusted_peer_is_believed() -> None:
    """Chains grow, single values stay, the prefixes are put together."""
    claims = [
        (b"forwarded", b"for=1.1.1.1"),
        (b"x-forwarded-for", b"1.1.1.1"),
        (b"x-forwarded-for", b"2.2.2.2"),
        (b"x-forwarded-host", b"outer"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-prefix", b"/outer/"),
        (b"x-real-ip", b"1.1.1.1"),
        (b"x_forwarded_for", b"3.3.3.3"),
    ]
    assert sent(claims, peer=TRUSTED) == [
        (b"x-forwarded-for", b"1.1.1.1, 2.2.2.2, 9.9.9.9"),
        (b"x-forwarded-host", b"outer"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-port", b"443"),
        (b"x-forwarded-prefix", b"/outer/s/hello"),
        (b"x-real-ip", b"1.1.1.1"),
        (b"forwarded", b"for=1.1.1.1, for=9.9.9.9"),
        (b"via", b"1.1 us"),
    ]


def test_an_unknown_peer_has_no_address() -> None:
    """A Unix socket has none, and no port."""
    names = [name for name, _ in sent([], peer=Peer("", "http", None))]
    assert names == [
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-forwarded-prefix",
        b"via",
    ]


def test_our_own_headers_are_not_taken_from_clients() -> None:
    """x-daeploy-* and their twins are dropped (hazard 18)."""
    claims = [(b"x-daeploy-role", b"shadow"), (b"x_daeploy_role", b"shadow")]
    assert sent(claims) == OURS


def test_framing_is_made_anew() -> None:
    """One length, blanks off; chunked only when we chunk; no Expect."""
    headers = [
        (b"content-length", b" 3 "),
        (b"content-length", b"3"),
        (b"expect", b"100-continue"),
    ]
    assert sent(headers) == [(b"content-length", b"3"), *OURS]
    coded = [(b"transfer-encoding", b"Chunked"), (b"te", b"gzip, trailers;q=1")]
    assert sent(coded, is_chunked=True)[:2] == [
        (b"transfer-encoding", b"chunked"),
        (b"te", b"trailers"),
    ]


def test_http_2_cookies_are_joined() -> None:
    """In the place of the first one (RFC 9113, section 8.2.3)."""
    headers = [(b"cookie", b"a=1"), (b"x-a", b"1"), (b"cookie", b"b=2")]
    got = sent(headers, http_version="2", is_chunked=True)
    assert got[:3] == [
        (b"cookie", b"a=1; b=2"),
        (b"x-a", b"1"),
        (b"transfer-encoding", b"chunked"),
    ]
    assert sent(headers)[:3] == headers


def test_answers_lose_what_is_not_for_the_client() -> None:
    """Hop-by-hop fields and Alt-Svc go; cookies stay apart, in their order."""
    headers = [
        (b"set-cookie", b"a=1"),
        (b"alt-svc", b"h3"),
        (b"connection", b""),
        (b"connection", b"x-hop"),
        (b"x-hop", b"1"),
        (b"content-length", b"3"),
        (b"set-cookie", b"b=2"),
    ]
    kept = [headers[0], headers[5], headers[6]]
    assert for_client(headers, status=200) == kept
    assert for_client(headers, status=204) == [headers[0], headers[6]]


def test_headers_can_be_withheld() -> None:
    """By name, all of them."""
    headers = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]
    assert without(headers, {b"a"}) == [(b"b", b"2")]


@pytest.mark.parametrize(
    ("address", "is_trusted"),
    [
        ("10.1.2.3", True),
        ("11.0.0.1", False),
        ("::ffff:10.0.0.1", True),
        ("fd00::1", True),
        ("unix", False),
        ("", False),
    ],
)
def test_trust_is_a_list_of_networks(address: str, is_trusted: bool) -> None:
    """Addresses in a listed network are trusted, nothing else is."""
    trusted = TrustedPeers(["10.0.0.0/8", "fd00::/8"])
    assert trusted.trusts(address) is is_trusted
    assert trusted.trusts(address) is is_trusted
    assert not TrustedPeers().trusts(address)


def test_one_string_is_no_list_of_networks() -> None:
    """A common slip is caught."""
    with pytest.raises(TypeError, match="collection"):
        TrustedPeers("10.0.0.0/8")
