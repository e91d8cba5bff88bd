"""forward status|retry: what is on its way to other archives, and what waits for a person."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from bridge.archive import Archive
from bridge.cli.context import ConfigOption, console, opened
from bridge.errors import NotFound
from bridge.forwarding import orders
from bridge.forwarding.routing import destinations
from storage.index.registry import Job

forward = typer.Typer(help="Studies that are sent on by [[forward_rules]].", no_args_is_help=True)
_LISTED = 1000  # of each destination and priority, the latest


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(forward, name="forward")


@forward.command()
def status(
    every: Annotated[bool, typer.Option("--all", help="Also list what is done")] = False, config: ConfigOption = None
) -> None:
    """Orders that wait, are done or dead, by destination, and each that is not done. Exit code 1 when some are dead."""
    counts = Table("destination", "waiting", "done", "dead")
    listed = Table("number", "destination", "study", "rule", "state", "sent", "refused", "attempts", "due", "why")
    dead = 0
    with opened(config) as archive:
        for name in destinations(archive.settings.forward_rules):
            jobs = _jobs(archive, name)
            by_state = {state: [job for job in jobs if job.state == state] for state in ("waiting", "done", "dead")}
            counts.add_row(name, *(str(len(found)) for found in by_state.values()))
            dead += len(by_state["dead"])
            for job in jobs:
                if every or job.state != "done":
                    _list(listed, job)
    console.print(counts)
    if listed.row_count:
        console.print(listed)
    raise typer.Exit(1 if dead else 0)


@forward.command()
def retry(
    number: Annotated[int | None, typer.Argument(help="From `forward status`; left out: all dead ones")] = None,
    config: ConfigOption = None,
) -> None:
    """Take dead orders up again."""
    taken = 0
    with opened(config) as archive:
        for name in destinations(archive.settings.forward_rules):
            for job in _jobs(archive, name):
                if job.state == "dead" and number in (None, job.job_id):
                    now = archive.now()
                    archive.registry.renew_job(
                        job.kind, job.key, target=job.target, payload=job.payload, at=now, due_at=now
                    )
                    taken += 1
    if number is not None and not taken:
        raise NotFound(f"there is no dead order {number}; `dicom-bridge forward status` shows all")
    console.print(f"{taken} orders wait again")


def _jobs(archive: Archive, destination: str) -> list[Job]:
    return [job for kind in orders.kinds(destination) for job in archive.registry.jobs(kind, limit=_LISTED)]


def _list(table: Table, job: Job) -> None:
    order = orders.unpack(job)
    table.add_row(
        str(job.job_id), job.target, order.study_instance_uid, order.rule, job.state, str(order.sent),
        str(order.refusals), str(job.attempts), job.due_at.isoformat(timespec="seconds"), job.problem,
    )  # fmt: skip
