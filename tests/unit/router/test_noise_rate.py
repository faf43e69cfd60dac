"""Which requests main gets a second time, and what that is called."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib import MirrorPolicy
from daeploy_lib.domain.route import Route
from daeploy_lib.router.marks import Marks
from daeploy_lib.router.outcome import Tally, not_compared
from daeploy_lib.router.plan import Plan, Settings, make_plan
from daeploy_lib.router.policy import Limits, Timeouts
from daeploy_lib.router.table import RouteTable
from daeploy_lib.router.trust import TrustedPeers
from daeploy_lib.router.websocket.handshake import as_request

ROUTE = Route({"1": "http://127.0.0.1:1", "2": "http://127.0.0.1:2"}, main="1")


class Pairings:
    """Makes pairings, and notes which."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str, str]] = []

    def __call__(self, name: str, main: str, shadow: str) -> Any:
        """Return a new one."""
        self.made.append((name, main, shadow))
        return object()


class Asked:
    """Plans of one router."""

    def __init__(self, *, compares: bool = True, **policy: Any) -> None:
        self.pairings = Pairings()
        self.settings = Settings(
            policies={},
            policy=MirrorPolicy(**policy),
            limits=Limits(),
            timeouts=Timeouts(),
            trusted=TrustedPeers([]),
            marks=Marks(b"key"),
            judge=not_compared,
            tally=Tally(),
            compares=lambda _: compares,
            pairing_of=self.pairings,
        )
        self.table = self.new_table(ROUTE)

    def new_table(self, route: Route) -> RouteTable:
        """Return the table after a change of the route."""
        self.table = RouteTable(
            {"hello": route},
            getattr(self, "table", None),
            pairing_of=self.pairings,
            again_of=self.settings.again_of,
        )
        return self.table

    def plan(self, method: str = "GET", path: bytes = b"/hello/a", **more: Any) -> Plan:
        """Return what is decided about a request."""
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path.decode(),
            "raw_path": path,
            "headers": [(b"host", b"h")],
            **more,
        }
        return make_plan(scope, self.table, self.settings)

    def versions(self, method: str = "GET", path: bytes = b"/hello/a") -> list[str]:
        """Return who gets a copy."""
        return [target.version for target in self.plan(method, path).shadows]


@given(st.floats(0, 1), st.integers(0, 300))
def test_the_share_is_exact(rate: float, count: int) -> None:
    """N requests give n times the rate, to within one."""
    policy = MirrorPolicy(noise_rate=rate)
    taken = sum(policy.asks_again(place) for place in range(count))
    assert abs(taken - count * rate) < 1


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (1.1, ValueError),
        (-0.1, ValueError),
        (float("nan"), ValueError),
        ("0.1", TypeError),
        (True, TypeError),
        (None, TypeError),
    ],
)
def test_a_wrong_rate_raises(value: Any, error: type[Exception]) -> None:
    """At construction, with its own name in the message."""
    with pytest.raises(error, match="noise_rate"):
        MirrorPolicy(noise_rate=value)


def test_nothing_is_asked_twice_by_default() -> None:
    """Nor where answers are not compared, or no shadow gets a copy."""
    assert Asked().versions() == ["2"]
    assert Asked(noise_rate=1.0, compares=False).versions() == ["2"]
    alone = Asked(noise_rate=1.0)
    alone.new_table(Route({"1": "http://127.0.0.1:1"}, main="1"))
    assert alone.versions() == []


def test_a_share_of_the_copied_safe_requests_is_asked_twice() -> None:
    """What is unsafe, left out, or sent to one version is not, and is not counted."""
    asked = Asked(noise_rate=0.5, rules=["!/secret"])
    assert asked.versions() == ["2"]
    for method, path in (
        ("POST", b"/hello/a"),
        ("get", b"/hello/a"),
        ("PURGE", b"/hello/a"),
        ("GET", b"/hello/secret"),
        ("GET", b"/hello_1/a"),
        ("GET", b"/hello_2/a"),
    ):
        assert "1" not in asked.versions(method, path)
    assert asked.versions() == ["2", "1"]
    assert asked.versions("HEAD") == ["2"]
    assert asked.versions("OPTIONS") == ["2", "1"]


def test_a_websocket_is_not_opened_twice() -> None:
    """Its messages are not safe, though its handshake is a GET."""
    asked = Asked(noise_rate=1.0)
    handshake = {
        "type": "websocket",
        "scheme": "ws",
        "http_version": "1.1",
        "path": "/hello/a",
        "raw_path": b"/hello/a",
        "headers": [(b"host", b"h")],
    }
    plan = make_plan(as_request(handshake), asked.table, asked.settings)
    assert [target.version for target in plan.shadows] == ["2"]


def test_main_is_told_that_it_is_asked_as_a_shadow() -> None:
    """The copy bears main's own version, and what shadows do not get is withheld."""
    asked = Asked(noise_rate=1.0, withhold=["cookie"])
    plan = asked.plan(headers=[(b"host", b"h"), (b"cookie", b"a=1")])
    head = plan.copy_head(plan.shadows[-1], plan.new_mark())
    assert b"x-daeploy-role: shadow\r\n" in head
    assert b"x-daeploy-version: 1\r\n" in head
    assert b"cookie" not in head
    assert b"cookie" in plan.main_head()
    assert b"x-daeploy" not in plan.main_head()


def test_its_evidence_is_of_main_and_main() -> None:
    """It goes on while main is where it was, and begins anew with another."""
    asked = Asked(noise_rate=1.0)

    def pairing(*versions: tuple[str, int], main: str = "1") -> object:
        addresses = {version: f"http://127.0.0.1:{port}" for version, port in versions}
        asked.new_table(Route(addresses, main=main))
        return asked.plan().shadows[-1].pairing

    first = asked.plan().shadows[-1].pairing
    assert asked.pairings.made == [("hello", "1", "2"), ("hello", "1", "1")]
    assert pairing(("1", 1), ("2", 2), ("3", 3)) is first
    assert pairing(("1", 1), ("3", 3)) is first
    moved = pairing(("1", 11), ("3", 3))
    assert moved is not first
    promoted = pairing(("1", 11), ("3", 3), main="3")
    assert asked.pairings.made[-1] == ("hello", "3", "3")
    assert promoted is not moved


def test_its_counts_are_no_shadows() -> None:
    """They are under a name of their own, by service and main."""
    asked = Asked(noise_rate=1.0)
    again = asked.plan().shadows[-1]
    assert again.counts is asked.settings.tally.again("hello", "1")
    assert again.counts is not asked.settings.tally.version("hello", "1")
    again.counts.requests += 1
    stats: Any = asked.settings.tally.as_mapping()
    assert stats["shadows"] == {}
    assert stats["noise"]["hello"]["1"]["requests"] == 1
