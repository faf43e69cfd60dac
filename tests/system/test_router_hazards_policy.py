"""Which requests are copied: rules and samples, on every server."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from daeploy_lib.router.policy import MirrorPolicy
from router_fronts import FRONTS, connected, get, until
from router_served import ByPath, served


@pytest.fixture(params=sorted(FRONTS))
def front(request: pytest.FixtureRequest) -> Any:
    """Every server that is installed, one after another."""
    return FRONTS[request.param]


async def test_rules_see_path_and_headers_and_no_body(front: Any) -> None:
    """The first rule that matches decides, for each request before its body."""
    shadow = ByPath({})
    policy = MirrorPolicy(rules=["!/a/health*", "!x-debug", "/a/*", "x-tenant: acme*"])
    requests = {
        b"/a/one?x=/b": [],
        b"/a/health": [],
        b"/a/two": [(b"X-Debug", b"1")],
        b"/b": [],
        b"/b?/a/": [],
        b"/b/one": [(b"X-Tenant", b"acme-2")],
        b"/b/two": [(b"X-Tenant", b"other")],
    }
    async with (
        served(front, ByPath({}), shadow, mirror=policy) as it,
        connected(it.port) as client,
    ):
        for target, fields in requests.items():
            await client.send(
                get(b"/hello" + target, fields, method=b"POST", body=b"x")
            )
            assert (await asyncio.wait_for(client.answer(), 5)).status == 200
        await until(lambda: len(shadow.requests) == 2)
        await it.settled()
        assert it.outcomes() == {"excluded": 5, "incomparable": 2}
    found = {request.line.split()[1] for request in shadow.requests}
    assert found == {b"/a/one?x=/b", b"/b/one"}


async def test_a_user_is_in_the_sample_or_not(front: Any) -> None:
    """Every request of one user is copied, or none; others are counted."""
    shadow = ByPath({})
    policy = MirrorPolicy(sample_rate=0.5, sticky="X-User")
    async with (
        served(front, ByPath({}), shadow, mirror=policy) as it,
        connected(it.port) as client,
    ):
        for _ in range(3):
            for number in range(20):
                await client.send(get(b"/hello/", [(b"X-User", b"u%d" % number)]))
                assert (await asyncio.wait_for(client.answer(), 5)).status == 200
        await it.settled()
        assert sum(it.outcomes().values()) == 60
    users = [request.header(b"x-user")[0] for request in shadow.requests]
    assert 0 < len(set(users)) < 20
    assert all(users.count(user) == 3 for user in users)


def test_sticky_samples_nest_and_hold_everywhere() -> None:
    """A larger rate keeps who is in; another process decides the same."""
    users = [b"user-%d" % number for number in range(2000)]
    inside: set[bytes] = set()
    for rate in (0.0, 0.05, 0.1, 0.5, 1.0):
        policy = MirrorPolicy(sample_rate=rate, sticky="x-user")
        sample = {user for user in users if policy.sticks([(b"x-user", user)])}
        assert inside <= sample
        assert abs(len(sample) - rate * 2000) < 100
        inside = sample
    assert MirrorPolicy(sticky="x-user").sticks([(b"x-other", b"1")]) is None
    code = (
        "from daeploy_lib import MirrorPolicy; p = MirrorPolicy(0.5, sticky='x-user');"
        "print([p.sticks([(b'x-user', b'user-%d' % n)]) for n in range(100)])"
    )
    command = [sys.executable, "-c", code]
    other = subprocess.run(command, capture_output=True, text=True, check=True)
    policy = MirrorPolicy(0.5, sticky="x-user")
    own = [policy.sticks([(b"x-user", user)]) for user in users[:100]]
    assert other.stdout.strip() == str(own)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"rules": "/a"}, TypeError),
        ({"rules": [1]}, TypeError),
        ({"rules": 1}, TypeError),
        ({"rules": [""]}, ValueError),
        ({"rules": ["!"]}, ValueError),
        ({"rules": ["two words"]}, ValueError),
        ({"rules": ["/\N{EURO SIGN}"]}, ValueError),
        ({"sticky": 1}, TypeError),
        ({"sticky": "a b"}, ValueError),
    ],
)
def test_wrong_rules_are_refused(options: Any, error: type[Exception]) -> None:
    """Before anything happens."""
    with pytest.raises(error):
        MirrorPolicy(**options)


def test_rules_that_only_exclude_leave_the_rest() -> None:
    """Without a rule that asks for something, what none matches is copied."""
    assert MirrorPolicy(rules=["!/health"]).allows(b"/x", [])
    assert not MirrorPolicy(rules=["!/health"]).allows(b"/health", [])
    assert not MirrorPolicy(rules=["/x"]).allows(b"/y", [])
    assert MirrorPolicy().allows(b"/", [])
