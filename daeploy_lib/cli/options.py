"""Arguments and options that several commands have."""

from typing import Annotated

import typer

from daeploy_lib.cli.completing import complete_name, complete_version

Name = Annotated[str, typer.Argument(help="The service.", autocompletion=complete_name)]
NameOrAll = Annotated[
    str | None,
    typer.Argument(help="The service; all by default.", autocompletion=complete_name),
]
Version = Annotated[
    str, typer.Argument(help="The version of it.", autocompletion=complete_version)
]
VersionOrMain = Annotated[
    str | None,
    typer.Argument(
        help="The version of it; main by default.", autocompletion=complete_version
    ),
]
VersionOrOnly = Annotated[
    str | None,
    typer.Argument(
        help="The shadow; not needed where there is only one.",
        autocompletion=complete_version,
    ),
]
VersionOrAll = Annotated[
    str | None,
    typer.Argument(
        help="The version of it; all by default.", autocompletion=complete_version
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; use with caution.")]
Interval = Annotated[
    float, typer.Option(help="Seconds from one judgement to the next.")
]
Agreement = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE", help="Least share of agreeing answers; 0.99 by default."
    ),
]
MinExchanges = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER", help="So many must have been compared; 100 by default."
    ),
]
ErrorRate = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="Largest share in which it fails and main does not; 0.01 by default.",
    ),
]
LatencyRatio = Annotated[
    str | None,
    typer.Option(
        metavar="RATIO",
        help="Largest median of its time over main's, or 'none'; 2.0 by default.",
    ),
]
TailRatio = Annotated[
    str | None,
    typer.Option(
        metavar="RATIO",
        help="Largest 99th percentile over main's; not asked by default.",
    ),
]
MaxDropped = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="Largest share that was not compared; 0.1 by default.",
    ),
]
Confidence = Annotated[
    str | None,
    typer.Option(metavar="SHARE", help="Of all conditions together; 0.95 by default."),
]
