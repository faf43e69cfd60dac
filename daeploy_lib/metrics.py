"""
A router's counts for Prometheus: a small ASGI endpoint, mounted where you like.

Needs the extra ``metrics``: ``pip install 'daeploy-lib[metrics]'``.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, make_asgi_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

_VERSION = ["service", "version"]
_Services = Mapping[str, Mapping[str, Any]]


class HasStats(Protocol):
    """What the endpoint needs of a ``ShadowRouter``."""

    def stats(self) -> Mapping[str, Any]:
        """Return the counts of this process."""
        ...


def metrics_app(router: HasStats) -> Any:
    """
    Return an ASGI application that answers with a router's counts.

    Text in Prometheus' format, or OpenMetrics if that is asked for. The counts
    are those of this process: with several server processes each answers with
    its own, and a scrape reaches one of them.

    Args:
        router: A ``ShadowRouter``.

    Example:
        >>> from daeploy_lib import Route, ShadowRouter
        >>> router = ShadowRouter({"hello": Route({"1": "http://127.0.0.1:1"}, "1")})
        >>> from fastapi import FastAPI
        >>> app = FastAPI()
        >>> app.mount("/metrics", metrics_app(router))
        >>> app.mount("/services", router)
    """
    registry = CollectorRegistry()
    registry.register(_RouterCollector(router))
    return make_asgi_app(registry)


class _RouterCollector(Collector):
    """Reads the counts when they are asked for; keeps none of its own."""

    def __init__(self, router: HasStats) -> None:
        self._router = router

    def collect(self) -> Iterable[Metric]:
        """Return every count as Prometheus names it."""
        stats = self._router.stats()
        yield from _of_router(stats)
        for key, kind, what in (
            ("shadows", "shadow", "Requests that a shadow could have got."),
            ("noise", "noise", "Requests that main was to get a second time."),
        ):
            yield from _of_copies(stats[key], kind, what)


def _of_router(stats: Mapping[str, Any]) -> Iterable[Metric]:
    for name, what in (
        ("connections", "Open connections to versions."),
        ("in_flight", "Requests under way."),
        ("held_bytes", "Bytes that copies hold until their shadows take them."),
    ):
        yield GaugeMetricFamily(f"daeploy_router_{name}", what, value=stats[name])
    answers = CounterMetricFamily(
        "daeploy_router_answers",
        "How requests ended for the client.",
        labels=["result"],
    )
    for result in ("relayed", "broken", "client_gone"):
        answers.add_metric([result], stats[result])
    yield answers
    refused = CounterMetricFamily(
        "daeploy_router_refused",
        "Answers of the router's own, by status.",
        labels=["status"],
    )
    for status, count in stats["refused"].items():
        refused.add_metric([str(status)], count)
    yield refused


def _of_copies(services: _Services, kind: str, what: str) -> Iterable[Metric]:
    requests = CounterMetricFamily(f"daeploy_{kind}_requests", what, labels=_VERSION)
    in_flight = GaugeMetricFamily(
        f"daeploy_{kind}_in_flight", "Copies under way.", labels=_VERSION
    )
    outcomes = CounterMetricFamily(
        f"daeploy_{kind}_outcomes",
        "How copies ended; their sum and those under way are the requests.",
        labels=[*_VERSION, "outcome"],
    )
    for service, versions in services.items():
        for version, counts in versions.items():
            requests.add_metric([service, version], counts["requests"])
            in_flight.add_metric([service, version], counts["in_flight"])
            for outcome, count in counts["outcomes"].items():
                outcomes.add_metric([service, version, outcome], count)
    yield from (requests, in_flight, outcomes)
