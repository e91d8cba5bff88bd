"""conflicts list|promote|dismiss: settle two data sets under one SOP Instance UID."""

from __future__ import annotations

import typer
from rich.table import Table

from bridge.cli.context import ConfigOption, console, opened, origin
from bridge.errors import NotFound
from bridge.settle import dismiss as dismiss_conflict
from bridge.settle import promote as promote_conflict

conflict_verbs = typer.Typer(help="Second data sets under a known SOP Instance UID.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(conflict_verbs, name="conflicts")


@conflict_verbs.command(name="list")
def list_conflicts(config: ConfigOption = None) -> None:
    """Every conflict that waits for a decision: what is archived, what came second."""
    table = Table("number", "SOP Instance UID", "second from", "second at", "first sha256", "second sha256")
    with opened(config) as archive:
        for conflict in archive.index.conflicts():
            ref = conflict.record.ref
            first = archive.index.instance_by_sop(ref.site, ref.sop_instance_uid or "")
            table.add_row(
                str(conflict.conflict_id),
                ref.sop_instance_uid,
                f"{conflict.origin.name} {conflict.origin.address}",
                conflict.seen_at.isoformat(timespec="seconds"),
                first.data_set_sha256[:16] if first else "",
                conflict.record.data_set_sha256[:16],
            )
    console.print(table)


@conflict_verbs.command()
def promote(number: int, config: ConfigOption = None) -> None:
    """The second data set takes the first one's place; the first is kept as the conflict."""
    with opened(config) as archive:
        if not promote_conflict(archive, number, origin()):
            raise NotFound(f"there is no conflict {number}; `dicom-bridge conflicts list` shows all")
    console.print(f"promoted {number}")


@conflict_verbs.command()
def dismiss(number: int, config: ConfigOption = None) -> None:
    """The first data set stays; the second one's bytes are reclaimed."""
    with opened(config) as archive:
        if not dismiss_conflict(archive, number, origin()):
            raise NotFound(f"there is no conflict {number}; `dicom-bridge conflicts list` shows all")
    console.print(f"dismissed {number}")
