"""The engine's own view of one container, for people: environment redacted."""

from collections.abc import Mapping
from typing import Any

_LIMITS = {
    "memory": "Memory",
    "memory_and_swap": "MemorySwap",
    "nano_cpus": "NanoCpus",
    "cpu_shares": "CpuShares",
    "pids": "PidsLimit",
}
_HARDENING = {
    "capabilities_dropped": "CapDrop",
    "capabilities_added": "CapAdd",
    "security_options": "SecurityOpt",
    "is_root_read_only": "ReadonlyRootfs",
    "is_privileged": "Privileged",
    "tmpfs": "Tmpfs",
    "network_mode": "NetworkMode",
    "pid_mode": "PidMode",
    "ipc_mode": "IpcMode",
    "user_namespace_mode": "UsernsMode",
    "has_init": "Init",
}


def details_of(found: Mapping[str, Any]) -> dict[str, object]:
    """
    Return what an inspection says, in our words.

    Keys: ``id``, ``name``, ``image``, ``user``, ``command``, ``labels``,
    ``environment`` (names, with ``***`` for each value), ``limits``,
    ``hardening``, ``restart_policy``, ``ports``, ``networks``, ``mounts``,
    ``log``, ``state``.
    """
    config = found.get("Config") or {}
    host = found.get("HostConfig") or {}
    network = found.get("NetworkSettings") or {}
    return {
        "id": found.get("Id", ""),
        "name": str(found.get("Name", "")).lstrip("/"),
        "image": found.get("Image", ""),
        "user": config.get("User") or "",
        "command": [found.get("Path", ""), *(found.get("Args") or ())],
        "labels": dict(config.get("Labels") or {}),
        "environment": {
            entry.partition("=")[0]: "***" for entry in config.get("Env") or ()
        },
        "limits": {
            **{ours: host.get(theirs) for ours, theirs in _LIMITS.items()},
            "ulimits": host.get("Ulimits") or [],
        },
        "hardening": {ours: host.get(theirs) for ours, theirs in _HARDENING.items()},
        "restart_policy": dict(host.get("RestartPolicy") or {}),
        "ports": host.get("PortBindings") or {},
        "networks": {
            name: (entry or {}).get("IPAddress", "")
            for name, entry in (network.get("Networks") or {}).items()
        },
        "mounts": [
            {
                "source": mount.get("Source"),
                "target": mount.get("Destination"),
                "read_only": not mount.get("RW", True),
            }
            for mount in found.get("Mounts") or ()
        ],
        "log": dict(host.get("LogConfig") or {}),
        "state": {
            key: value
            for key, value in (found.get("State") or {}).items()
            if key != "Health"
        },
    }
