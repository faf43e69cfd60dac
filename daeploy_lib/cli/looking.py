"""``ls``, ``inspect``, ``logs``, ``history`` and ``cleanup``."""

import json
from collections.abc import Iterable
from typing import Annotated

import typer

from daeploy_lib.cli import words
from daeploy_lib.cli.options import Json, Name, NameOrAll, VersionOrAll, VersionOrMain
from daeploy_lib.cli.session import Session
from daeploy_lib.cli.writing import outline, plain, write, write_json
from daeploy_lib.domain.service import LogLine


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (ls, logs, inspect, history, cleanup):
        app.command()(command)


def ls(
    context: typer.Context,
    name: NameOrAll = None,
    version: VersionOrAll = None,
    as_json: Json = False,
) -> None:
    """List versions, and which one is main."""
    session: Session = context.obj
    with session.deployer() as deployer:
        found = deployer.ls(name, version)
        if name is not None and not found:
            # Says what there is, and gives a script its exit code.
            deployer.get(name, version)
    if as_json:
        write_json(found)
    else:
        write(found)


def inspect(
    context: typer.Context,
    name: Name,
    version: VersionOrMain = None,
    as_json: Json = False,
) -> None:
    """Show all that is known of a version, without environment values."""
    session: Session = context.obj
    with session.deployer() as deployer:
        found = deployer.inspect(name, version)
    if as_json:
        write_json(found)
    else:
        write(outline(found))


def logs(
    context: typer.Context,
    name: Name,
    version: VersionOrMain = None,
    tail: Annotated[
        str, typer.Option("--tail", "-n", help="How many of the last lines, or 'all'.")
    ] = "50",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            "--date",
            "-d",
            metavar="TIME",
            help="Only later lines: a span such as 10m, or a date and time.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a version wrote; with --json one object a line."""
    session: Session = context.obj
    count, begin = words.tail_of(tail), words.since_of(since)
    with session.deployer() as deployer:
        lines = deployer.logs(name, version, tail=count, follow=follow, since=begin)
        _write_lines(lines, as_json=as_json)


def _write_lines(lines: Iterable[LogLine], *, as_json: bool) -> None:
    for line in lines:
        write(json.dumps(plain(line), ensure_ascii=False) if as_json else line)


def history(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """Show every change of a service's main."""
    session: Session = context.obj
    with session.deployer() as deployer:
        found = deployer.history(name)
    if as_json:
        write_json([plain(c) | {"verdict": _verdict(c.verdict)} for c in found])
    else:
        write(found)


def _verdict(text: str | None) -> object:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        # Another hand wrote it.
        return text


def cleanup(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what it would be.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove what no version needs any more, and show what that was."""
    session: Session = context.obj
    with session.deployer() as deployer:
        found = deployer.cleanup(dry_run=dry_run)
    if as_json:
        write_json(found)
    else:
        write(found)
