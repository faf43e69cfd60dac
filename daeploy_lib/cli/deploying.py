"""``init`` and ``deploy``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from daeploy_lib.cli import words
from daeploy_lib.cli.asking import ask
from daeploy_lib.cli.completing import complete_name
from daeploy_lib.cli.options import Json
from daeploy_lib.cli.session import Session
from daeploy_lib.cli.source import SourceKind, source_of
from daeploy_lib.cli.writing import narrate, write, write_json
from daeploy_lib.domain.spec import Hardening, Readiness, Resources
from daeploy_lib.show.progress import progress

_DEFAULT_NAME = "my_project"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(init)
    app.command()(deploy)


def init(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Argument(help="Where the new directory is made.")
    ] = Path(),
    name: Annotated[
        str | None,
        typer.Option("--name", "-n", help="Of the service; asked for by default."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a small service that deploys as it is."""
    session: Session = context.obj
    if name is None:
        name = ask("project_name", _DEFAULT_NAME, option="--name")
    with session.deployer() as deployer:
        made = deployer.init(name, directory)
    if as_json:
        write_json({"name": name, "path": made.absolute()})


def deploy(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="The service.", autocompletion=complete_name)
    ],
    version: Annotated[str, typer.Argument(help="The new version.")],
    source: Annotated[
        str,
        typer.Argument(
            help="A directory or archive; with --git an address, with --image a name."
        ),
    ],
    port: Annotated[
        int, typer.Option("--port", "-p", help="What it listens on.")
    ] = 8000,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            "--environment",
            "-e",
            metavar="NAME=VALUE",
            help="A variable to set; NAME alone takes its value from here.",
        ),
    ] = None,
    env_file: Annotated[
        Path | None, typer.Option(help="Lines of NAME=VALUE, and comments.")
    ] = None,
    command: Annotated[
        str | None, typer.Option(help="Words to run instead of its own command.")
    ] = None,
    mount: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE:TARGET[:rw]", help="A host path that it is given."
        ),
    ] = None,
    memory: Annotated[str, typer.Option(help="Such as 512m or 2g.")] = "512m",
    cpus: Annotated[float, typer.Option(help="In processors, such as 1.5.")] = 1.0,
    pids: Annotated[int, typer.Option(help="Processes and threads.")] = 256,
    gpus: Annotated[str, typer.Option(help="How many, or 'all'.")] = "0",
    user: Annotated[
        str | None, typer.Option(metavar="UID:GID", help="To run as.")
    ] = None,
    writable: Annotated[
        bool, typer.Option("--writable", help="Its root can be written.")
    ] = False,
    capability: Annotated[
        list[str] | None, typer.Option(help="A Linux capability to keep.")
    ] = None,
    ready_path: Annotated[str, typer.Option(help="Asked until it answers.")] = "/",
    timeout: Annotated[
        float, typer.Option(help="Seconds until it must be ready.")
    ] = 60.0,
    git: Annotated[
        bool, typer.Option("--git", "-g", help="SOURCE is a git repository.")
    ] = False,
    ref: Annotated[
        str | None, typer.Option(help="With --git: branch, tag or commit.")
    ] = None,
    subdirectory: Annotated[
        str | None, typer.Option(help="With --git: where the service is.")
    ] = None,
    image: Annotated[
        bool, typer.Option("--image", "-i", help="SOURCE is a container image.")
    ] = False,
    pull: Annotated[
        str | None,
        typer.Option(
            metavar="missing|always|never", help="With --image; missing by default."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Deploy a version: main if it is the first, else a shadow."""
    session: Session = context.obj
    runtime = session.runtime()
    kind = SourceKind(git, image, ref, subdirectory, pull)
    wanted: dict[str, Any] = {
        "source": source_of(source, kind),
        "port": port,
        "environment": words.environment_of(env or (), env_file),
        "command": words.command_of(command),
        "mounts": words.mounts_of(mount or ()),
        "resources": Resources(memory, cpus, pids, words.gpus_of(gpus)),
        "hardening": Hardening(
            read_only_root=False if writable else None,
            user=user,
            capabilities=tuple(capability or ()),
        ),
        "readiness": Readiness(ready_path, timeout),
    }
    narrate(f"Active host: {runtime.description}")
    narrate("Deploying service...")
    with session.deployer_on(runtime) as deployer:
        # The end has a line of its own.
        with progress(name, version, has_end=False) as show:
            service = deployer.deploy(name, version, on_event=show, **wanted)
        narrate("Service deployed successfully")
        if as_json:
            write_json(service)
        else:
            write(deployer.ls(name, version))
