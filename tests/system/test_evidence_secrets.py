"""No secret of a request or an answer is in what is kept."""

import json
from typing import Any

import attrs
import pytest

from daeploy_lib import ComparisonRules
from daeploy_lib.domain.route import Route
from daeploy_lib.evidence.store import encode
from daeploy_lib.shadow_router import ShadowRouter
from daeploy_lib.testing import AsgiDriver, Script, ScriptedUpstream, Wire, answer
from router_fronts import until

SECRET = "hunter2hunter2hunter2"
S = SECRET.encode()
JSON, TEXT = b"application/json", b"text/plain"
FORM, EVENTS = b"application/x-www-form-urlencoded", b"text/event-stream"


@attrs.frozen
class Case:
    """One request to two versions; *main* and *shadow* are what they answer."""

    path: bytes = b"/hello/"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    main: bytes = b'{"a":1}'
    shadow: bytes = b'{"a":2}'
    kind: bytes = JSON
    rules: ComparisonRules = attrs.Factory(ComparisonRules)
    secret: str = SECRET


def field(name: bytes, value: bytes = S) -> Case:
    """Return a request with one more header."""
    return Case(headers=((name, value),))


def both(content: bytes, kind: bytes, **more: Any) -> Case:
    """Return two answers that end differently."""
    one, other = content + b"1\n\n", content + b"2\n\n"
    return Case(main=one, shadow=other, kind=kind, **more)


def member(value: object, **more: Any) -> Case:
    """Return two answers in JSON that have this value."""
    one, other = ({"value": value, "a": n} for n in (1, 2))
    return Case(
        main=json.dumps(one).encode(), shadow=json.dumps(other).encode(), **more
    )


KEY = ((b"x-my-api-key", S),)
BEARER = ((b"authorization", b"Bearer " + S),)
PATIENT = ComparisonRules(redacted=["$.patient"])
PERCENT = b"".join(b"%%%02X" % byte for byte in S)
CASES = {
    "authorization": Case(headers=BEARER),
    "private token": field(b"private-token"),
    "signature": field(b"x-hub-signature"),
    "token": field(b"token"),
    "referer with a query": field(b"referer", b"https://h/p?access_token=" + S),
    "referer with a password": field(b"referer", b"https://u:" + S + b"@h/p"),
    "header with JSON": field(b"x-context", b'{"password":"' + S + b'"}'),
    "query": Case(path=b"/hello/?token=" + S),
    "query of AWS": Case(path=b"/hello/?X-Amz-Security-Token=" + S),
    "query with semicolons": Case(path=b"/hello/?a=1;password=" + S),
    "query with JSON": Case(path=b"/hello/?q=%7B%22password%22%3A%22" + S + b"%22%7D"),
    "query by a rule": Case(path=b"/hello/?patient=" + S, rules=PATIENT),
    "parameter of the path": Case(path=b"/hello/x;password=" + S),
    "path that repeats": Case(path=b"/hello/x/" + S, headers=BEARER),
    "path that repeats encoded": Case(path=b"/hello/x/" + PERCENT, headers=BEARER),
    "form": both(b"password=" + S + b"&a=", FORM),
    "text": both(b"password: " + S + b" ", TEXT),
    "text by a rule": both(b'{"patient":"' + S + b'"} ', TEXT, rules=PATIENT),
    "JSON as text": both(b'{"password":"' + S + b'"} ', TEXT),
    "JSON in a string": member(json.dumps({"password": SECRET})),
    "JSON in a string of the request": Case(
        body=json.dumps({"m": json.dumps({"password": SECRET})}).encode()
    ),
    "URL in JSON": Case(
        body=json.dumps({"u": "https://h/?api_key=" + SECRET}).encode()
    ),
    "events": both(b'data: {"password":"' + S + b'"}\n\ndata: ', EVENTS),
    "events that are cut": both(b'data: {"password":"' + S + b'",\n\ndata: ', EVENTS),
    "key in an answer": member(f"bad key {SECRET}", headers=KEY),
    "key as a label": member(SECRET, headers=KEY),
    "key as a name": member({SECRET: 1}, headers=KEY),
    "cookie in an answer": member(
        "q9zk", headers=((b"cookie", b"sid=q9zk"),), secret="q9zk"
    ),
    "member by a rule": Case(
        main=b'{"patient":"' + S + b'"}', shadow=b'{"patient":"x"}', rules=PATIENT
    ),
}


def says(body: bytes, kind: bytes) -> Script:
    """Return a version that always answers the same."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(answer(body, headers=[(b"content-type", kind)]))

    return script


@pytest.mark.parametrize("name", CASES)
async def test_no_secret_is_in_what_is_kept(name: str) -> None:
    """Neither in the bytes of the store nor in a report."""
    case = CASES[name]
    async with (
        ScriptedUpstream(says(case.main, case.kind)) as main,
        ScriptedUpstream(says(case.shadow, case.kind)) as shadow,
    ):
        route = Route({"m": main.address, "s": shadow.address}, main="m")
        router = ShadowRouter({"hello": route}, compare=case.rules)
        length = (b"content-length", b"%d" % len(case.body))
        fields = [(b"host", b"h"), (b"content-type", JSON), length, *case.headers]
        for _ in range(3):
            call = AsgiDriver(router).request(
                "POST", case.path, headers=fields, body=case.body
            )
            await call.start()
            await call.body()
        await until(lambda: router.report("hello")["s"].exchanges == 3)
        report = router.report("hello")
        kept = b"".join(map(encode, router._recorder.snapshot("hello"))).decode()
        await router.aclose()
    assert report["s"].examples, "nothing is kept that could be searched"
    assert case.secret not in kept
    assert case.secret not in str(report.to_dict())
