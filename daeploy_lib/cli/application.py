"""The commands, and the options in front of them."""

from pathlib import Path
from typing import Annotated

import typer

import daeploy_lib
from daeploy_lib.cli import changing, deploying, judging, looking, serving
from daeploy_lib.cli.session import RuntimeName, Session

app = typer.Typer(
    # Plain text: it is the same in a file, in a narrow terminal and without colours.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"daeploy-lib {daeploy_lib.__version__}")
        raise typer.Exit


@app.callback()
def _open(
    context: typer.Context,
    project: Annotated[
        str,
        typer.Option(envvar="DAEPLOY_PROJECT", help="Which independent set."),
    ] = "default",
    state: Annotated[
        Path | None,
        typer.Option(
            envvar="DAEPLOY_STATE",
            help="The state directory; by default the user's.",
        ),
    ] = None,
    runtime: Annotated[
        RuntimeName,
        typer.Option(envvar="DAEPLOY_RUNTIME", help="What keeps versions running."),
    ] = RuntimeName.docker,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="The engine; by default what DOCKER_HOST or the context names.",
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Show the version of daeploy-lib and exit.",
        ),
    ] = False,
) -> None:
    """
    Ship a new version of a service without fear.

    Deploy it beside main, send it a copy of the traffic, promote it on evidence.
    """
    del version
    context.obj = Session(project, state, runtime, host, context.obj)


for _commands in (deploying, looking, changing, judging, serving):
    _commands.register(app)
