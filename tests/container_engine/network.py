"""
A bridge and firewall rules of the private dockerd's own.

The dockerd runs with ``--iptables=false``: at its start it would otherwise delete
and rebuild the chains that every dockerd on the machine shares, and cut off the
containers of another one. Ports published on 127.0.0.1 need no rule, they go through
docker-proxy. Only the way out does: these rules, for our addresses alone.
"""

import hashlib
import ipaddress
import json
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from container_engine.errors import EngineUnavailableError
from container_engine.packages import which

# Private ranges (RFC 1918) rarely in use, then the one for benchmarks (RFC 2544).
SUBNETS = (
    *(f"10.{n}.0.0/16" for n in range(213, 221)),
    "172.30.0.0/16",
    "172.31.0.0/16",
    "198.18.0.0/16",
    "198.19.0.0/16",
)
# Bytes; what dockerd gives its bridges unless told otherwise.
DEFAULT_MTU = 1500


@attrs.frozen
class Bridge:
    """
    The default bridge of one private dockerd.

    Its subnet also holds the networks that tests create, so that three rules
    cover all of them.
    """

    name: str
    subnet: ipaddress.IPv4Network
    mtu: int

    @property
    def address(self) -> str:
        """The host's address on the bridge, in the first /24 of the subnet."""
        return f"{self.subnet.network_address + 1}/24"

    @property
    def pool(self) -> str:
        """The part of the subnet for other networks, as dockerd's option wants it."""
        upper = list(self.subnet.subnets(prefixlen_diff=1))[1]
        return f"base={upper},size=24"

    def create(self) -> None:
        """Make the bridge and its rules; leftovers of a killed run are replaced."""
        self.remove()
        _run("ip", "link", "add", self.name, "type", "bridge")
        _run("ip", "address", "add", self.address, "dev", self.name)
        _run("ip", "link", "set", self.name, "mtu", str(self.mtu), "up")
        for table, chain, rule in self._rules():
            _run("iptables", "-w", "-t", table, "-I", chain, *rule)

    def remove(self) -> None:
        """Remove rules and bridge, also those of a run that had another subnet."""
        for table, chain in {(table, chain) for table, chain, _ in self._rules()}:
            for line in _run("iptables", "-w", "-t", table, "-S", chain).splitlines():
                if f"--comment {self.name} " in f"{line} ":
                    _, *rule = shlex.split(line)
                    _run("iptables", "-w", "-t", table, "-D", *rule)
        if Path(f"/sys/class/net/{self.name}").exists():
            _run("ip", "link", "delete", self.name)

    def _rules(self) -> Iterator[tuple[str, str, list[str]]]:
        """Give each rule as (table, chain, words), marked as ours."""
        ours = str(self.subnet)
        mark = ["-m", "comment", "--comment", self.name]
        replies = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]
        yield (
            "nat",
            "POSTROUTING",
            ["-s", ours, "!", "-d", ours, *mark, "-j", "MASQUERADE"],
        )
        # Another Docker engine sets the policy of FORWARD to DROP.
        yield "filter", "FORWARD", ["-s", ours, *mark, "-j", "ACCEPT"]
        yield "filter", "FORWARD", ["-d", ours, *replies, *mark, "-j", "ACCEPT"]
        # Networks that tests create have the default MTU, whatever --mtu says.
        syn = ["-p", "tcp", "--tcp-flags", "SYN,RST", "SYN"]
        clamp = ["-j", "TCPMSS", "--clamp-mss-to-pmtu"]
        yield "mangle", "FORWARD", ["-s", ours, *syn, *mark, *clamp]
        yield "mangle", "FORWARD", ["-d", ours, *syn, *mark, *clamp]


def bridge_for(root: Path) -> Bridge:
    """
    Return the bridge of the harness whose cache is at *root*.

    Raises:
        EngineUnavailableError: If every subnet that could be used is taken.
    """
    name = f"dpt-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"
    routes = _read("ip", "-j", "-4", "route", "show")
    default = next((r["dev"] for r in routes if r["dst"] == "default"), None)
    subnet = free_subnet([r["dst"] for r in routes if r.get("dev") != name])
    return Bridge(name, subnet, smallest_mtu(default))


def free_subnet(routes: Sequence[str]) -> ipaddress.IPv4Network:
    """Return the first of our subnets that overlaps none of *routes*."""
    taken = [ipaddress.ip_network(dst) for dst in routes if dst != "default"]
    for text in SUBNETS:
        subnet = ipaddress.IPv4Network(text)
        if not any(subnet.overlaps(other) for other in taken if other.version == 4):
            return subnet
    raise EngineUnavailableError(
        f"Each of {', '.join(SUBNETS)} overlaps a route of this machine, so the "
        "private dockerd has no addresses. Start an engine and name it in DOCKER_HOST."
    )


def smallest_mtu(device: str | None) -> int:
    """Return the MTU of the way out if it is below Docker's default, else that."""
    if device is None:
        return DEFAULT_MTU
    mtu = int(Path(f"/sys/class/net/{device}/mtu").read_text())
    return min(mtu, DEFAULT_MTU)


def _read(*command: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(_run(*command) or "[]")
    return found


def _run(program: str, *arguments: str) -> str:
    command = [which(program) or program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EngineUnavailableError(
            f"{' '.join(command)} failed: {done.stderr.strip()}. The private dockerd "
            "needs to create a bridge; in a container this takes the NET_ADMIN "
            "capability. Or start an engine yourself and name it in DOCKER_HOST."
        )
    return done.stdout
