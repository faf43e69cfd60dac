"""Where the harness keeps its files between runs."""

import os
from pathlib import Path

import attrs
import platformdirs

from container_engine.errors import EngineUnavailableError

# sun_path in unix(7) holds 108 bytes with its final zero.
SOCKET_PATH_BYTES = 107


@attrs.frozen
class Places:
    """
    The files below one cache directory.

    The data root outlives a run, so that the base image and the build cache are
    made once. Everything else is state of a running engine.
    """

    root: Path

    @classmethod
    def default(cls) -> "Places":
        """Return ``$DAEPLOY_TEST_CACHE``, else the user's cache directory."""
        given = os.environ.get("DAEPLOY_TEST_CACHE")
        root = Path(given) if given else platformdirs.user_cache_path("daeploy-tests")
        return cls(root.absolute())

    def create(self) -> None:
        """
        Make the directory.

        Raises:
            EngineUnavailableError: If its path is too long for a socket in it.
        """
        longest = max(len(os.fsencode(p)) for p in (self.socket, self.podman_socket))
        if longest > SOCKET_PATH_BYTES:
            raise EngineUnavailableError(
                f"{self.root} is too long: a socket in it would have a path of "
                f"{longest} bytes, at most {SOCKET_PATH_BYTES} are allowed. "
                "Set DAEPLOY_TEST_CACHE to a shorter directory."
            )
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def starting(self) -> Path:
        """Locked while an engine is started, stopped or given its base image."""
        return self.root / "starting.lock"

    @property
    def users(self) -> Path:
        """Locked, shared, by everyone who uses the private dockerd."""
        return self.root / "users.lock"

    @property
    def socket(self) -> Path:
        """Where the private dockerd listens."""
        return self.root / "docker.sock"

    @property
    def data_root(self) -> Path:
        """Images and build cache of the private dockerd."""
        return self.root / "data"

    @property
    def exec_root(self) -> Path:
        """Run-time state of the private dockerd and its containerd."""
        return self.root / "exec"

    @property
    def pidfile(self) -> Path:
        """The private dockerd's process."""
        return self.root / "dockerd.pid"

    @property
    def config_file(self) -> Path:
        """An empty configuration: /etc/docker/daemon.json is not ours."""
        return self.root / "daemon.json"

    @property
    def log(self) -> Path:
        """What the private dockerd printed."""
        return self.root / "dockerd.log"

    @property
    def podman_root(self) -> Path:
        """Images and state of the private Podman."""
        return self.root / "podman"

    @property
    def podman_socket(self) -> Path:
        """Where the private Podman listens."""
        return self.root / "podman.sock"

    @property
    def podman_config(self) -> Path:
        """The private Podman's settings, in place of the system's."""
        return self.root / "containers.conf"
