"""A thousand clients that keep their connections and ask nothing."""

import contextlib
import os
import socket

from bench.router.peers import Peer, missing, peer
from bench.router.programs import OTHERS
from bench.router.section import Section
from bench.router.small import NAMES
from bench.router.upstreams import upstreams
from bench.router.wrk import wrk

PEERS = ("ours", "nginx", "envoy", "traefik")
REQUEST = b"GET /none/predict HTTP/1.1\r\nHost: bench\r\n\r\n"
KIB = 1024


def idle(*, clients: int) -> Section:
    """Connect, ask once on each connection, and see what the proxies hold."""
    os.sched_setaffinity(0, OTHERS)
    rows, notes = [], []
    with upstreams(1) as fleet:
        services = {"none": [fleet[0].address]}
        for name in PEERS:
            if (why := missing(name)) is not None:
                notes.append(f"{NAMES[name]}: not measured, {why}.")
                continue
            with peer(name, services) as each:
                rows.append(_row(each, clients))
    notes.append("Memory that the kernel holds for the sockets is not in it.")
    return Section(f"{clients:,} idle keep-alive clients", rows, notes)


def _row(each: Peer, clients: int) -> dict[str, str]:
    # What the first requests bring into memory is not the connections'.
    wrk(f"http://127.0.0.1:{each.port}/none/predict", 2)
    before = each.program.rss_bytes()
    with contextlib.ExitStack() as stack:
        for _ in range(clients):
            client = socket.create_connection(("127.0.0.1", each.port))
            stack.enter_context(client)
            client.sendall(REQUEST)
            answer = b""
            while not answer.endswith(b"}"):
                part = client.recv(65536)
                if not part:
                    raise ConnectionError(f"{each.name} closed a connection.")
                answer += part
        after = each.program.rss_bytes()
    return {
        "proxy": NAMES[each.name],
        "KiB/connection": f"{(after - before) / clients / KIB:.1f}",
        "MiB before": f"{before / KIB / KIB:.1f}",
        "MiB after": f"{after / KIB / KIB:.1f}",
    }
