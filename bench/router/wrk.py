"""wrk at saturation: 16 connections, as fast as the proxy answers."""

import re
import subprocess
from pathlib import Path

import attrs

from bench.router.programs import found

CONNECTIONS = 16
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
NUMBER = r"([\d.]+)(us|ms|s|m)"


@attrs.frozen
class Load:
    """
    What wrk saw.

    Attributes:
        requests: Answers it received.
        seconds: How long it ran.
        p50: Seconds.
        p99: Seconds.
        failed: Socket errors, time-outs, answers that were not 2xx or 3xx.
    """

    requests: int
    seconds: float
    p50: float
    p99: float
    failed: int

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def wrk(url: str, seconds: float, script: Path | None = None) -> Load:
    """Load a URL and wait until the time is over."""
    words = ["-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds:.0f}s", "--latency"]
    if script is not None:
        words += ["-s", str(script)]
    done = subprocess.run(
        [found("wrk") or "wrk", *words, url],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 30,
    )
    return parsed(done.stdout)


def parsed(text: str) -> Load:
    """Read wrk's report."""

    def duration(pattern: str) -> float:
        match = re.search(pattern + NUMBER, text)
        if match is None:
            raise ValueError(f"wrk said something unknown:\n{text}")
        return float(match[1]) * UNITS[match[2]]

    count = re.search(r"(\d+) requests in ", text)
    errors = re.findall(r"(?:connect|read|write|timeout) (\d+)", text)
    errors += re.findall(r"Non-2xx or 3xx responses: (\d+)", text)
    return Load(
        requests=int(count[1]) if count else 0,
        seconds=duration(r"requests in "),
        p50=duration(r"50%\s+"),
        p99=duration(r"99%\s+"),
        failed=sum(map(int, errors)),
    )
