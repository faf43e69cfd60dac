"""What it costs a request to notice that nothing has changed, or that it has."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.timing import seconds
from daeploy_lib.domain.spec import Spec
from daeploy_lib.registry.reader import RegistryReader
from daeploy_lib.registry.records import Deployed
from daeploy_lib.registry.registry import Registry, Reservation

POLLS = 200_000
SERVICES = 50


def notice() -> Iterator[str]:
    """Poll a registry of fifty services."""
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(Path(folder), "bench")
        registry.prepare()
        registry.adopt([])
        for number in range(SERVICES):
            spec = Spec("bench", f"service-{number}", "1.0.0")
            reservation = Reservation.of(spec)
            registry.reserve(reservation)
            endpoint = f"http://127.0.0.1:{17000 + number}"
            registry.publish(reservation, Deployed("i", endpoints=(endpoint,)))
        reader = RegistryReader(Path(folder), "bench")
        reader.poll()

        def unchanged() -> None:
            for _ in range(POLLS):
                reader.poll()

        def counted() -> None:
            for _ in range(POLLS):
                reader.leave(reader.enter("service-1", "1.0.0"))

        each = seconds(unchanged) / POLLS * 1e6
        yield f"a poll, nothing changed: {each:.2f} µs (mark: 10 µs a request)"
        each = seconds(counted) / POLLS * 1e6
        yield f"counting a request in flight: {each:.2f} µs"
        reader.close()
