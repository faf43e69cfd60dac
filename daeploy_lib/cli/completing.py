"""Names and versions for the shell to complete: from the registry alone."""

from collections.abc import Sequence
from pathlib import Path

import typer

from daeploy_lib.registry.records import VersionRecord
from daeploy_lib.registry.registry import Registry
from daeploy_lib.registry.state import state_directory


def complete_name(context: typer.Context, incomplete: str) -> list[str]:
    """Return the names of services that begin so."""
    names = dict.fromkeys(record.name for record in _records(context))
    return [name for name in names if name.startswith(incomplete)]


def complete_version(context: typer.Context, incomplete: str) -> list[str]:
    """Return the versions, of the service that is named before, that begin so."""
    name = context.params.get("name")
    return [
        record.version
        for record in _records(context)
        if record.name == name and record.version.startswith(incomplete)
    ]


def _records(context: typer.Context) -> Sequence[VersionRecord]:
    options = context.find_root().params
    try:
        directory: Path | None = options.get("state")
        project: str = options.get("project") or "default"
        return Registry(state_directory(directory), project).versions()
    except Exception:  # noqa: BLE001 - a shell that completes is told nothing
        return ()
