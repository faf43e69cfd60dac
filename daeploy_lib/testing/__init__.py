"""
What tests of services, routers and runtimes need: real sockets, verified fakes.

``ScriptedUpstream`` is a server whose every byte is decided, ``AsgiDriver`` calls
an application as a server would. ``MemoryRuntime`` runs versions without an
engine, and ``check_runtime`` holds it, and any other runtime, to the contract.
"""

from daeploy_lib.runtimes.contract import CHECKS, Contract, check_runtime, checking
from daeploy_lib.runtimes.memory import Behaviour, MemoryRuntime
from daeploy_lib.testing.asgi_driver import AsgiCall, AsgiDriver
from daeploy_lib.testing.scripted_upstream import (
    ReceivedRequest,
    Script,
    ScriptedUpstream,
    Wire,
    answer,
)

__all__ = [
    "CHECKS",
    "AsgiCall",
    "AsgiDriver",
    "Behaviour",
    "Contract",
    "MemoryRuntime",
    "ReceivedRequest",
    "Script",
    "ScriptedUpstream",
    "Wire",
    "answer",
    "check_runtime",
    "checking",
]
