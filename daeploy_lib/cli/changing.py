"""``assign``, ``rollback`` and ``kill``."""

from typing import Annotated

import typer

from daeploy_lib.cli import words
from daeploy_lib.cli.asking import confirm
from daeploy_lib.cli.options import (
    Agreement,
    Confidence,
    ErrorRate,
    Json,
    LatencyRatio,
    MaxDropped,
    MinExchanges,
    Name,
    NameOrAll,
    TailRatio,
    Version,
    VersionOrAll,
    Yes,
)
from daeploy_lib.cli.session import Session
from daeploy_lib.cli.writing import narrate, write, write_json
from daeploy_lib.deployer import Deployer
from daeploy_lib.domain.service import Service


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (assign, rollback, kill):
        app.command()(command)


def assign(
    context: typer.Context,
    name: Name,
    version: Version,
    yes: Yes = False,
    gate: Annotated[
        bool,
        typer.Option(
            "--gate", help="Only if the evidence passes; so does any threshold below."
        ),
    ] = False,
    agreement: Agreement = None,
    min_exchanges: MinExchanges = None,
    error_rate: ErrorRate = None,
    latency_ratio: LatencyRatio = None,
    tail_ratio: TailRatio = None,
    max_dropped: MaxDropped = None,
    confidence: Confidence = None,
    expected: Annotated[
        str | None, typer.Option(help="The version that must be main until now.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overrule the gate; the history says so.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Change the main version of a service."""
    session: Session = context.obj
    thresholds = {
        "agreement": agreement,
        "min_exchanges": min_exchanges,
        "error_rate": error_rate,
        "latency_ratio": latency_ratio,
        "tail_ratio": tail_ratio,
        "max_dropped": max_dropped,
        "confidence": confidence,
    }
    is_gated = gate or any(thresholds.values())
    if force and not is_gated:
        raise ValueError("--force overrules a gate: name one with --gate.")
    rule = words.gate_of(thresholds) if is_gated else None
    with session.deployer() as deployer:
        if not yes:
            # A question about what there is not would be answered in vain.
            deployer.get(name, version)
        question = f"Change {name} {version} to main?"
        confirm(question, is_sure=yes, refusal="Assign cancelled")
        main = deployer.assign(name, version, gate=rule, expected=expected, force=force)
        _write_main(deployer, main, as_json=as_json)


def rollback(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """Return to the version that was main before; does not ask."""
    session: Session = context.obj
    with session.deployer() as deployer:
        _write_main(deployer, deployer.rollback(name), as_json=as_json)


def _write_main(deployer: Deployer, main: Service, *, as_json: bool) -> None:
    if as_json:
        write_json(main)
        return
    write(f"Changed main version to {main.name} {main.version}")
    write(deployer.ls(main.name))


def kill(
    context: typer.Context,
    name: NameOrAll = None,
    version: VersionOrAll = None,
    every: Annotated[
        bool, typer.Option("--all", "-a", help="Kill all services.")
    ] = False,
    yes: Yes = False,
    keep_image: Annotated[
        bool, typer.Option("--keep-image", "-i", help="Keep what was built.")
    ] = False,
    grace: Annotated[
        float, typer.Option(help="Seconds that requests in flight may take.")
    ] = 10.0,
    as_json: Json = False,
) -> None:
    """Remove a version, a whole service, or with --all everything."""
    session: Session = context.obj
    if every == (name is not None):
        raise ValueError(
            "Name the service to kill, or the service and its version, or --all of "
            "them."
        )
    with session.deployer() as deployer:
        found = deployer.ls(name, version)
        if name is not None and not found:
            deployer.get(name, version)
        (narrate if as_json else write)(str(found))
        confirm(
            "Are you sure you want to kill the above service(s)?",
            is_sure=yes or not found,
            refusal="Service(s) not killed",
        )
        if name is None:
            killed = deployer.kill_all(keep_image=keep_image, grace=grace)
        else:
            killed = deployer.kill(name, version, keep_image=keep_image, grace=grace)
    if as_json:
        write_json(killed)
        return
    for service in killed:
        write(f"Service {service.name} {service.version} killed.")
