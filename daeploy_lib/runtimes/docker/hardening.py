"""What a container may use and do: the engine's settings for one version."""

from typing import Any

import docker.types

from daeploy_lib.domain.spec import Mount, Spec
from daeploy_lib.runtimes.base import Artifact

# No such user exists in common images: distroless calls it nonroot.
FORCED_USER = "65532:65532"
# Open files; enough for thousands of connections, and less than any usual hard
# limit, which a rootless engine may not exceed.
NOFILE = 16384
# The engine keeps this much of a version's output.
LOG_MAX_SIZE = "10m"
LOG_MAX_FILES = "3"


def container_settings(
    spec: Spec, artifact: Artifact, image_user: str
) -> dict[str, Any]:
    """
    Return arguments of the create call, without ports and network.

    Args:
        spec: What was asked for.
        artifact: The image.
        image_user: The user that the image itself names; "" for root.

    Source:
        CIS Docker Benchmark 1.6, sections 4.1, 5.4 to 5.31.
    """
    user = _user(spec, artifact, image_user)
    environment = {
        "HOST": "0.0.0.0",  # noqa: S104 - inside the container's own network
        "PORT": str(spec.port),
        # A user without an entry has the root directory, which is read-only.
        **({"HOME": "/tmp"} if user == FORCED_USER else {}),  # noqa: S108 - a tmpfs
        **spec.environment,
    }
    return {
        "user": user,
        "environment": environment,
        "command": list(spec.command) if spec.command else None,
    }


def host_settings(
    spec: Spec, artifact: Artifact, cpu_shares: int, *, is_podman: bool
) -> dict[str, Any]:
    """
    Return arguments of the host configuration, without ports and network.

    Podman has limits of its own for open files and processes; given one, it
    takes the kernel's maximum for the other, which it may not always set.
    """
    nofile = docker.types.Ulimit(name="nofile", soft=NOFILE, hard=NOFILE)
    wanted, limits = spec.hardening, spec.resources
    is_read_only = wanted.read_only_root
    if is_read_only is None:
        is_read_only = artifact.is_built
    options = f"rw,noexec,nosuid,nodev,size={wanted.tmpfs_size},mode=1777"
    return {
        "init": True,
        "cap_drop": ["ALL"],
        "cap_add": list(wanted.capabilities) or None,
        "security_opt": ["no-new-privileges"] if wanted.no_new_privileges else None,
        "read_only": is_read_only,
        "tmpfs": {"/tmp": options} if is_read_only else None,  # noqa: S108
        "pids_limit": limits.pids,
        "mem_limit": limits.memory,
        # Equal to the limit: no swap on top of it.
        "memswap_limit": limits.memory,
        "nano_cpus": round(limits.cpus * 1e9),
        "cpu_shares": cpu_shares,
        "ulimits": None if is_podman else [nofile],
        "log_config": docker.types.LogConfig(
            type=docker.types.LogConfig.types.JSON,
            config={"max-size": LOG_MAX_SIZE, "max-file": LOG_MAX_FILES},
        ),
        "mounts": [_mount(mount) for mount in spec.mounts] or None,
        "device_requests": _gpus(limits.gpus),
        # A version that crashes before it is ready must not come back.
        "restart_policy": None,
    }


def _user(spec: Spec, artifact: Artifact, image_user: str) -> str | None:
    if spec.hardening.user is not None:
        return spec.hardening.user
    if artifact.is_built and is_root(image_user):
        return FORCED_USER
    return None


def is_root(user: str) -> bool:
    """
    Return whether an image's ``USER`` is root.

    Example:
        >>> is_root(""), is_root("0:1000"), is_root("app")
        (True, True, False)
    """
    name = user.partition(":")[0]
    return name in ("", "root") or (name.isdecimal() and int(name) == 0)


def _mount(mount: Mount) -> docker.types.Mount:
    return docker.types.Mount(
        target=mount.target,
        source=mount.source,
        type="bind",
        read_only=mount.read_only,
    )


def _gpus(gpus: int | str) -> list[docker.types.DeviceRequest] | None:
    if not gpus:
        return None
    count = -1 if gpus == "all" else int(gpus)
    return [docker.types.DeviceRequest(count=count, capabilities=[["gpu"]])]
