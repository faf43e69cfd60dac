"""The router's counts as Prometheus reads them, over a real server."""

from typing import Any

from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.routing import Mount

from daeploy_lib import Route, ShadowRouter
from daeploy_lib.metrics import metrics_app
from daeploy_lib.testing import ScriptedUpstream
from router_fronts import Echo, fetch, get, until, uvicorn_httptools


def samples(text: str, parse: Any) -> dict[tuple[str, ...], float]:
    """Return values by name and labels, these in the order of their names."""
    return {
        (sample.name, *dict(sorted(sample.labels.items())).values()): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def _in_flight(router: ShadowRouter) -> int:
    shadows: Any = router.stats()["shadows"]
    return int(shadows["hello"]["2"]["in_flight"])


async def test_counts_are_those_of_the_router() -> None:
    """In both formats; names, labels and sums are as documented."""
    async with ScriptedUpstream(Echo()) as main, ScriptedUpstream(Echo()) as shadow:
        route = Route({"1": main.address, "2": shadow.address}, main="1")
        router = ShadowRouter({"hello": route}, compare=None)
        mounts = [Mount("/metrics", metrics_app(router)), Mount("/services", router)]
        async with uvicorn_httptools(Starlette(routes=mounts)) as port:
            for _ in range(3):
                assert (await fetch(port, get(b"/services/hello/"))).status == 200
            assert (await fetch(port, get(b"/services/nope/"))).status == 404
            await until(lambda: _in_flight(router) == 0)
            plain = await fetch(port, get(b"/metrics/"))
            modern = await fetch(
                port,
                get(b"/metrics/", [(b"accept", b"application/openmetrics-text")]),
            )
        await router.aclose(drain=1.0)
    for answer, parse in (
        (plain, text_string_to_metric_families),
        (modern, openmetrics),
    ):
        assert answer.status == 200
        found = samples(answer.body.decode(), parse)
        assert found["daeploy_router_answers_total", "relayed"] == 3
        assert found["daeploy_router_refused_total", "404"] == 1
        assert found["daeploy_router_in_flight",] == 0
        assert found["daeploy_shadow_requests_total", "hello", "2"] == 3
        name = ("daeploy_shadow_outcomes_total", "incomparable", "hello", "2")
        assert found[name] == 3
