"""Shadows' answers are compared with main's, and main never waits for that."""

import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import attrs
import pytest

from daeploy_lib import ComparisonRules
from daeploy_lib.domain.route import Route
from daeploy_lib.router.policy import Limits
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.testing import AsgiDriver, Script, ScriptedUpstream, Wire, answer
from router_carriers import carry
from router_fronts import until

HOST = (b"host", b"h")


@pytest.fixture(params=["own", "httpx"], autouse=True)
def carrier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test over our own connections, and over a transport of httpx."""
    carry(request, monkeypatch)


@attrs.define
class Compared:
    """A router with a main and one shadow."""

    driver: AsgiDriver
    router: ShadowRouter

    async def ask(self, path: bytes = b"/hello/", count: int = 1) -> None:
        """Make requests and read their answers."""
        for _ in range(count):
            call = self.driver.request("GET", path, headers=[HOST])
            await call.start()
            await call.body()

    def outcomes(self) -> Mapping[str, int]:
        """Return what became of the copies."""
        shadows: Any = self.router.stats()["shadows"]
        found: Mapping[str, int] = shadows["hello"]["s"]["outcomes"]
        return found


def says(
    body: bytes, content_type: bytes = b"application/json", **more: bytes
) -> Script:
    """Return a version that always answers the same."""
    headers = [(b"content-type", content_type)]
    headers += [
        (name.replace("_", "-").encode(), value) for name, value in more.items()
    ]

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(answer(body, headers=headers))

    return script


@contextlib.asynccontextmanager
async def compared(
    main: Script, shadow: Script, **options: Any
) -> AsyncIterator[Compared]:
    """Route /hello to a main and a shadow."""
    async with ScriptedUpstream(main) as first, ScriptedUpstream(shadow) as second:
        addresses = {"m": first.address, "s": second.address}
        router = ShadowRouter({"hello": Route(addresses, main="m")}, **options)
        yield Compared(AsgiDriver(router), router)
        await router.aclose(drain=5.0)


SAME_JSON = (b'{"a": 1, "b": [2.0]}', b'{"b": [2.0], "a": 1}')


@pytest.mark.parametrize(
    ("main", "shadow", "options", "outcome"),
    [
        (says(b"same"), says(b"same"), {}, "match"),
        (says(SAME_JSON[0]), says(SAME_JSON[1]), {}, "match"),
        (says(b'{"a": 1}'), says(b'{"a": 2}'), {}, "differ"),
        (
            says(b"x" * 5000),
            says(b"x" * 5000),
            {"limits": Limits(max_capture_bytes=9)},
            "match",
        ),
        (
            says(b"x" * 5000),
            says(b"x" * 4999 + b"y"),
            {"limits": Limits(max_capture_bytes=9)},
            "differ",
        ),
        (says(b'{"a": 1}'), says(b'{"a": 2}'), {"compare": None}, "incomparable"),
        (
            says(b'{"a": 1}'),
            says(b'{"a": 1.05}'),
            {"compare": {"hello": ComparisonRules(relative_tolerance=0.1)}},
            "match",
        ),
        (
            says(b'{"a": 1, "at": 5}'),
            says(b'{"a": 1, "at": 6}'),
            {"compare": ComparisonRules(ignored=["$.at"])},
            "match",
        ),
        (
            says(gzip.compress(SAME_JSON[0], mtime=0), content_encoding=b"gzip"),
            says(SAME_JSON[1]),
            {},
            "match",
        ),
        (says(b"[" * 100_000), says(b"[" * 99_999 + b"]"), {}, "incomparable"),
        (says(b"", b"text/plain"), says(b"", b"text/html"), {}, "differ"),
    ],
)
async def test_pairs_are_compared_by_the_rules(
    main: Script, shadow: Script, options: dict[str, Any], outcome: str
) -> None:
    """Each pair of answers ends in the outcome that the rules give."""
    async with compared(main, shadow, **options) as it:
        await it.ask(count=3)
        await until(lambda: it.outcomes() == {outcome: 3})
        assert it.router.stats()["held_bytes"] == 0


async def test_large_pairs_are_compared_beside_the_loop() -> None:
    """They end as well, and a router that closes waits for them."""
    rows = [{"id": n, "name": f"row {n}"} for n in range(20_000)]
    main, shadow = json.dumps(rows), json.dumps([*rows[:-1], {"id": -1, "name": "x"}])
    async with compared(says(main.encode()), says(shadow.encode())) as it:
        await it.ask(count=2)
        await it.router.aclose(drain=20.0)
        assert it.outcomes() == {"differ": 2}
        assert it.router.stats()["held_bytes"] == 0


async def test_rules_of_the_wrong_type_are_refused() -> None:
    """Before anything is routed."""
    with pytest.raises(TypeError, match="no ComparisonRules"):
        ShadowRouter({}, compare={"hello": 5})  # type: ignore[dict-item]
