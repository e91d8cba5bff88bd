"""doctor, stats, scrub: is everything as it should be?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from bridge import doctor as examination
from bridge.cli.context import ConfigOption, console, opened
from bridge.config import load
from bridge.scrub import rebuild as rebuild_index
from bridge.scrub import verify


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(doctor)
    app.command()(stats)
    app.command()(scrub)


def doctor(config: ConfigOption = None) -> None:
    """Probe what the bridge stands on: stores, lock, clock, disk, index, ports. Exit code 1 when something is wrong."""
    settings = load(config)
    marks = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "wrong": "[red]wrong[/]"}
    table = Table("what", "verdict", "finding")
    findings = examination.examine(settings)
    for finding in findings:
        table.add_row(finding.what, marks[finding.verdict], finding.text)
    console.print(table)
    if any(finding.verdict == "wrong" for finding in findings):
        raise typer.Exit(1)


def stats(config: ConfigOption = None) -> None:
    """What the archive holds, by store and site, who delivered last, and how much room is left."""
    with opened(config) as archive:
        tally = archive.index.tally()
        console.print(
            f"{tally.studies} studies, {tally.series} series, {tally.instances} instances, {tally.size_bytes} bytes"
        )
        for store, instances in sorted(tally.by_store.items()):
            console.print(f"  {store}: {instances} instances")
        console.print(f"{tally.conflicts} conflicts, {tally.waiting_for_reclaim} locations waiting for reclaim")
        free, reserve = (
            examination.free_space(archive.spool_directory),
            archive.settings.storage.free_space_reserve_bytes,
        )
        console.print(f"local disk: {free} bytes free, {reserve} of them in reserve")
        table = Table("peer", "from", "last received", "instances", "bytes")
        for peer in archive.registry.traffic():
            last = peer.last_received_at.isoformat(timespec="seconds")
            table.add_row(peer.ae_title, peer.address, last, str(peer.instances), str(peer.size_bytes))
        console.print(table)


def scrub(
    config: ConfigOption = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Recreate an empty index from the stores")] = False,
) -> None:
    """Read every object back and compare its hash; with --rebuild, recreate the index from the objects alone."""
    with opened(config, first=True) as archive:
        if rebuild:
            rebuilt = rebuild_index(archive)
            console.print(
                f"{rebuilt.instances} instances from {rebuilt.objects} objects, {rebuilt.decisions} decisions applied"
            )
            quarantined = rebuilt.quarantined
        else:
            verified = verify(archive)
            console.print(f"{verified.intact} of {verified.instances} objects are intact")
            quarantined = verified.damaged
    for problem in quarantined:
        console.print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
    if quarantined:
        raise typer.Exit(1)
