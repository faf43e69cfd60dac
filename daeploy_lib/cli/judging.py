"""``report``, ``gate`` and ``watch``."""

from pathlib import Path
from typing import Annotated

import typer

from daeploy_lib.cli import words
from daeploy_lib.cli.failing import GATE_FAILED, verdict_code
from daeploy_lib.cli.options import (
    Agreement,
    Confidence,
    ErrorRate,
    Interval,
    Json,
    LatencyRatio,
    MaxDropped,
    MinExchanges,
    Name,
    TailRatio,
    VersionOrOnly,
)
from daeploy_lib.cli.session import Session
from daeploy_lib.cli.writing import narrate, write, write_json


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (report, gate, watch):
        app.command()(command)


def report(
    context: typer.Context,
    name: Name,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with all of it to this file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show how the answers of each shadow compare with main's."""
    session: Session = context.obj
    with session.deployer() as deployer:
        found = deployer.report(name)
    if html is not None:
        narrate(f"Wrote {found.to_html(html)}")
    if as_json:
        write_json(found.to_dict())
    elif html is None:
        write(found)


def gate(
    context: typer.Context,
    name: Name,
    version: VersionOrOnly = None,
    agreement: Agreement = None,
    min_exchanges: MinExchanges = None,
    error_rate: ErrorRate = None,
    latency_ratio: LatencyRatio = None,
    tail_ratio: TailRatio = None,
    max_dropped: MaxDropped = None,
    confidence: Confidence = None,
    as_json: Json = False,
) -> int:
    """Judge a shadow: exit code 0 pass, 4 fail, 5 inconclusive."""
    session: Session = context.obj
    rule = words.gate_of(
        {
            "agreement": agreement,
            "min_exchanges": min_exchanges,
            "error_rate": error_rate,
            "latency_ratio": latency_ratio,
            "tail_ratio": tail_ratio,
            "max_dropped": max_dropped,
            "confidence": confidence,
        }
    )
    with session.deployer() as deployer:
        verdict = deployer.report(name).judge(rule, version)
    if as_json:
        write_json(verdict.to_dict())
    else:
        write(verdict)
    return verdict_code(verdict)


def watch(
    context: typer.Context,
    name: Name,
    agreement: Agreement = None,
    min_exchanges: MinExchanges = None,
    error_rate: ErrorRate = None,
    latency_ratio: LatencyRatio = None,
    tail_ratio: TailRatio = None,
    max_dropped: MaxDropped = None,
    confidence: Confidence = None,
    interval: Interval = 5.0,
) -> int:
    """
    Follow a new main, and return to the old one if the gate fails.

    Writes each verdict that differs from the one before. Ends with code 4 when it
    has returned, and with 0 when main is changed by another hand.
    """
    session: Session = context.obj
    rule = words.gate_of(
        {
            "agreement": agreement,
            "min_exchanges": min_exchanges,
            "error_rate": error_rate,
            "latency_ratio": latency_ratio,
            "tail_ratio": tail_ratio,
            "max_dropped": max_dropped,
            "confidence": confidence,
        }
    )
    with (
        session.deployer() as deployer,
        deployer.watch(name, gate=rule, interval=interval) as watched,
    ):
        narrate(f"Watching {name} {watched.version} (Ctrl-C ends it)")
        said = ""
        for verdict in watched:
            if str(verdict) != said:
                said = str(verdict)
                write(said)
        if watched.reason:
            narrate(watched.reason)
        if watched.rolled_back:
            write(f"Changed main version to {name} {watched.previous}")
            return GATE_FAILED
    return 0
