"""The connection to the engine: made at the first use, and again after a fork."""

import os
import socket
import threading
from collections.abc import Callable
from typing import TypeVar

import docker
import docker.errors
import docker.tls
import requests.exceptions
from docker.utils import version_lt

from daeploy_lib.runtimes.docker.endpoint import Endpoint, TlsFiles
from daeploy_lib.runtimes.docker.failures import (
    API_MIN,
    Failing,
    mapped,
    too_old,
    unreachable,
)

# Seconds. An engine that is down is reported within 5 s (rule 16): one attempt to
# connect, or one question and then one ping.
CONNECT_TIMEOUT_S = 4
QUICK_TIMEOUT_S = 2
# What changes something may take longer on a busy machine.
SLOW_TIMEOUT_S = 120

_T = TypeVar("_T")


class Engine:
    """
    An engine, contacted at the first use.

    Safe for threads. A child process that was forked gets connections of its own.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._lock = threading.Lock()
        self._quick: docker.APIClient | None = None
        self._slow: docker.APIClient | None = None
        self._pid = os.getpid()
        self._is_podman: bool | None = None

    def ask(
        self, question: Callable[[docker.APIClient], _T], doing: Failing | None = None
    ) -> _T:
        """
        Return the answer to a question that changes nothing.

        An engine that is only slow is asked again with more time.

        Raises:
            RuntimeUnavailableError: Within 5 s if nothing answers.
            DeployError: If the engine refuses.
        """
        with mapped(doing or Failing(self.endpoint, "ask")):
            try:
                return question(self._connected())
            except requests.exceptions.ReadTimeout:
                self._connected().ping()
            return question(self._patient())

    def ready(self) -> docker.APIClient:
        """
        Return a client for what takes longer, once the engine has answered.

        Raises:
            RuntimeUnavailableError: Within 5 s if nothing answers.
        """
        with mapped(Failing(self.endpoint, "ask")):
            self._connected().ping()
            return self._patient()

    def stream(self) -> docker.APIClient:
        """
        Return a client of its own for one long stream; the caller closes it.

        Raises:
            RuntimeUnavailableError: Within 5 s if nothing answers.
        """
        with mapped(Failing(self.endpoint, "ask")):
            self._connected().ping()
            version = self._connected().api_version
            return _client(self.endpoint, SLOW_TIMEOUT_S, version)

    def is_podman(self) -> bool:
        """
        Return whether it is Podman, which differs where this is asked.

        Raises:
            RuntimeUnavailableError: Within 5 s if nothing answers.
        """
        if self._is_podman is None:
            parts = self.ask(lambda client: client.version()).get("Components") or ()
            self._is_podman = any("Podman" in str(part.get("Name")) for part in parts)
        return self._is_podman

    def close(self) -> None:
        """Free the connections; the next use makes new ones."""
        with self._lock:
            clients, self._quick, self._slow = (self._quick, self._slow), None, None
            for client in clients:
                if client is not None:
                    client.close()

    def _connected(self) -> docker.APIClient:
        with self._lock:
            if self._pid != os.getpid():
                # Two processes on one connection would read each other's answers.
                self._quick = self._slow = None
                self._pid = os.getpid()
            if self._quick is None:
                self._quick = _connect(self.endpoint)
            return self._quick

    def _patient(self) -> docker.APIClient:
        version = self._connected().api_version
        with self._lock:
            if self._slow is None:
                self._slow = _client(self.endpoint, SLOW_TIMEOUT_S, version)
            return self._slow


def _connect(endpoint: Endpoint) -> docker.APIClient:
    if endpoint.problem:
        raise unreachable(endpoint, endpoint.problem)
    if endpoint.socket is not None:
        # The client leaves a socket open that it cannot connect.
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.settimeout(CONNECT_TIMEOUT_S)
            attempt.connect(endpoint.socket)
    try:
        client = _client(endpoint, CONNECT_TIMEOUT_S, "auto")
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise unreachable(endpoint, "what answers there is no Docker engine") from error
    if version_lt(client.api_version, API_MIN):
        client.close()
        raise too_old(endpoint, client.api_version)
    client.timeout = QUICK_TIMEOUT_S
    return client


def _client(endpoint: Endpoint, timeout: int, version: str) -> docker.APIClient:
    tls = _tls(endpoint.tls)
    client = docker.APIClient(endpoint.url, version, timeout, tls, use_ssh_client=True)
    if endpoint.host is None:
        # A socket has no proxy and no password file: reading them takes longer
        # than the request.
        client.trust_env = False
    return client


def _tls(files: TlsFiles | None) -> docker.tls.TLSConfig | bool:
    if files is None:
        return False
    cert = (files.cert, files.key) if files.cert and files.key else None
    return docker.tls.TLSConfig(cert, files.ca, files.is_verified)
