"""``serve``: a router, without an application around it."""

import os
import socket
from typing import TYPE_CHECKING, Annotated

import attrs
import typer

from daeploy_lib.cli.failing import RefusedError
from daeploy_lib.cli.front import PREFIX, Front
from daeploy_lib.cli.session import Session
from daeploy_lib.cli.writing import narrate
from daeploy_lib.domain.names import check_name
from daeploy_lib.registry.registry import Registry
from daeploy_lib.registry.state import DATABASE
from daeploy_lib.router.policy import MirrorPolicy

if TYPE_CHECKING:
    import uvicorn

# Requests under way may end; so long does the router drain as well.
_GRACE_S = 10
_TAKEN = "Port {port} of {host} cannot be used: {reason}. Choose another with --port."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(serve)


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0: any that is free.")
    ] = 8080,
    sample_rate: Annotated[
        float, typer.Option(help="Share of requests that shadows get.")
    ] = 1.0,
    safe_methods: Annotated[
        bool, typer.Option("--safe-methods", help="Copy only GET, HEAD and the like.")
    ] = False,
) -> None:
    """
    Serve every service at /services/NAME/, shadows included.

    An index is at /, counts for Prometheus at /metrics where the extra "metrics"
    is installed. Follows every deploy, assign and kill. Ctrl-C ends it, after the
    requests under way.
    """
    session: Session = context.obj
    policy = MirrorPolicy(sample_rate)
    if safe_methods:
        policy = attrs.evolve(policy, methods="safe")
    project = check_name(session.project, "project")
    if (session.state / DATABASE).exists():
        # A router goes on with what it knew, but here it knows nothing yet.
        Registry(session.state, project).prepare()
    front = Front(session.state, project, policy)
    server = _server(front)
    with _listener(host, port) as listener:
        address, number = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        narrate(f"Serving http://{shown}:{number}{PREFIX}/ (Ctrl-C ends it)")
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            # The server has drained, and then passes the signal on.
            narrate("Stopped.")


def _server(front: Front) -> "uvicorn.Server":
    # Not at the top: it takes long to import, and only this command needs it.
    import uvicorn  # noqa: PLC0415

    config = uvicorn.Config(
        front,
        log_level="warning",
        access_log=False,
        # Main's own fields are what the client gets.
        date_header=False,
        server_header=False,
        # Nobody stands before it: what clients say of themselves is not believed.
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return uvicorn.Server(config)


def _listener(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        # A host that is not known has no number of the system's.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else str(error.strerror)
        raise RefusedError(
            _TAKEN.format(port=port, host=host, reason=reason.lower())
        ) from None
