"""commitments: what devices asked to be committed, and whether they have heard."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Column, Table

from bridge import commitment
from bridge.cli.context import ConfigOption, console, opened


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(commitments)


def commitments(
    config: ConfigOption = None,
    limit: Annotated[int, typer.Option(help="The latest so many")] = 100,
    retry: Annotated[bool, typer.Option("--retry", help="Tell those again that could not be told")] = False,
) -> None:
    """Requests of storage commitment, latest first; exit code 1 when a device could not be told."""
    transaction = Column("transaction", overflow="fold")
    table = Table("asked at", "device", transaction, "instances", "committed", "failed", "state", "attempts", "why")
    dead = False
    with opened(config) as archive:
        if retry:
            console.print(f"{commitment.retry_dead(archive)} wait again")
        for job in archive.registry.jobs(commitment.KIND, limit=limit):
            request = commitment.from_json(job.payload)
            dead = dead or job.state == "dead"
            table.add_row(
                job.created_at.isoformat(timespec="seconds"), job.target, request.transaction_uid,
                str(len(request.references)), str(len(request.committed)), str(len(request.failures)), job.state,
                str(job.attempts), job.problem,
            )  # fmt: skip
    console.print(table)
    raise typer.Exit(int(dead))
